"""Which directories the prompt hook and direnv may load: `dolmen allow`, `dolmen deny`.

A record is a file of the user's own, at the directory's path below
`$XDG_STATE_HOME/dolmen/allowed`, each component with a `=` before it (so that no directory can be
taken for a record). It holds digests as sha256sum(1) writes them:

```
~/.local/state/dolmen/allowed/=home/=me/=project/sums
    <sha256>  dolmen.toml
    <sha256>  dolmen.lock
    <sha256>  .dolmen/current/launch        only where this user's store knows the directory:
    <sha256>  .dolmen/current/environ       launchers that came with a copy are not ours
```

The hook compares them in plain shell (data/check.bash). What the user builds himself in a
directory that was allowed stays allowed: `carry` writes the record when a generation goes live.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dolmen.environment.layout import STATE_NAME, Environment
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.errors import DeclarationError, HostError
from dolmen.support.files import write_atomic

#: A file per generation with the variables for the user's own shell (environment/environ.py).
BUILT = (f"{STATE_NAME}/current/launch", f"{STATE_NAME}/current/environ")
DECLARED = (MANIFEST_NAME, LOCK_NAME)
_NAME_MAX = 255
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """A directory's record: the digests in it by file; `built`: there is something to load."""

    directory: Path
    record: Path
    sums: Mapping[str, str]
    built: bool


def records(environ: Mapping[str, str] | None = None) -> Path:
    """Where the records lie; raises HostError ("no-home")."""
    environ = os.environ if environ is None else environ
    for base, rest in ((environ.get("XDG_STATE_HOME"), ""), (environ.get("HOME"), ".local/state")):
        if base and base.startswith("/"):
            return Path(base, rest, "dolmen/allowed")
    raise HostError(
        "there is no home directory to note it in: HOME is not an absolute path",
        reason="no-home",
        hint="XDG_STATE_HOME=DIR dolmen allow, and the same for the shell",
    )


def record_of(directory: Path, environ: Mapping[str, str] | None = None) -> Path:
    """The record's file of a directory (absolute, without symbolic links), there or not."""
    # As the shells do it: a = after each slash.
    return Path(f"{records(environ)}{os.fspath(directory).replace('/', '/=')}", "sums")


def allow(environment: Environment, *, known: bool) -> Allowance:
    """Note that the prompt hook may load a directory as it is now.

    `known`: the store knows the directory, so that its launchers are our own. Raises
    DeclarationError ("no-environment", "foreign-environment", "bad-directory"), HostError.
    """
    environment.manifest_text()
    environment.check(explicit=False)
    directory = environment.directory
    if directory.stat().st_uid != os.geteuid():
        raise DeclarationError(
            "the directory belongs to another user",
            reason="foreign-environment",
            context=str(directory),
            hint="copy dolmen.toml and dolmen.lock to a directory of yours and there: dolmen sync",
        )
    if ":" in str(directory):
        raise DeclarationError(
            "a directory whose path has a colon cannot be on PATH",
            reason="bad-directory",
            context=str(directory),
            hint="rename it; or use: dolmen run",
        )
    return _write(environment, known=known)


def deny(directory: Path) -> bool:
    """Take back what `allow` noted; whether there was a record. The directory may be gone."""
    record = record_of(directory)
    with _told():
        if not record.exists():
            return False
        record.unlink()
        for parent in record.parents:
            if not parent.name.startswith("="):
                break
            parent.rmdir() if not any(parent.iterdir()) else None
    return True


def carry(environment: Environment, *, known: bool = False) -> None:
    """Keep a directory allowed whose live generation was just made or changed by its user.

    Without a record nothing happens. Where it is not `known` that the store has the directory, the
    record that is there must have said so already.
    """
    try:
        record = record_of(environment.directory)
        text = record.read_text(errors="replace")
        _write(environment, known=known or BUILT[0] in text)
    except (OSError, HostError):
        pass  # nothing was allowed, or nothing can be noted: the shell says so


def _write(environment: Environment, *, known: bool) -> Allowance:
    record = record_of(environment.directory)
    names = (*DECLARED, *BUILT) if known else DECLARED
    sums = {name: found for name in names if (found := _sum(environment.directory / name))}
    text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    with _told():
        if any(len(os.fsencode(part)) > _NAME_MAX for part in record.parts):
            raise DeclarationError(
                "a name in the directory's path is too long",
                reason="bad-directory",
                context=str(environment.directory),
                hint="rename it; or use: dolmen run",
            )
        _make(record.parent)
        write_atomic(record, text, mode=0o600)
    return Allowance(environment.directory, record, sums, BUILT[0] in sums)


def _make(directory: Path) -> None:
    """Like `mkdir -p`, but private at each level of ours, whatever the umask."""
    if not directory.is_dir():
        _make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(
            f"cannot note it: {error.strerror}",
            reason="read-only",
            context=str(error.filename),
            hint="XDG_STATE_HOME=DIR dolmen allow, and the same for the shell",
        ) from error


def _sum(path: Path) -> str | None:
    if not path.is_file():
        return None
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
