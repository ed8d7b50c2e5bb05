"""Trials: writable layers over an image of the environment, on disk.

```
.dolmen/trials/NAME/
    trial.json            what it is based on
    dolmen.toml           the manifest of the generation it began with
    dolmen.lock           the lock of the image below it: the generation's, with apt
    lock                  flock: held as long as anything runs in it, or somebody keeps or drops it
    files/                keyrings, shown inside at /run/dolmen
    upper/ work/ merged/  the overlay's; upper holds all that was changed
```

A trial is there whole or not at all (staged, then renamed), outlives logout and reboot, and keeps
its image from being collected. It is bound to its place on the disk: one that came with a clone or
a copy is a stranger's, and is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.environment.layout import Environment, read_text
from dolmen.model import Lock, Sha256, parse_lock
from dolmen.model.digest import parse_sha256
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.support.errors import BusyError, DeclarationError, DolmenError
from dolmen.support.files import remove_tree, sync_directory, write_atomic

FORMAT = 1
TRIALS = "trials"
RECORD, HELD = "trial.json", "lock"
DEFAULT = "trial"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_STAGED = ".new."
#: A descriptor that a shell between cannot take for one of its own.
_LEAST_FD = 64


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial; `generation` is where it began, `image`, `commit` and `tree` what lies below.

    `helpers`: packages that are only there so that apt is. `shares`: host directories that were
    shown inside, which are no part of the layer.
    """

    name: str
    directory: Path
    created: str
    generation: int
    image: Sha256
    commit: Sha256
    tree: Path
    helpers: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    @property
    def upper(self) -> Path:
        """What was changed, as an overlay keeps it."""
        return self.directory / "upper"

    @property
    def files(self) -> Path:
        """What is shown inside at /run/dolmen."""
        return self.directory / "files"

    @property
    def lock(self) -> Path:
        """The lock of the image below."""
        return self.directory / LOCK_NAME

    def at(self, path: str) -> Path:
        """Where a file (relative path) of the trial lies: in the layer, else in the image.

        For files that dpkg or apt replace, never for what a whiteout may hide.
        """
        changed = self.upper / path
        return changed if changed.is_file() and not changed.is_symlink() else self.tree / path


def directory_of(environment: Environment, name: str) -> Path:
    """Where a trial lies; raises DeclarationError ("bad-trial-name")."""
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name[:80]!r} cannot name a trial",
            reason="bad-trial-name",
            context="letters, digits and . _ + - after the first",
            hint="dolmen try --name NAME",
        )
    return environment.state / TRIALS / name


def names(environment: Environment) -> tuple[str, ...]:
    """The names of all trials, sorted."""
    try:
        found = os.listdir(environment.state / TRIALS)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(name for name in found if _NAME.fullmatch(name)))


def find(environment: Environment, name: str | None) -> Trial:
    """A trial by name; without one the only trial there is.

    Raises DeclarationError ("no-trial", "which-trial", "bad-trial", "foreign-trial").
    """
    if name is None:
        there = names(environment)
        if len(there) > 1:
            raise DeclarationError(
                f"there are {len(there)} trials",
                reason="which-trial",
                context=", ".join(there[:20]),
                hint=f"name one: --name {there[0]}",
            )
        name = there[0] if there else DEFAULT
    trial = read(environment, name)
    if not _is_ours(trial):
        raise DeclarationError(
            f"the trial {name} was not made here: it came with a clone or a copy",
            reason="foreign-trial",
            context=str(trial.directory),
            hint=f"dolmen drop --name {name}",
        )
    return trial


def read(environment: Environment, name: str) -> Trial:
    """A trial's record; raises DeclarationError ("no-trial", "bad-trial")."""
    directory = directory_of(environment, name)
    try:
        data = json.loads((directory / RECORD).read_bytes())
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}")
        return Trial(
            name=name,
            directory=directory,
            created=str(data["created"]),
            generation=int(data["generation"]),
            image=parse_sha256(data["image"]),
            commit=parse_sha256(data["commit"]),
            tree=Path(data["tree"]),
            helpers=tuple(map(str, data["helpers"])),
            shares=tuple(map(str, data["shares"])),
        )
    except (FileNotFoundError, NotADirectoryError):
        raise DeclarationError(
            f"there is no trial {name} here",
            reason="no-trial",
            context=str(environment.directory),
            hint="dolmen try --list",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DeclarationError(
            f"the record of the trial {name} is damaged: {error}",
            reason="bad-trial",
            context=str(directory / RECORD),
            hint=f"dolmen drop --name {name}",
        ) from None


def lock_of(trial: Trial) -> Lock | None:
    """The lock of the image below; None where it is damaged."""
    try:
        text = read_text(trial.lock)
        return None if text is None else parse_lock(text)
    except DolmenError:
        return None


@contextlib.contextmanager
def staged(environment: Environment) -> Iterator[Path]:
    """A directory for a trial in the making; gone at the end unless it was published."""
    place = environment.state / TRIALS
    place.mkdir(exist_ok=True)
    for entry in place.glob(f"{_STAGED}*"):
        remove_tree(entry)  # the caller holds the environment, so nobody is at work on it
    directory = place / f"{_STAGED}{os.urandom(8).hex()}"
    directory.mkdir(mode=0o755)
    (directory / HELD).touch(0o600)
    try:
        yield directory
    finally:
        if directory.exists():
            remove_tree(directory)


def publish(environment: Environment, directory: Path, name: str) -> None:
    """Give a staged trial its name, durably."""
    sync_directory(directory)
    directory.rename(directory_of(environment, name))
    sync_directory(environment.state / TRIALS)


def write(trial: Trial, directory: Path | None = None) -> None:
    """Write a trial's record, into `directory` while it is staged there."""
    place = directory or trial.directory
    status = (place / "upper").stat()
    value = {
        "format": FORMAT,
        "created": trial.created,
        "generation": trial.generation,
        "image": trial.image,
        "commit": trial.commit,
        "tree": str(trial.tree),
        "helpers": list(trial.helpers),
        "shares": list(trial.shares),
        "place": [status.st_ino, status.st_uid],
    }
    write_atomic(place / RECORD, json.dumps(value, indent=1, sort_keys=True) + "\n")


def _is_ours(trial: Trial) -> bool:
    """Whether the layer is the very directory that was made here (a copy has another inode)."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads((trial.directory / RECORD).read_bytes())
        status = trial.upper.lstat()
        return data["place"] == [status.st_ino, status.st_uid] and status.st_uid == os.geteuid()
    return False


def remove(environment: Environment, name: str) -> None:
    """Take a trial away, at once under its name, then for good."""
    directory = directory_of(environment, name)
    gone = directory.with_name(f"{_STAGED}{os.urandom(8).hex()}")
    directory.rename(gone)
    sync_directory(gone.parent)
    remove_tree(gone)


def hold(environment: Environment, name: str) -> int:
    """Take the trial for oneself; the descriptor that holds it, close-on-exec.

    Raises BusyError ("trial-running"), DeclarationError ("no-trial").
    """
    directory = directory_of(environment, name)
    try:
        low = os.open(directory / HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        raise DeclarationError(
            f"there is no trial {name} here",
            reason="no-trial",
            context=str(environment.directory),
            hint="dolmen try --list",
        ) from None
    try:
        fcntl.flock(low, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _LEAST_FD)
    except BlockingIOError:
        raise BusyError(
            f"the trial {name} is in use",
            reason="trial-running",
            context=str(directory),
            hint=f"leave it first; who is in it: fuser -v {directory / HELD}",
        ) from None
    finally:
        os.close(low)


@contextlib.contextmanager
def held(environment: Environment, name: str) -> Iterator[None]:
    """`hold` for the time of a block."""
    fd = hold(environment, name)
    try:
        yield
    finally:
        os.close(fd)


def is_running(environment: Environment, name: str) -> bool:
    """Whether somebody is in it just now."""
    try:
        with held(environment, name):
            return False
    except BusyError:
        return True
    except (DeclarationError, OSError):
        return False
