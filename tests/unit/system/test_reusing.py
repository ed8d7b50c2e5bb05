"""What a store takes over from an image that it has not built."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.image import bytecode
from dolmen.model import Lock
from dolmen.model.system import System
from dolmen.store import Store
from dolmen.store.builder import TreeBuilder
from dolmen.store.history.repository import History
from dolmen.store.history.tree import Tree
from dolmen.system import bytecode as own_bytecode
from dolmen.system import initramfs, locales
from dolmen.system.machine import reusing
from dolmen.system.tree import ourselves
from tests.lib import systems

LOCK = systems.lock(f"linux-image-{systems.KVER}", "python3.11-minimal", "locales", "pythonic")
KEY = "ab" * 32
_CACHE = "usr/lib/python3/dist-packages/__pycache__"
OWN = f"{ourselves.PACKAGE}/__pycache__/made.cpython-311.pyc"
#: A .pyc that is a function of its source begins with no time (PEP 552).
MADE = b"\xa7\r\r\n" + bytes(8) + b"made by a script"


def image(builder: TreeBuilder) -> None:
    modules = ("a", "b", "shipped")
    for name in modules:
        builder.add_file(f"usr/lib/python3/dist-packages/{name}.py", b"")
        builder.add_file(f"{_CACHE}/{name}.cpython-311.pyc", MADE)
    builder.add_file(f"{_CACHE}/b.cpython-311.pyc", MADE[:4] + b"\1" * 8)
    listed = [f"/usr/lib/python3/dist-packages/{name}.py" for name in modules]
    listed.append(f"/{_CACHE}/shipped.cpython-311.pyc")
    builder.add_file("var/lib/dpkg/info/pythonic.list", "\n".join(listed).encode())
    builder.add_file("usr/share/i18n/SUPPORTED", b"de_DE.UTF-8 UTF-8\n")
    builder.add_file(initramfs.KEY, f"{KEY}\n".encode())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    store = Store.open(tmp_path / "elsewhere")
    lines = ["de_DE.UTF-8 UTF-8"]
    for ref, files in (
        (own_bytecode.reference(LOCK, ourselves.running()), {OWN: MADE}),
        (locales.reference(LOCK, lines), {locales.NAME: b"an archive"}),
    ):
        assert ref is not None
        with store.tree_builder() as builder:
            builder.keep(ref, files)
            builder.commit()
    system = System(locale="de_DE.UTF-8")
    with systems.construction(store, system, change=image, locked=LOCK) as work:
        systems.finish(work, store)
        commit = systems.committed(work)
    return Tree(History.open(store.path / "repo"), commit)


def kept(store: Store, ref: str | None) -> dict[str, bytes]:
    assert ref is not None
    commit = store.resolve(ref)
    assert commit is not None, ref
    return {
        entry.path.lstrip("/"): store.file(commit, entry.path)
        for entry in store.walk(commit)
        if entry.kind == "f"
    }


def packages_ref(lock: Lock) -> str:
    interpreter = bytecode.interpreter_key(lock)
    package = lock.find("pythonic")
    assert interpreter is not None
    assert package is not None
    return bytecode.reference(package, interpreter)


def test_what_an_image_has_ready_is_kept_as_a_build_keeps_it(tree: Tree, store_dir: Path) -> None:
    store = Store.open(store_dir)
    reusing.take_over(tree, LOCK, store)
    assert kept(store, f"initramfs/{KEY}") == {initramfs.NAME: systems.INITRAMFS}
    lines = ["de_DE.UTF-8 UTF-8"]
    assert kept(store, locales.reference(LOCK, lines)) == {locales.NAME: b"an archive"}
    own = own_bytecode.reference(LOCK, ourselves.running())
    assert kept(store, own) == {OWN: MADE}
    # Neither what a package ships, nor what depends on a time.
    assert kept(store, packages_ref(LOCK)) == {f"{_CACHE}/a.cpython-311.pyc": MADE}


def test_what_depends_on_something_else_is_not_taken_for_it(tree: Tree, store_dir: Path) -> None:
    store = Store.open(store_dir)
    reusing.take_over(tree, LOCK, store)
    other = systems.lock(f"linux-image-{systems.KVER}", "locales", "python3.11-minimal", "pythonic")
    assert store.resolve(locales.reference(LOCK, ["de_AT.UTF-8 UTF-8"])) is None
    assert store.resolve(packages_ref(other)) is None


def test_a_store_keeps_what_it_has(tree: Tree, store_dir: Path) -> None:
    store = Store.open(store_dir)
    with store.tree_builder() as builder:
        builder.keep(f"initramfs/{KEY}", {initramfs.NAME: b"made here"})
        builder.commit()
    reusing.take_over(tree, LOCK, store)
    assert kept(store, f"initramfs/{KEY}") == {initramfs.NAME: b"made here"}


def test_the_program_of_an_image(tree: Tree) -> None:
    assert reusing.program(tree) == ourselves.running()


def test_an_image_of_which_only_parts_are_here(tree: Tree, store_dir: Path) -> None:
    """An upgrade with layers fetches no more than `layers.PARTS`."""
    objects = Path(tree.repository.objects)
    for path in ("/usr/lib/modules", "/usr/lib/locale", "/usr/etc"):
        name = tree.find(path).checksum
        (objects / name[:2] / f"{name[2:]}.dirtree").unlink()
    store = Store.open(store_dir)
    reusing.take_over(tree, LOCK, store)
    own = own_bytecode.reference(LOCK, ourselves.running())
    assert kept(store, own) == {OWN: MADE}
    assert store.resolve(f"initramfs/{KEY}") is None
