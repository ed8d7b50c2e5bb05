"""Where an environment keeps its things, and whose they must be.

```
dolmen.toml  dolmen.lock          for version control
.dolmen/                          not for it: the directory ignores itself
    format                        "1"
    lock                          flock: one writer at a time
    root                          the name under which the store knows this directory, and its path
    current -> generations/N      moves last
    bin -> current/bin            for PATH
    generations/N/{generation.json,dolmen.toml,dolmen.lock,tree,host/,launch,bin/}
    history                       one JSON object a line, only ever appended to
```

`.dolmen/` holds shell scripts that run outside of any sandbox, so one that somebody else owns is
refused, as git refuses a foreign `.git` (CVE-2022-24765).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.errors import DeclarationError, HostError
from dolmen.support.events import Emit, ignore
from dolmen.support.files import sync_directory, write_atomic
from dolmen.support.locking import DEFAULT_TIMEOUT, locked

FORMAT = "1"
STATE_NAME = ".dolmen"
_MAX_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Environment:
    """A directory with a manifest, a lock and generations; `directory` is absolute."""

    directory: Path

    @property
    def manifest(self) -> Path:
        """What the user declares."""
        return self.directory / MANIFEST_NAME

    @property
    def lock(self) -> Path:
        """The solved closure."""
        return self.directory / LOCK_NAME

    @property
    def state(self) -> Path:
        """Everything that is not for version control."""
        return self.directory / STATE_NAME

    @property
    def generations(self) -> Path:
        """The directory of numbered generations."""
        return self.state / "generations"

    @property
    def current(self) -> Path:
        """The link to the generation in use."""
        return self.state / "current"

    @property
    def history(self) -> Path:
        """The log of what was live when."""
        return self.state / "history"

    @property
    def root(self) -> Path:
        """Holds the name of the store's root for this directory."""
        return self.state / "root"

    def manifest_text(self) -> str:
        """The manifest as it is on disk; raises DeclarationError ("no-environment")."""
        text = read_text(self.manifest)
        if text is None:
            raise DeclarationError(
                f"there is no {MANIFEST_NAME} here",
                reason="no-environment",
                context=str(self.directory),
                hint="dolmen init",
            )
        return text

    def lock_text(self) -> str | None:
        """The lock as it is on disk, None where there is none."""
        return read_text(self.lock)

    def create_state(self) -> None:
        """Make `.dolmen` where it is missing; raises HostError ("read-only") where it cannot be."""
        try:
            self.generations.mkdir(parents=True, exist_ok=True)
            if not (self.state / "format").exists():
                write_atomic(self.state / ".gitignore", "*\n")
                link = self.state / "bin"
                if not link.is_symlink():
                    link.symlink_to("current/bin")
                write_atomic(self.state / "format", FORMAT + "\n")
                sync_directory(self.directory)
        except OSError as error:
            raise HostError(
                f"cannot write here: {error.strerror}",
                reason="read-only",
                context=str(error.filename or self.state),
                hint="name a directory that is yours: dolmen --dir DIR …",
            ) from error

    @contextlib.contextmanager
    def held(self, emit: Emit = ignore, *, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
        """Be the only writer; others wait. Makes `.dolmen` on first use."""
        self.create_state()
        what = f"the environment {self.directory}"
        with locked(self.state / "lock", what=what, timeout=timeout, emit=emit):
            # The holder before us may have been the one who tidied up a directory it had made.
            self.create_state()
            yield

    def check(self, *, explicit: bool) -> None:
        """Refuse a directory that is not ours to trust, or of a newer format.

        `explicit`: the user named the directory, so a manifest owned by someone else will do; what
        is in `.dolmen` never will. Raises DeclarationError ("foreign-environment",
        "environment-format").
        """
        user = os.geteuid()
        for path in (self.state,) if explicit else (self.state, self.manifest):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                owner = _owner(path)
                if owner != user:
                    raise DeclarationError(
                        f"{path.name} belongs to another user (uid {owner}, you are {user})",
                        reason="foreign-environment",
                        context=str(self.directory),
                        hint="become its owner, or copy dolmen.toml and dolmen.lock to a directory "
                        "of yours and there: dolmen sync",
                    )
        found = read_text(self.state / "format")
        if found is not None and found.strip() != FORMAT:
            raise DeclarationError(
                f"{STATE_NAME} has format {found.strip()[:20]!r}; this Dolmen reads format "
                f"{FORMAT}",
                reason="environment-format",
                context=str(self.state),
                hint="use the newer Dolmen that wrote it, or start anew: rm -r .dolmen && "
                "dolmen sync",
            )


def open_environment(directory: Path) -> Environment:
    """The environment of a directory that the user named; it need not have a manifest yet."""
    environment = Environment(absolute(directory))
    environment.check(explicit=True)
    return environment


def find_environment(start: Path | None = None) -> Environment:
    """The environment of `start` (the working directory) or the nearest one above it.

    Raises DeclarationError ("no-environment").
    """
    here = absolute(start or Path())
    for directory in (here, *here.parents):
        if (directory / MANIFEST_NAME).is_file():
            environment = Environment(directory)
            environment.check(explicit=False)
            return environment
    raise DeclarationError(
        f"there is no {MANIFEST_NAME} here, nor in any directory above",
        reason="no-environment",
        context=str(here),
        hint="dolmen init",
    )


def absolute(path: Path) -> Path:
    """A directory's own path; raises HostError ("no-directory") where we are nowhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise HostError(
            f"cannot read the directory {path}: {getattr(error, 'strerror', None) or error}",
            reason="no-directory",
            hint="cd",
        ) from error


def _owner(path: Path) -> int:
    try:
        return path.lstat().st_uid
    except PermissionError as error:
        raise HostError(
            f"cannot look into this directory: {error.strerror}",
            reason="no-directory",
            context=str(path.parent),
            hint="name a directory that is yours: dolmen --dir DIR …",
        ) from error


def read_text(path: Path) -> str | None:
    """A file of ours as it is, None where there is none.

    Raises DeclarationError ("too-large", "not-utf8", "unreadable").
    """
    try:
        if path.stat().st_size > _MAX_FILE:
            raise DeclarationError(
                f"{path.name} is larger than {_MAX_FILE >> 20} MiB",
                reason="too-large",
                context=str(path),
                hint=f"restore {path.name} from version control",
            )
        # Bytes: text mode would change the ends of lines, and follow the locale's encoding.
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise DeclarationError(
            f"{path.name} is not UTF-8 text: byte {error.start} cannot be decoded",
            reason="not-utf8",
            context=str(path),
            hint=f"restore {path.name} from version control",
        ) from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise DeclarationError(
            f"cannot read {path.name}: {error.strerror}",
            reason="unreadable",
            context=str(path),
            hint=f"ls -ld {path.name}",
        ) from None
