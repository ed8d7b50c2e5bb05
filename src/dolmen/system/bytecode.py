"""Bytecode of Dolmen itself, made by the image's own interpreter: /usr is read-only afterwards.

Without it every command on the machine would compile what it imports. Kept under the digest of
Dolmen's sources and of the interpreter.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from dolmen import sandbox
from dolmen.image.bytecode import interpreter_key
from dolmen.image.configure import ENVIRONMENT
from dolmen.model.digest import digest_text
from dolmen.store import Store
from dolmen.support.errors import PackageError
from dolmen.system.tree import ourselves
from dolmen.system.tree.construction import Construction

VERSION = 1
_TIMEOUT = 600.0


def compile_ourselves(work: Construction, store: Store) -> None:
    """Put .pyc files beside Dolmen's modules. Raises PackageError ("bytecode-failed")."""
    interpreter = interpreter_key(work.lock)
    if interpreter is None:
        return
    key = digest_text(f"own bytecode {VERSION} {ourselves.digest()} {interpreter}")
    commit = store.resolve(f"pyc/{key}")
    if commit is None:
        _compile(work, store, f"pyc/{key}")
        commit = store.resolve(f"pyc/{key}")
        assert commit is not None
    work.builder.merge_commit(commit)


def _compile(work: Construction, store: Store, ref: str) -> None:
    said: list[str] = []
    with store.scratch() as scratch, store.tree_builder() as builder:
        lower, files, out = scratch / "tree", scratch / "files", scratch / "out"
        work.builder.checkout(lower)
        out.mkdir()
        _write_sources(files / "sources")
        script = resources.files("dolmen").joinpath("data/bytecode.py").read_text()
        (files / "bytecode.py").write_text(script)
        result = sandbox.build(
            sandbox.BuildJob(
                lower=lower,
                scratch=scratch,
                files=files,
                argv=(
                    *("/usr/bin/python3", "-I", "/run/dolmen/bytecode.py"),
                    *("/run/dolmen/sources", "/run/out", f"/{ourselves.PACKAGE}"),
                ),
                environment=ENVIRONMENT,
                timeout=_TIMEOUT,
                writable=((out, "/run/out"),),
            ),
            on_line=said.append,
        )
        if result.returncode != 0:
            raise PackageError(
                "the image's Python cannot compile Dolmen",
                reason="bytecode-failed",
                details=said[-10:],
                hint="report this with the version of python3 in dolmen.lock",
            )
        found = {
            f"{ourselves.PACKAGE}/{path.relative_to(out)}": path.read_bytes()
            for path in sorted(out.rglob("*.pyc"))
        }
        builder.keep(ref, found)
        builder.commit()


def _write_sources(directory: Path) -> None:
    for name, content in ourselves.files():
        if name.endswith(".py"):
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            os.utime(target, (0, 0))
