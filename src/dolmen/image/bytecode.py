"""Python bytecode, compiled once per .deb and interpreter and kept.

Byte-compilation is the largest part of configuring many images. What the scripts compiled in one
build is kept as a tree per package (`pyc/<key>`) and merged into the next image that holds the
same .deb and the same interpreter; the scripts then find it done (see data/py_compile.py, which
makes a .pyc depend on its source and the interpreter alone).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from dolmen.model import Lock, LockedPackage
from dolmen.model.digest import digest_text
from dolmen.store import PackageTree, Store
from dolmen.store.builder import TreeBuilder

_INTERPRETER = re.compile(r"(lib)?python3\.[0-9]+(-minimal|-stdlib)?")
_VERSION = 1


def interpreter_key(lock: Lock) -> str | None:
    """What identifies the interpreters of a lock; None where there are none."""
    found = sorted(p.sha256 for p in lock.packages if _INTERPRETER.fullmatch(p.name))
    return digest_text(f"pyc {_VERSION} {' '.join(found)}") if found else None


def reference(package: LockedPackage, interpreter: str) -> str:
    """The ref of a package's bytecode."""
    return f"pyc/{digest_text(f'{package.sha256} {interpreter}')}"


def merge_known(
    builder: TreeBuilder,
    store: Store,
    packages: Sequence[tuple[LockedPackage, PackageTree]],
    key: str,
) -> None:
    """Merge what is known already."""
    for package, tree in packages:
        if any(entry.path.endswith(".py") for entry in tree.paths):
            commit = store.resolve(reference(package, key))
            if commit is not None:
                builder.merge_commit(commit)


def replacements(lower: Path, files: Path) -> Iterator[tuple[Path, str]]:
    """Prepare the stand-ins for the interpreters in `lower`; yields what is bound where."""
    for module in sorted(lower.glob("usr/lib/python3.*/py_compile.py")):
        version = module.parent.name.removeprefix("python")
        original = files / "python" / version
        original.mkdir(parents=True)
        copy = original / "py_compile.py"
        copy.write_bytes(module.read_bytes())
        os.utime(copy, (0, 0))
        stand_in = files / f"py_compile-{version}"
        stand_in.write_text(resources.files("dolmen").joinpath("data/py_compile.py").read_text())
        # A .pyc takes its source's mode, which must not depend on our umask.
        stand_in.chmod(module.stat().st_mode & 0o777)
        copy.chmod(module.stat().st_mode & 0o777)
        yield stand_in, f"/usr/lib/python{version}/py_compile.py"


def keep_new(
    builder: TreeBuilder,
    store: Store,
    upper: Path,
    packages: Sequence[tuple[LockedPackage, PackageTree]],
    key: str,
) -> None:
    """Commit what the scripts compiled for each package, under its ref, beside the image."""
    compiled = _compiled(upper)
    if not compiled:
        return
    for package, tree in packages:
        found = {
            str(file.relative_to(upper)): file.read_bytes()
            for entry in tree.paths
            if entry.kind == "f"
            for file in compiled.get(entry.merged, ())
        }
        if found and store.resolve(reference(package, key)) is None:
            builder.keep(reference(package, key), found)


def _compiled(upper: Path) -> dict[str, list[Path]]:
    """Time-stamped .pyc files in an upper directory, by the path of their source."""
    found: dict[str, list[Path]] = {}
    for parent, _directories, names in os.walk(upper):
        if not parent.endswith("/__pycache__"):
            continue
        directory = os.path.relpath(os.path.dirname(parent), upper)
        for name in names:
            stem, _, suffix = name.partition(".cpython-")
            if suffix.endswith(".pyc") and suffix.count(".") == 1:
                path = Path(parent, name)
                with path.open("rb") as stream:
                    head = stream.read(12)
                if head[4:12] == bytes(8):
                    found.setdefault(f"{directory}/{stem}.py", []).append(path)
    return found
