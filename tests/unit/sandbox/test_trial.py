"""What a trial sees of the host; the way in itself is an integration test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.sandbox import Share, TrialEntry, prepare_layer, share, trial_argv


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name in ("usr/bin", "etc", "opt/theirs", "home", "srv"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/resolv.conf").touch()
    return tree


def test_home_and_working_directory(tree: Path, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    (home / "x").mkdir(parents=True)
    work.mkdir()
    both = share(tree, home=str(home), cwd=work, pure=False)
    assert both.directories == (home, work)
    assert (both.home, both.cwd) == (str(home), str(work))
    assert share(tree, home=str(home), cwd=home / "x", pure=False).directories == (home,)
    pure = share(tree, home=str(home), cwd=work, pure=True)
    assert (pure.directories, pure.home) == ((work,), "/root")
    around = share(tree, home=str(home), cwd=tmp_path, pure=False)
    assert around.directories == (tmp_path,)


@pytest.mark.parametrize(
    "cwd", ["/", "/usr/src", "/etc", "/var/lib/x", "/opt/theirs/x", "/tmp", "/home", "/proc/1"]
)
def test_the_image_keeps_what_is_its_own(tree: Path, cwd: str) -> None:
    found = share(tree, home=None, cwd=Path(cwd), pure=False)
    assert (found.directories, found.cwd) == ((), "/")


@pytest.mark.parametrize("cwd", ["/opt/mine", "/srv/x", "/data", "/home/u", "/root", "/mnt/disk"])
def test_other_places_are_shown(tree: Path, cwd: str) -> None:
    assert share(tree, home=None, cwd=Path(cwd), pure=True).directories == (Path(cwd),)


def entry(tree: Path, layer: Path, shown: Share) -> list[str]:
    return trial_argv(TrialEntry(tree, layer, layer / "files", shown, ("true",), 64))


def test_guards_cover_and_hold_their_parents(tree: Path, tmp_path: Path) -> None:
    shown = Share((tmp_path,), (tmp_path / "a/b/.dolmen", tmp_path.parent), "/root", "/")
    argv = " ".join(entry(tree, tmp_path, shown))
    bind = f"--bind {tmp_path} {tmp_path} "
    between = "".join(f"--bind-try {p} {p} " for p in (tmp_path / "a", tmp_path / "a/b"))
    guarded = f"--ro-bind-try {tmp_path}/a/b/.dolmen {tmp_path}/a/b/.dolmen "
    assert bind + between + guarded + f"--ro-bind {tmp_path} {tmp_path}" in argv


def test_a_layer_is_prepared_again_and_again(tree: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    prepare_layer(layer, tree)
    (layer / "upper/kept").write_text("x")
    (layer / "work/work").mkdir(mode=0)
    prepare_layer(layer, tree)
    assert (layer / "upper/kept").read_text() == "x"
    assert list((layer / "work").iterdir()) == []
    assert os.readlink(layer / "lower") == str(tree)
