"""Bytecode of Dolmen itself, made by the image's own interpreter: /usr is read-only afterwards.

Without it every command on the machine would compile what it imports. Kept under the digest of
Dolmen's sources and of the interpreter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from dolmen import sandbox
from dolmen.image.bytecode import interpreter_key
from dolmen.image.configure import ENVIRONMENT
from dolmen.model import Lock
from dolmen.model.digest import digest_text
from dolmen.store import Store
from dolmen.support.errors import PackageError
from dolmen.system.tree import ourselves
from dolmen.system.tree.construction import Construction

VERSION = 1
_TIMEOUT = 600.0
#: What no interpreter reads of /usr; linking it and removing it takes longer than compiling.
_UNREAD = ("usr/share", "usr/include", "usr/src", "boot")
#: What it reads of /usr/lib: the linker, libraries, its own modules.
_READ = re.compile(r"python3.*|.+-linux-.+|ld-linux.*|.+\.so(\..*)?")


def compile_ourselves(work: Construction, store: Store) -> None:
    """Put .pyc files beside Dolmen's modules. Raises PackageError ("bytecode-failed")."""
    ref = reference(work.lock, work.program)
    if ref is None:
        return
    commit = store.resolve(ref)
    if commit is None:
        _compile(work, store, ref)
        commit = store.resolve(ref)
        assert commit is not None
    work.builder.merge_commit(commit)


def reference(lock: Lock, program: Mapping[str, bytes]) -> str | None:
    """The ref of the bytecode of a Dolmen; None where there is no interpreter."""
    interpreter = interpreter_key(lock)
    if interpreter is None:
        return None
    key = digest_text(f"own bytecode {VERSION} {ourselves.digest(program)} {interpreter}")
    return f"pyc/{key}"


def _compile(work: Construction, store: Store, ref: str) -> None:
    said: list[str] = []
    with store.scratch() as scratch, store.tree_builder() as builder:
        lower, files, out = scratch / "tree", scratch / "files", scratch / "out"
        others = (name for name in work.names("usr/lib") if not _READ.fullmatch(name))
        work.builder.checkout(lower, without=(*_UNREAD, *(f"usr/lib/{n}" for n in others)))
        out.mkdir()
        _write_sources(files / "sources", work.program)
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


def _write_sources(directory: Path, program: Mapping[str, bytes]) -> None:
    for name, content in program.items():
        if name.endswith(".py"):
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            os.utime(target, (0, 0))
