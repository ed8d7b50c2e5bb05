"""The synthesised dpkg database."""

from __future__ import annotations

from dolmen.image.admin import (
    Triggers,
    activated_paths,
    extended_states,
    info_name,
    parse_diversions,
    status_stanza,
)
from tests.lib.locks import locked


def test_info_files_are_qualified_for_multi_arch_same_only() -> None:
    assert info_name(locked("libc6", multi_arch="same")) == "libc6:amd64"
    assert info_name(locked("bash", multi_arch="foreign")) == "bash"


def test_status_follows_the_package_field_and_holds_conffiles() -> None:
    text = status_stanza("Package: a\nVersion: 1\nDescription: d\n e\n\n", {"/etc/a": "00ff"})
    assert text == (
        "Package: a\nStatus: install ok unpacked\nVersion: 1\nDescription: d\n e\n"
        "Conffiles:\n /etc/a 00ff\n"
    )


def test_triggers_are_split_into_files_and_names() -> None:
    triggers = Triggers()
    triggers.add(
        locked("libc-bin"),
        "# comment\ninterest-noawait /lib\ninterest ldconfig\nactivate-noawait x\n",
    )
    triggers.add(locked("man-db", multi_arch="same"), "interest-await /usr/share/man\n")
    assert triggers.file_lines() == ["/lib libc-bin/noawait", "/usr/share/man man-db:amd64"]
    assert triggers.named == {"ldconfig": ["libc-bin"]}
    assert triggers.activated == ["x"]


def test_file_triggers_fire_for_paths_below_in_either_spelling() -> None:
    interests = ["/lib/systemd", "/usr/share/man", "/usr/lib/python3"]
    assert activated_paths(interests, ["/usr/lib/systemd/system/x.service"]) == ["/lib/systemd"]
    assert activated_paths(interests, ["/usr/share/man/man1/x.1.gz"]) == ["/usr/share/man"]
    assert activated_paths(interests, ["/usr/share/manual/x"]) == []
    assert activated_paths(interests, ["/lib/python3/x.py"]) == ["/usr/lib/python3"]


def test_diversions_are_read_in_threes() -> None:
    (record,) = parse_diversions("/bin/sh\n/bin/sh.distrib\ndash\n")
    assert (record.origin, record.target, record.package) == ("/bin/sh", "/bin/sh.distrib", "dash")
    assert parse_diversions("") == ()


def test_requests_and_essential_packages_are_manual() -> None:
    text = extended_states(
        [locked("b", architecture="all"), locked("a", requested=True), locked("c", essential=True)],
        "amd64",
    )
    assert text == "Package: b\nArchitecture: amd64\nAuto-Installed: 1\n\n"
