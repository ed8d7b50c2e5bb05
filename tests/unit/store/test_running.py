"""Who uses a tree: every way a process can hold one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dolmen.store.running import trees_in_use

ROOT = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a program (this host's sleep) in it."""
    path = tmp_path / "trees" / ROOT
    path.mkdir(parents=True)
    shutil.copy("/bin/sleep", path / "sleep")
    (path / "file").write_bytes(b"x" * 4096)
    return path


@contextmanager
def running(
    argv: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[None]:
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=cwd, env=env)
    try:
        if "ready" in " ".join(argv):
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
        yield
    finally:
        child.kill()
        child.wait(timeout=10)


def python(text: str, *arguments: str) -> list[str]:
    wait = "import time; print('ready', flush=True); time.sleep(60)"
    return ["/usr/bin/python3", "-I", "-c", f"import sys, os, mmap\n{text}\n{wait}", *arguments]


@pytest.mark.parametrize("way", ["exe", "cwd", "fd", "map", "environ", "argument"])
def test_each_way_counts(tree: Path, way: str) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    opened = "f = os.open('file', os.O_RDONLY); os.chdir('/')"
    mapped = f"{opened}; m = mmap.mmap(f, 0, prot=mmap.PROT_READ); os.close(f)"
    argv = {
        "exe": [str(tree / "sleep"), "60"],
        "fd": python(opened),
        "map": python(mapped),
        "argument": python("", f"--root={tree}"),
    }.get(way, python(""))
    cwd = tree if way in ("cwd", "fd", "map") else None
    env = {**environment, "PLUGINS": f"/x:{tree}/plugins"} if way == "environ" else environment
    assert ROOT not in trees_in_use()
    with running(argv, cwd=cwd, env=env):
        assert ROOT in trees_in_use()
    assert ROOT not in trees_in_use()


def test_a_mount_of_another_namespace_counts(tmp_path: Path) -> None:
    """What bubblewrap does: the tree is /usr inside, and no other trace of it shows outside."""
    proc = tmp_path / "proc"
    (proc / "7/ns").mkdir(parents=True)
    (proc / "7/ns/mnt").symlink_to("mnt:[1]")
    (proc / "7/mountinfo").write_text(
        f"36 35 98:0 /srv/store/trees/{ROOT}/usr /usr ro - ext4 /dev/x rw\n"
        f"37 35 98:0 /srv/store/trees/.gone.{OTHER}/etc /etc ro - ext4 /dev/x rw\n"
        f"38 35 98:0 /srv/nothing/{'ee' * 32}/etc /opt ro - ext4 /dev/x rw\n"
    )
    (proc / "self").symlink_to("7")
    assert trees_in_use(proc) == {ROOT, OTHER}


def test_processes_that_end_meanwhile_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / str(os.getpid())).mkdir()
    assert trees_in_use(tmp_path) == frozenset()
