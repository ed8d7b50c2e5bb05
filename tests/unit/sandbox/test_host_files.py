from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from dolmen.sandbox import host_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "usr/bin/sh").write_text("")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\nwww:x:33:\n")
    return tree


def entries(path: Path) -> list[list[str]]:
    return [line.split(":") for line in path.read_text().splitlines()]


def as_account(monkeypatch: pytest.MonkeyPatch, account: pwd.struct_passwd | None) -> None:
    def find(uid: int) -> pwd.struct_passwd:
        if account is None:
            raise KeyError(uid)
        return account

    uid, gid = (account.pw_uid, account.pw_gid) if account else (4711, 4712)
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(os, "getgid", lambda: gid)
    monkeypatch.setattr(pwd, "getpwuid", find)
    monkeypatch.setattr(
        "dolmen.sandbox.hostfiles.getgrgid", lambda gid: grp.struct_group(("staff", "x", gid, []))
    )


def account(name: str, uid: int, shell: str = "/bin/sh", gecos: str = "") -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, gecos, f"/home/{name}", shell))


def test_the_caller_joins_the_accounts_of_the_image(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_account(monkeypatch, account("ada", 1000))
    host_files(tmp_path / "host", tree)
    found = entries(tmp_path / "host/passwd")
    assert [line[0] for line in found] == ["root", "www", "ada"]
    assert found[-1] == ["ada", "x", "1000", "1000", "", "/home/ada", "/bin/sh"]
    assert ["staff", "x", "1000", ""] in entries(tmp_path / "host/group")
    assert (tmp_path / "host/filter").stat().st_size % 8 == 0
    assert (tmp_path / "host/filter-confined").stat().st_size > 0


@pytest.mark.parametrize(("name", "uid"), [("www", 1000), ("ada", 33), ("root", 0)])
def test_an_entry_of_the_same_name_or_number_is_replaced(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, uid: int
) -> None:
    as_account(monkeypatch, account(name, uid))
    host_files(tmp_path / "host", tree)
    found = entries(tmp_path / "host/passwd")
    assert [line[5] for line in found if line[0] == name or line[2] == str(uid)] == [
        f"/home/{name}"
    ]


def test_a_shell_that_the_image_lacks(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_account(monkeypatch, account("ada", 1000, "/usr/bin/zsh"))
    host_files(tmp_path / "host", tree)
    assert entries(tmp_path / "host/passwd")[-1][6] == "/bin/sh"


def test_fields_cannot_break_out_of_their_line(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_account(monkeypatch, account("ada", 1000, gecos="A:B\nevil:x:0:0::/:/bin/sh"))
    host_files(tmp_path / "host", tree)
    assert [line[0] for line in entries(tmp_path / "host/passwd")] == ["root", "www", "ada"]


def test_a_caller_without_an_account(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_account(monkeypatch, None)
    host_files(tmp_path / "host", tree)
    assert entries(tmp_path / "host/passwd")[-1][2:4] == ["4711", "4712"]


def test_an_image_cannot_show_us_the_hosts_files(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret:x:99:99::/:/bin/sh\n")
    (tree / "etc/passwd").unlink()
    (tree / "etc/passwd").symlink_to(secret)
    as_account(monkeypatch, account("ada", 1000))
    host_files(tmp_path / "host", tree)
    assert [line[0] for line in entries(tmp_path / "host/passwd")] == ["ada"]
