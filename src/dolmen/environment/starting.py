"""The first step: a manifest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dolmen.environment.layout import Environment
from dolmen.model import parse_manifest
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.errors import DeclarationError
from dolmen.support.files import remove_tree, write_atomic


def initialise(directory: Path, *, suite: str | None = None, system: bool = False) -> Environment:
    """Write a fresh manifest, of a whole `system` if so; raises DeclarationError ("exists") where
    there is one."""
    from dolmen.model.editing import new_manifest, new_system_manifest

    environment = Environment(directory)
    if environment.manifest.exists() or environment.manifest.is_symlink():
        raise DeclarationError(
            f"there is a {MANIFEST_NAME} already",
            reason="exists",
            context=str(directory),
            hint="dolmen install",
        )
    new = new_system_manifest if system else new_manifest
    text = new(suite or host_suite())
    parse_manifest(text)
    environment.create_state()
    write_atomic(environment.manifest, text, mode=0o666 & ~_umask())
    return environment


@contextlib.contextmanager
def made(environment: Environment) -> Iterator[None]:
    """Make the directory; without a manifest at the end, leave nothing of ours behind."""
    existed = environment.directory.is_dir()
    had_state = environment.state.exists()
    environment.directory.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not had_state and not environment.manifest.exists():
            remove_tree(environment.state)
            if not existed:
                with contextlib.suppress(OSError):
                    environment.directory.rmdir()


def _umask(status: Path = Path("/proc/self/status")) -> int:
    """The caller's umask: the manifest may hold variables that are nobody else's business.

    umask(2) could only tell it by changing it, for all threads.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in status.read_text(errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.partition(":")[2], 8)
    return 0o022


def host_suite(os_release: Path = Path("/etc/os-release")) -> str:
    """The host's own suite; raises DeclarationError ("no-suite") where it does not tell."""
    with contextlib.suppress(OSError):
        for line in os_release.read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key == "VERSION_CODENAME" and value.strip("\"'"):
                return value.strip("\"'")
    raise DeclarationError(
        "this host does not say which suite it is",
        reason="no-suite",
        context=str(os_release),
        hint="dolmen init --suite bookworm",
    )
