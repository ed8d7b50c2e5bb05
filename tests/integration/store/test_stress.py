"""Several at once, killed in the middle, no space, other users, a real overlay."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.store import Image, Store
from dolmen.support.errors import StoreError
from dolmen.support.files import remove_tree
from tests.lib.debs import Entry, Link, lock_entry, make_deb
from tests.lib.users import OrdinaryUser

#: Imports every .deb of a directory, merges all and realises the tree; prints its root.
PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
from dolmen.store import Store
from tests.lib.debs import lock_entry
store = Store.open(Path(sys.argv[2]))
debs = sorted(Path(sys.argv[3]).glob("*.deb"))
packages = [lock_entry(deb) for deb in debs]
print("start", flush=True)
store.import_packages(zip(packages, debs))
with store.tree_builder() as builder:
    for package in packages:
        builder.merge_package(package.sha256)
    image = builder.commit()
store.realise(image)
store.record_image(image.root, image)
print(image.root, image.commit)
"""
CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def debs(public_directory: Path) -> Path:
    """Some 24 MB in 2000 files."""
    directory = public_directory / "store-debs"
    noise = random.Random(1)
    for number in range(10):
        files: dict[str, Entry] = {
            f"usr/share/p{number}/d{index % 20}/f{index}": noise.randbytes(2_000)
            for index in range(200)
        }
        files[f"usr/lib/big{number}"] = noise.randbytes(2_000_000)
        files[f"usr/lib/l{number}"] = Link(f"big{number}")
        make_deb(directory, f"p{number}", files=files, compression="gz" if number % 2 else "xz")
    return directory


@pytest.fixture
def worker(store_dir: Path, debs: Path) -> list[str]:
    path = f"{CHECKOUT / 'src'}:{CHECKOUT}"
    return ["/usr/bin/python3", "-c", PROGRAM, path, str(store_dir), str(debs)]


def fsck(store: Path) -> None:
    done = subprocess.run(
        ["ostree", f"--repo={store / 'repo'}", "fsck"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_two_at_once(worker: list[str], store_dir: Path) -> None:
    children = [
        subprocess.Popen(worker, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    found = [child.communicate(timeout=180) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], found
    assert len({out for out, _ in found}) == 1
    fsck(store_dir)
    store = Store.open(store_dir)
    assert list(store.tmp.iterdir()) == []
    assert len(list(store.trees.iterdir())) == 1


def test_killed_at_any_moment(worker: list[str], store_dir: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    worker[4] = str(tmp_path / "unharmed")
    wanted = run(worker)
    whole = time.monotonic() - began
    worker[4] = str(store_dir)
    chance = random.Random(7)
    killed = 0
    for _ in range(8):
        child = subprocess.Popen(
            worker,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "start\n"
        time.sleep(chance.random() * whole * 0.7)
        os.killpg(child.pid, signal.SIGKILL)
        killed += child.wait(60) == -signal.SIGKILL
        child.stdout.close()
        store = Store.open(store_dir)
        # What has a ref is whole, what has a name in trees is whole.
        fsck(store_dir)
        for tree in store.trees.iterdir():
            assert tree.name == wanted.split()[0]
            assert sum(1 for _ in tree.rglob("*")) == sum(
                1 for _ in (tmp_path / "unharmed/trees" / tree.name).rglob("*")
            )
    assert killed
    assert run(worker) == wanted
    with Store.open(store_dir).scratch():
        pass
    assert list((store_dir / "tmp").iterdir()) == []
    fsck(store_dir)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB with user attributes."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    mount = tmp_path / "tiny"
    mount.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0755", "tmpfs", mount], check=True, timeout=60
    )
    try:
        os.setxattr(mount, "user.dolmen", b"1")
        yield mount
    except OSError:
        pytest.skip("tmpfs has no user attributes here (Linux before 6.6)")
    finally:
        subprocess.run(["umount", "-l", mount], check=True, timeout=60)


def test_full_disk(tiny: Path, debs: Path) -> None:
    store = Store.open(tiny / "store")
    first, *rest = sorted(debs.glob("*.deb"))
    store.import_packages([(lock_entry(first), first)])
    with pytest.raises(StoreError) as caught:
        store.import_packages((lock_entry(deb), deb) for deb in rest)
    assert caught.value.reason == "store-full"
    assert caught.value.exit_code == 7
    assert caught.value.hint
    assert store.has_package(lock_entry(first).sha256)
    assert not any(store.has_package(lock_entry(deb).sha256) for deb in rest)
    assert list(store.tmp.iterdir()) == []
    fsck(store.path)
    # After space returns the same goes through.
    subprocess.run(["mount", "-o", "remount,size=200m", tiny], check=True, timeout=60)
    store.import_packages((lock_entry(deb), deb) for deb in rest)
    fsck(store.path)


def test_full_disk_while_realising(tiny: Path, debs: Path) -> None:
    store = Store.open(tiny / "store")
    first = min(debs.glob("*.deb"))
    store.import_packages([(lock_entry(first), first)])
    with store.tree_builder() as builder:
        builder.merge_package(lock_entry(first).sha256)
        image = builder.commit()
    # Names take inodes, and tmpfs counts those.
    subprocess.run(["mount", "-o", "remount,nr_inodes=2000", tiny], check=True, timeout=60)
    with contextlib.suppress(OSError):
        for number in range(3000):
            (tiny / f"small{number}").touch()
    with pytest.raises(StoreError) as caught:
        store.realise(image)
    assert caught.value.reason == "store-full"
    assert list(store.trees.iterdir()) == []
    with pytest.raises(StoreError) as caught:
        store.record_image(image.root, image)
    assert caught.value.reason == "store-full"
    assert store.image(image.root) is None
    for small in tiny.glob("small*"):
        small.unlink()
    store.record_image(image.root, image)
    assert store.image(image.root) == image
    assert store.realise(image).is_dir()
    assert list(store.tmp.iterdir()) == []


def test_full_disk_from_the_start(tiny: Path) -> None:
    (tiny / "ballast").write_bytes(bytes(8 << 20))
    Store.open(tiny / "good")
    with pytest.raises(OSError, match="space"):
        (tiny / "rest").write_bytes(bytes(16 << 20))
    with pytest.raises(StoreError) as caught:
        Store.open(tiny / "bad")
    assert caught.value.reason == "store-full"


def test_read_only(tiny: Path) -> None:
    Store.open(tiny / "store")
    subprocess.run(["mount", "-o", "remount,ro", tiny], check=True, timeout=60)
    for path in (tiny / "store", tiny / "new"):
        with pytest.raises(StoreError) as caught:
            Store.open(path)
        assert caught.value.reason == "store-read-only"


@pytest.mark.root
def test_an_ordinary_user_gets_the_same_tree(
    worker: list[str], store_dir: Path, ordinary_user: OrdinaryUser, installed_source: Path
) -> None:
    wanted = run(worker)
    home = Path(tempfile.mkdtemp(prefix="dolmen-user-"))
    try:
        home.chmod(0o777)
        lib = home / "tests/lib"
        lib.mkdir(parents=True)
        for name in ("tests/__init__.py", "tests/lib/__init__.py", "tests/lib/debs.py"):
            (home / name).write_text((CHECKOUT / name).read_text())
        for path in (home, *home.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o644)
        worker[3:5] = [f"{installed_source}:{home}", str(home / "store")]
        found = run(["runuser", "-u", ordinary_user.name, "--", *worker])
        assert found == wanted
        with pytest.raises(StoreError) as caught:
            Store.open(home / "store")
        assert caught.value.reason == "store-foreign"
    finally:
        remove_tree(home)


#: What maintainer scripts do, on a real overlay in a user namespace.
CHANGES = """
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3,userxattr" "$4"
cd "$4"
printf more >> etc/a
rm etc/b
rm -r opt/old
mkdir -p opt/old
printf 2 > opt/old/2
mv usr/keep usr/kept
ln etc/a etc/hard
ln -s /etc/a etc/link
mkfifo etc/fifo
chmod 0700 var/lib
chmod 04755 usr/tool
touch -c usr/same
"""


def test_a_real_overlay(store_dir: Path) -> None:
    store = Store.open(store_dir)
    with store.tree_builder() as builder:
        for path in ("etc/a", "etc/b", "opt/old/1", "usr/keep", "usr/same", "var/lib/x"):
            builder.add_file(path, path.encode())
        builder.add_file("usr/tool", b"tool", mode=0o755)
        base = builder.commit()
    before = {entry.path: entry for entry in store.walk(base.commit)}
    with store.scratch() as work:
        store.checkout(base.commit, work / "lower")
        for name in ("upper", "work", "merged"):
            (work / name).mkdir()
        places = [str(work / name) for name in ("lower", "upper", "work", "merged")]
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", CHANGES, "sh", *places],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode and "denied" in done.stderr + "not permitted":
            pytest.skip(f"no overlay in a user namespace here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        with store.tree_builder() as builder:
            builder.merge_commit(base.commit)
            builder.apply_upper(work / "upper")
            image: Image = builder.commit()
    after = {entry.path: entry for entry in store.walk(image.commit)}
    assert store.read_object(after["/etc/a"].checksum) == b"etc/amore"
    assert after["/etc/hard"].checksum == after["/etc/a"].checksum
    assert after["/etc/link"].target == "/etc/a"
    assert set(before) - set(after) == {"/etc/b", "/opt/old/1", "/usr/keep"}
    assert set(after) - set(before) == {"/etc/hard", "/etc/link", "/opt/old/2", "/usr/kept"}
    assert after["/var/lib"].mode == 0o700
    assert after["/usr/tool"] == before["/usr/tool"]
    assert after["/usr/same"] == before["/usr/same"]
    # The store's own objects were only a lower layer.
    assert store.read_object(before["/etc/a"].checksum) == b"etc/a"
    fsck(store_dir)
