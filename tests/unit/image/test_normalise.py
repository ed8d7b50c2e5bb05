"""The table of path rules, and the files that are rewritten."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from dolmen.image import keystore, tex
from dolmen.image.normalise import EPOCH, clamp_shadow, dropped, normalise
from dolmen.image.rules import RULES, action


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("etc/machine-id", "delete"),
        ("etc/machine-id2", ""),
        ("etc/ssh/ssh_host_rsa_key", "delete"),
        ("etc/ssh/sshd_config", ""),
        ("var/log/dpkg.log", "delete"),
        ("var/log/postgresql/x.log", "empty"),
        ("var/cache/man/de/index.db", ""),
        ("etc/a/b/c.dpkg-new", "delete"),
        ("etc/c.dpkg-new", "delete"),
        ("var/lib/ucf/hashfile.3", "delete"),
        ("var/lib/ucf/hashfile", ""),
        ("var/lib/dpkg/status", ""),
        ("var/lib/dpkg/status-old", "delete"),
        ("usr/bin/python3", ""),
    ],
)
def test_rules(path: str, expected: str) -> None:
    assert action(path) == expected
    assert dropped(path) == (expected == "delete")


def test_every_rule_has_a_reason() -> None:
    assert all(rule.reason and rule.action in ("delete", "empty") for rule in RULES)
    assert len({rule.pattern for rule in RULES}) == len(RULES)


def test_days_of_password_changes_are_bounded() -> None:
    day = EPOCH // 86400
    text = f"root:*:{day + 500}:0:99999:7:::\nold:*:3:0:99999:7:::\n"
    assert clamp_shadow(text) == f"root:*:{day}:0:99999:7:::\nold:*:3:0:99999:7:::\n"


def test_logs_are_emptied_and_snakeoil_links_go(tmp_path: Path) -> None:
    (tmp_path / "var/log/x").mkdir(parents=True)
    (tmp_path / "var/log/x/y.log").write_text("now")
    certificates = tmp_path / "etc/ssl/certs"
    certificates.mkdir(parents=True)
    (certificates / "0a1b.0").symlink_to("ssl-cert-snakeoil.pem")
    (certificates / "good.0").symlink_to("real.pem")
    normalise(tmp_path)
    assert (tmp_path / "var/log/x/y.log").read_text() == ""
    assert [p.name for p in certificates.iterdir()] == ["good.0"]


def _store(*entries: tuple[str, int]) -> bytes:
    body = struct.pack(">III", 0xFEEDFEED, 2, len(entries))
    for alias, date in entries:
        body += struct.pack(">IH", 2, len(alias)) + alias.encode() + struct.pack(">q", date)
        body += struct.pack(">H", 5) + b"X.509" + struct.pack(">I", 3) + b"DER"
    salt = "changeit".encode("utf-16-be") + b"Mighty Aphrodite"
    return body + hashlib.sha1(salt + body).digest()


def test_key_stores_lose_their_dates_and_order() -> None:
    one = keystore.with_constant_dates(_store(("b", 5), ("a", 6)), EPOCH)
    two = keystore.with_constant_dates(_store(("a", 7), ("b", 8)), EPOCH)
    assert one == two == _store(("a", EPOCH * 1000), ("b", EPOCH * 1000))


@pytest.mark.parametrize("data", [b"", b"\xfe\xed\xfe\xed", _store(("a", 1))[:-1], b"PK" * 40])
def test_what_is_no_key_store_stays(data: bytes) -> None:
    assert keystore.with_constant_dates(data, EPOCH) == data


def test_sets_of_tex_are_sorted() -> None:
    head = "% ls-R -- filename database for kpathsea; do not change this line.\n\n./:\n"
    one = head + ".:\nb\na\n\n./z:\nx\n\n./b:\n"
    two = head + ".:\na\nb\n\n./b:\n\n./z:\nx\n"
    assert tex.sorted_file_names(one) == tex.sorted_file_names(two) == tex.sorted_file_names(two)
    assert tex.sorted_maps("#x\nMap b\nMixedMap a\n#y\nMap z\n") == (
        "#x\nMap b\nMixedMap a\n#y\nMap z\n"
    )
    assert tex.sorted_maps("Map b\nMap a\n") == "Map a\nMap b\n"
