"""Dolmen itself in the image: the package that runs now (or another's files), and the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable

from dolmen.model.digest import Sha256, digest_text
from dolmen.system.tree.construction import Construction

PACKAGE = "usr/lib/python3/dist-packages/dolmen"
COMMAND = "usr/bin/dolmen"
_LEFT_OUT = ("__pycache__",)


def place(work: Construction) -> None:
    """Copy every file of the package."""
    for name, content in work.program.items():
        work.builder.add_file(f"{PACKAGE}/{name}", content)
    work.builder.add_file(COMMAND, work.program["data/front.sh"], mode=0o755)


def digest(program: Mapping[str, bytes]) -> Sha256:
    """Names a Dolmen: another one makes another image."""
    return digest_text(
        "\n".join(f"{name} {digest_text(data.decode('latin-1'))}" for name, data in program.items())
    )


def running() -> dict[str, bytes]:
    """The files of the package that runs, sorted."""
    return dict(sorted(_files(resources.files("dolmen"), "")))


def _files(directory: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for child in directory.iterdir():
        if child.name in _LEFT_OUT or child.name.endswith(".pyc"):
            continue
        if child.is_dir():
            yield from _files(child, f"{prefix}{child.name}/")
        else:
            yield f"{prefix}{child.name}", child.read_bytes()
