"""Opening, images, realised trees, locks; what must not be loaded on warm paths."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dolmen.model import Sha256
from dolmen.store import Image, Store, store_path
from dolmen.store.scratch import make_scratch
from dolmen.support.errors import StoreError
from dolmen.support.events import Event, PhaseFinished, PhaseStarted, Waiting
from tests.lib.debs import Dir, File, Link, lock_entry, make_deb

KEY = Sha256("a" * 64)


@pytest.fixture
def image(store: Store, debs: Path) -> Image:
    deb = make_deb(
        debs,
        "thing",
        files={
            "bin/thing": "#!/bin/sh\n",
            "usr/share/empty": "",
            "usr/share/group": File("g", 0o664),
            "usr/share/secret": File("s", 0o600),
            "usr/share/l": Link("empty"),
            "tmp": Dir(0o1777),
            "var/private": Dir(0o700),
        },
    )
    package = lock_entry(deb)
    store.import_packages([(package, deb)])
    with store.tree_builder() as builder:
        builder.merge_package(package.sha256)
        return builder.commit()


def test_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert store_path() == Path("/home/me/.local/share/dolmen")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert store_path() == Path("/home/me/.local/share/dolmen")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert store_path() == Path("/data/dolmen")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert store_path() == Path("/var/lib/dolmen")
    monkeypatch.setenv("DOLMEN_STORE", str(tmp_path))
    assert store_path() == tmp_path
    assert store_path(Path("/x")) == Path("/x")


def test_open_twice(store: Store) -> None:
    assert Store.open(store.path).path == store.path
    done = subprocess.run(
        ["ostree", f"--repo={store.path / 'repo'}", "fsck"], capture_output=True, timeout=60
    )
    assert done.returncode == 0


def reason_of_open(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert caught.value.hint
    assert caught.value.exit_code == 7
    return caught.value.reason


def test_format(store: Store) -> None:
    (store.path / "format").write_text("2\n")
    assert reason_of_open(store.path) == "store-format"
    (store.path / "format").write_text("1\n")
    Store.open(store.path)


def test_a_directory_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Store.open(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").touch()
    assert reason_of_open(tmp_path / "full") == "store-format"
    assert os.listdir(tmp_path / "full") == ["thesis.tex"]
    (tmp_path / "file").touch()
    assert reason_of_open(tmp_path / "file") == "store-failed"


def test_foreign(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(store.path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert reason_of_open(store.path) == "store-foreign"


def test_writable_by_others(store: Store) -> None:
    store.path.chmod(0o777)
    assert reason_of_open(store.path) == "store-foreign"
    store.path.chmod(0o755)
    Store.open(store.path)


def test_without_user_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(tmp_path / "good")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    assert reason_of_open(tmp_path / "bad") == "store-no-xattrs"
    monkeypatch.undo()
    Store.open(tmp_path / "bad")


def test_creation_that_was_cut_short(store_dir: Path) -> None:
    for name in ("trees", "tmp", "locks"):
        (store_dir / name).mkdir(parents=True)
    with Store.open(store_dir).tree_builder() as builder:
        builder.commit()


def test_image_lookup(store: Store, image: Image) -> None:
    assert store.image(KEY) is None
    store.record_image(KEY, image)
    assert store.image(KEY) == image
    ref = store.path / "repo/refs/heads/image" / image.root
    ref.write_text("")
    assert store.image(KEY) is None
    store.record_image(KEY, image)
    commit = store.path / f"repo/objects/{image.commit[:2]}/{image.commit[2:]}.commit"
    commit.unlink()
    assert store.image(KEY) is None


def test_realise(store: Store, image: Image) -> None:
    old = os.umask(0o077)
    try:
        events: list[Event] = []
        tree = store.realise(image, emit=events.append)
    finally:
        os.umask(old)
    assert tree == store.trees / image.root
    assert [type(event) for event in events] == [PhaseStarted, PhaseFinished]
    found = {}
    for parent, directories, names in os.walk(tree):
        for name in (".", *directories, *names):
            path = Path(parent, name)
            status = path.lstat()
            assert status.st_mtime == 0, path
            if name != ".":
                found[str(path.relative_to(tree))] = stat.filemode(status.st_mode)
    assert found == {
        "tmp": "drwxrwxrwt",
        "usr": "drwxr-xr-x",
        "usr/bin": "drwxr-xr-x",
        "usr/bin/thing": "-rwxr-xr-x",
        "usr/share": "drwxr-xr-x",
        "usr/share/empty": "-rw-r--r--",
        "usr/share/group": "-rw-rw-r--",
        "usr/share/l": "lrwxrwxrwx",
        "usr/share/secret": "-rw-------",
        "var": "drwxr-xr-x",
        "var/private": "drwx------",
    }
    assert (tree / "usr/bin/thing").stat().st_nlink == 2
    inode = tree.stat().st_ino
    assert store.realise(image) == tree
    assert tree.stat().st_ino == inode
    assert list(store.tmp.iterdir()) == []


def test_checkout_is_what_libostree_makes(store: Store, image: Image, tmp_path: Path) -> None:
    ours, theirs = store.path / "ours", store.path / "theirs"
    store.checkout(image.commit, ours)
    subprocess.run(
        ["ostree", f"--repo={store.path / 'repo'}", "checkout", "-U", image.commit, theirs],
        check=True,
        timeout=60,
    )

    def shape(top: Path) -> dict[str, tuple[int, int]]:
        return {
            str(p.relative_to(top)): (p.lstat().st_mode, p.lstat().st_size if p.is_file() else 0)
            for p in (top, *top.rglob("*"))
        }

    assert shape(ours) == shape(theirs)


def test_wrong_commit_for_a_root(store: Store, image: Image) -> None:
    with pytest.raises(StoreError) as caught:
        store.realise(Image(Sha256("0" * 64), image.commit))
    assert caught.value.reason == "object-damaged"
    assert list(store.trees.iterdir()) == []
    with pytest.raises(StoreError) as caught:
        store.realise(Image(image.root, Sha256("0" * 64)))
    assert caught.value.reason == "object-missing"


def test_realise_from_many_threads(store: Store, image: Image) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(store.realise(image))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [store.trees / image.root] * 6
    assert list(store.tmp.iterdir()) == []


def test_locks(store: Store) -> None:
    with store.locked("store"), store.locked("store"):
        pass
    events: list[Event] = []
    entered = threading.Event()

    def hold() -> None:
        with store.locked(f"image-{KEY}", shared=False):
            entered.set()
            release.wait(30)

    release = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(30)
    threading.Timer(0.2, release.set).start()
    with store.locked(f"image-{KEY}", shared=False, emit=events.append):
        assert release.is_set()
    thread.join(30)
    assert [type(event) for event in events] == [Waiting]
    with pytest.raises(ValueError, match=r"\.\./x"), store.locked("../x"):
        pass


def _die_in_scratch(tmp: Path) -> None:
    make_scratch(tmp)
    os._exit(9)


def test_scratch_of_the_dead_is_cleared_and_of_the_living_kept(store: Store) -> None:
    with store.scratch() as mine:
        (mine / "x").touch()
        child = multiprocessing.get_context("spawn").Process(
            target=_die_in_scratch, args=(store.tmp,)
        )
        child.start()
        child.join(60)
        left = [path for path in store.tmp.iterdir() if path != mine]
        assert len(left) == 1
        with store.scratch() as other:
            assert {path.name for path in store.tmp.iterdir()} == {mine.name, other.name}
    assert list(store.tmp.iterdir()) == []


def test_warm_paths_load_nothing_heavy(store: Store, image: Image) -> None:
    store.record_image(KEY, image)
    store.realise(image)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dolmen.store import Store\n"
        f"store = Store.open(Path({str(store.path)!r}))\n"
        f"print(store.realise(store.image({KEY!r})))\n"
        "heavy = {'gi', 'ctypes', 'tarfile', 'concurrent.futures', 'apt_pkg', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    source = Path(__file__).resolve().parents[3] / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(source), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [str(store.trees / image.root), "[]"], done.stderr
