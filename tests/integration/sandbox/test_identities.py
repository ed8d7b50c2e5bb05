"""True owners: what root and users with subordinate ids can do, and that nobody else can."""

from __future__ import annotations

import importlib
import os
import stat
from pathlib import Path

import pytest

from dolmen.sandbox import BuildJob, Owner, build, give, identities, settle
from dolmen.support.errors import HostError

pytestmark = pytest.mark.root
#: The module, whose name is also that of its function.
module = importlib.import_module("dolmen.sandbox.identities")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a job needs of an image: the host's own programs."""
    for name in ("usr", "bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (tmp_path / "lower").mkdir(exist_ok=True)
            (tmp_path / "lower" / name).symlink_to(os.readlink(f"/{name}"))
    for name in ("usr", "etc", "tmp", "proc", "dev", "run", "home"):
        (tmp_path / "lower" / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "lower/home/file").write_text("content")
    return tmp_path / "lower"


def run(tree: Path, script: str) -> tuple[Path, int, list[str]]:
    said: list[str] = []
    job = BuildJob(
        lower=tree,
        scratch=tree.parent / "scratch",
        argv=("/bin/sh", "-c", script),
        environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        timeout=60,
        writable=((Path("/usr"), "/usr"),),
        true_owners=True,
    )
    done = build(job, on_line=said.append)
    return done.upper, done.returncode, said


def test_scripts_really_change_owners_and_what_they_did_is_read_back(tree: Path) -> None:
    upper, code, said = run(
        tree,
        "chown 33:44 /home/file && chmod 4755 /home/file && mkdir -m 2770 /home/shared && "
        "chgrp 50 /home/shared && id -u && mknod /dev/x b 1 1 && stat -c %u:%g:%a /home/file",
    )
    assert (code, said) == (0, ["0", "33:44:4755"])
    found = settle(upper)
    assert found["/home/file"] == Owner(0o4755, 33, 44)
    assert (found["/home/shared"].gid, found["/home/shared"].mode & 0o777) == (50, 0o770)
    # taken over: ours, readable, without special bits
    status = (upper / "home/file").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), 0o644)
    assert (tree / "home/file").stat().st_uid == os.geteuid()


def test_capabilities_are_given_and_read_back(tmp_path: Path) -> None:
    (tmp_path / "ping").write_text("ping")
    value = bytes.fromhex("0100000200200000000000000000000000000000")
    owner = Owner(0o755, 0, 0, (("security.capability", value),))
    give(tmp_path, {"ping": owner})
    assert settle(tmp_path)["/ping"] == owner


def test_links_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(outside)
    give(tmp_path / "tree", {"link": Owner(0o777, 12, 13)})
    assert settle(tmp_path / "tree")["/link"].uid == 12
    assert outside.stat().st_uid == os.geteuid()


def test_without_subordinate_ids_the_command_that_gives_them_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert identities().privileged
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(HostError) as caught:
        identities()
    assert caught.value.reason == "no-subordinate-ids"
    assert "usermod --add-subuids" in (caught.value.hint or "")
    lines = {Path("/etc/subuid"): ["54321:7:100", "54321:200000:65536"]}
    monkeypatch.setattr(module, "_lines", lambda path: lines.get(path, ["54321:300000:65535"]))
    if Path("/usr/bin/newuidmap").exists():
        found = identities()
        assert found.users == ((0, 54321, 1), (1, 200000, 65535))
        assert found.groups[1] == (1, 300000, 65535)


def test_a_container_with_few_ids_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identities().privileged
    monkeypatch.setattr(module, "_lines", lambda _path: ["0 100000 1000"])
    with pytest.raises(HostError) as caught:
        identities()
    assert caught.value.reason == "few-ids"
