"""Numbered generations on disk: staged whole, published by one rename, made current by another.

A generation that has a number is complete and durable; whatever begins with a dot is rubbish of a
killed command and is swept by the next writer. The history tells which generation was live when,
so that "the one before" is the one that was really in use, not the number minus one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dolmen.environment import allowing
from dolmen.environment.layout import Environment
from dolmen.model.digest import Sha256, parse_sha256
from dolmen.model.generation import Generation
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.clock import now, wall
from dolmen.support.errors import DeclarationError
from dolmen.support.files import (
    HALF_WRITTEN,
    remove_tree,
    symlink_atomic,
    sync_directory,
    write_atomic,
)

FORMAT = 1
RECORD = "generation.json"
LAUNCH = "launch"
TREE = "tree"
HOST = "host"
_CLOCK_TICK = 0.011
#: The age that files of ours get when they are written, seconds (see `match_times`).
SETTLED = 0.05
BIN = "bin"


@dataclass(frozen=True, slots=True)
class Record:
    """A generation and what makes its re-use cheap.

    `inputs` is the digest of the manifest's part that was solved, `tree` the realised image.
    `entrance` is the digest of what the manifest says about entering, `groups` the groups of
    packages that it was made with, beside those that everybody has.
    """

    generation: Generation
    inputs: Sha256
    commit: Sha256
    tree: Path
    entrance: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of what is live; `before` is None for the first.

    What changes nothing about that (a name, generations removed) has `before` equal to `after` and
    a `note`. `user` is who typed it ("" in lines of old).
    """

    time: str
    action: str
    before: int | None
    after: int
    user: str = ""
    note: str = ""


_HISTORY_KEYS = frozenset(HistoryEntry.__dataclass_fields__)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._+-]{0,63}")


def directory_of(environment: Environment, number: int) -> Path:
    """Where generation `number` lies."""
    return environment.generations / str(number)


def numbers(environment: Environment) -> tuple[int, ...]:
    """The numbers of all generations, ascending."""
    try:
        names = os.listdir(environment.generations)
    except FileNotFoundError:
        return ()
    return tuple(sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]{0,8}", name)))


def current_number(environment: Environment) -> int | None:
    """The number of the live generation, None before the first."""
    try:
        target = os.readlink(environment.current)
    except OSError:
        return None
    match = re.fullmatch(r"generations/([1-9][0-9]{0,8})", target)
    return int(match[1]) if match else None


def read(environment: Environment, number: int) -> Record:
    """A generation's record; raises DeclarationError ("no-generation", "bad-generation")."""
    path = directory_of(environment, number) / RECORD
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            raise DeclarationError(
                f"generation {number} has format {data['format']!r}; this Dolmen reads {FORMAT}",
                reason="generation-format",
                context=str(path),
                hint="use the newer Dolmen that wrote it",
            )
        generation = Generation(
            number=number,
            created=str(data["created"]),
            command=str(data["command"]),
            lock_digest=parse_sha256(data["lock_digest"]),
            image=parse_sha256(data["image"]),
            packages=int(data["packages"]),
            name=data.get("name"),
            pinned=data.get("pinned") is True,
            added=data.get("added"),
            removed=data.get("removed"),
            changed=data.get("changed"),
            modified=data.get("modified") is True,
        )
        return Record(
            generation,
            parse_sha256(data["inputs"]),
            parse_sha256(data["commit"]),
            Path(data["tree"]),
            str(data.get("entrance", "")),
            tuple(map(str, data.get("groups", ()))),
        )
    except FileNotFoundError:
        raise DeclarationError(
            f"there is no generation {number}",
            reason="no-generation",
            context=str(environment.directory),
            hint="see which there are: dolmen generations",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DeclarationError(
            f"generation {number} is damaged: {error}",
            reason="bad-generation",
            context=str(path),
            hint=f"rm -r {path.parent} && dolmen sync",
        ) from None


def current(environment: Environment) -> Record | None:
    """The live generation; None before the first, or where it is damaged."""
    number = current_number(environment)
    if number is None:
        return None
    try:
        return read(environment, number)
    except DeclarationError:
        return None


def stage(
    environment: Environment,
    record: Record,
    files: Mapping[str, str | bytes],
    commands: Mapping[str, str],
) -> Path:
    """Write a generation under a name that nobody reads; durable when it returns.

    `files` maps file names to contents (the launcher among them, and in directories what is
    executed like it), `commands` names in `bin/` to what the link there points at.
    """
    staged = environment.generations / f".new.{os.urandom(8).hex()}"
    staged.mkdir()
    try:
        staged.chmod(0o755)  # whatever the umask
        for name, content in files.items():
            if "/" in name:
                (staged / name).parent.mkdir(exist_ok=True)
            executable = name == LAUNCH or "/" in name
            write_atomic(staged / name, content, mode=0o755 if executable else 0o644)
        (staged / TREE).symlink_to(record.tree)
        links = staged / BIN
        links.mkdir()
        for name, target in commands.items():
            (links / name).symlink_to(target)
        sync_directory(links)
        value = asdict(record.generation)
        value |= {
            "format": FORMAT,
            "inputs": record.inputs,
            "commit": record.commit,
            "tree": str(record.tree),
            "entrance": record.entrance,
            "groups": list(record.groups),
        }
        write_atomic(staged / RECORD, json.dumps(value, indent=1, sort_keys=True) + "\n")
    except BaseException:
        remove_tree(staged)
        raise
    return staged


def publish(environment: Environment, staged: Path, number: int) -> None:
    """Give a staged generation its number."""
    staged.rename(directory_of(environment, number))
    sync_directory(environment.generations)


def activate(environment: Environment, number: int, *, action: str) -> None:
    """Make a generation live and log it. The link moves last but for its log line."""
    before = current_number(environment)
    if before != number:
        symlink_atomic(environment.current, f"generations/{number}")
        _log(environment, HistoryEntry(timestamp(), action, before, number, user_name()))


def note(environment: Environment, action: str, what: str) -> None:
    """Log something that leaves what is live as it is; without a live generation, nothing."""
    here = current_number(environment)
    if here is not None:
        _log(environment, HistoryEntry(timestamp(), action, here, here, user_name(), what))


def next_number(environment: Environment) -> int:
    """The number of the generation to come; numbers are never used twice."""
    used = [*numbers(environment), *(entry.after for entry in read_history(environment))]
    return max(used, default=0) + 1


def read_history(environment: Environment) -> tuple[HistoryEntry, ...]:
    """Every change of what is live, oldest first; a line torn by a crash is skipped."""
    try:
        lines = environment.history.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    entries: list[HistoryEntry] = []
    for line in lines:
        try:
            data = json.loads(line)
            known = {key: value for key, value in data.items() if key in _HISTORY_KEYS}
            entries.append(HistoryEntry(**known))
        except (ValueError, TypeError, AttributeError):
            continue
    return tuple(entries)


def previous_number(environment: Environment) -> int | None:
    """The generation that was live before the present one and still exists."""
    here = current_number(environment)
    there = set(numbers(environment))
    for entry in reversed(read_history(environment)):
        if entry.after == here and entry.before in there and entry.before != here:
            return entry.before
    return None


def unborn(environment: Environment) -> tuple[int, ...]:
    """Generations whose makers were killed between giving them a number and making them live.

    Those that the history does not know and that are newer than all it knows. A history that does
    not end with what is live says nothing.
    """
    live = current_number(environment)
    entries = read_history(environment)
    if (entries[-1].after if entries else None) != live:
        return ()
    known = max((n for e in entries for n in (e.before, e.after) if n is not None), default=0)
    return tuple(number for number in numbers(environment) if number > known)


def sweep(environment: Environment) -> None:
    """Remove what killed commands left; only with the environment's lock held."""
    for number in unborn(environment):
        remove_tree(directory_of(environment, number))
    ours = [environment.generations, environment.state, environment.state / "trials"]
    ours += [directory_of(environment, number) for number in numbers(environment)]
    for directory in ours:
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(directory):
                if entry.name.startswith(".new.") or HALF_WRITTEN.fullmatch(entry.name):
                    remove_tree(Path(entry.path))
    # Beside the user's own files (or what they are links to) nothing but half-written copies goes.
    for path in (environment.manifest.resolve(), environment.lock.resolve()):
        with contextlib.suppress(OSError):
            for entry in os.scandir(path.parent):
                half = HALF_WRITTEN.fullmatch(entry.name)
                if half and half["name"] == path.name:
                    os.unlink(entry.path)


def refresh_copies(environment: Environment, number: int, manifest: str, lock: str) -> None:
    """Renew a generation's copies of manifest and lock after edits that change nothing real.

    The copies serve one purpose, to see in plain sh whether anything was edited since; comments
    and order do not make another generation.
    """
    directory = directory_of(environment, number)
    for name, text in ((MANIFEST_NAME, manifest), (LOCK_NAME, lock)):
        path = directory / name
        if not path.exists() or path.read_bytes() != text.encode():
            write_atomic(path, text)
    match_times(environment, number)
    allowing.carry(environment)


def match_times(environment: Environment, number: int) -> None:
    """Give a generation's copies of manifest and lock the times of what they are copies of.

    The sh front takes equal times, to the nanosecond, for equal files, which saves two processes;
    after any other time it compares. As in git's index, an edit must not fall into the tick of the
    clock that we recorded: what we write ourselves has a time that has passed already, for what
    somebody wrote just now we wait (longer than a tick of 100 Hz); and nothing is recorded on file
    systems that count whole seconds.
    """
    directory = directory_of(environment, number)
    for path in (environment.manifest, environment.lock):
        copy = directory / path.name
        with contextlib.suppress(OSError):
            status = path.stat()
            if abs(wall() - status.st_mtime) < _CLOCK_TICK:
                time.sleep(_CLOCK_TICK)
                status = path.stat()
            fine = status.st_mtime_ns % 1_000_000_000 != 0
            if fine and path.read_bytes() == copy.read_bytes():
                os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))


def annotate(
    environment: Environment,
    number: int,
    *,
    name: str | None = None,
    pinned: bool | None = None,
) -> Record:
    """Change what is the user's in a generation; None leaves it, an empty name takes it away.

    Only with the environment's lock held. Raises DeclarationError ("bad-name", "name-taken").
    """
    record = read(environment, number)
    generation = record.generation
    if name:
        if not _NAME.fullmatch(name):
            raise DeclarationError(
                f"{name[:80]!r} cannot name a generation",
                reason="bad-name",
                context="a name begins with a letter; letters, digits and . _ + - follow",
                hint="dolmen generations name N NAME",
            )
        for other in numbers(environment):
            if other != number and _name_of(environment, other) == name:
                raise DeclarationError(
                    f"generation {other} has the name {name} already",
                    reason="name-taken",
                    context=str(environment.directory),
                    hint=f"dolmen generations unname {other}",
                )
    generation = replace(
        generation,
        name=generation.name if name is None else name or None,
        pinned=generation.pinned if pinned is None else pinned,
    )
    path = directory_of(environment, number) / RECORD
    value = json.loads(path.read_bytes())
    value |= {"name": generation.name, "pinned": generation.pinned}
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True) + "\n")
    return replace(record, generation=generation)


def find(environment: Environment, reference: str) -> int:
    """The number that a user means: a number, a name, or `-` for what was live before.

    Raises DeclarationError ("no-generation", "no-previous").
    """
    if reference == "-":
        previous = previous_number(environment)
        if previous is None:
            raise no_previous(environment)
        return previous
    there = numbers(environment)
    if re.fullmatch(r"[0-9]{1,9}", reference):
        if int(reference) in there:
            return int(reference)
    else:
        for number in there:
            if _name_of(environment, number) == reference:
                return number
    raise DeclarationError(
        f"there is no generation {reference[:80]}",
        reason="no-generation",
        context=str(environment.directory),
        hint="see which there are: dolmen generations",
    )


def no_previous(environment: Environment) -> DeclarationError:
    """Nothing was live before what is live."""
    return DeclarationError(
        "no other generation was live before this one",
        reason="no-previous",
        context=str(environment.directory),
        hint="dolmen generations",
    )


def remove(environment: Environment, number: int) -> None:
    """Take a generation away, at once under its name, then for good; with the lock held."""
    gone = environment.generations / f".new.gone-{number}"
    remove_tree(gone)
    directory_of(environment, number).rename(gone)
    remove_tree(gone)


def _name_of(environment: Environment, number: int) -> str | None:
    try:
        return read(environment, number).generation.name
    except DeclarationError:
        return None


def user_name() -> str:
    """Who types: behind sudo(8) the one who called it."""
    import pwd

    if os.geteuid() == 0 and (name := os.environ.get("SUDO_USER")):
        return name[:64]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def timestamp() -> str:
    """Now, as RFC 3339 in UTC."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _log(environment: Environment, entry: HistoryEntry) -> None:
    line = json.dumps(asdict(entry)) + "\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(environment.history, flags, 0o644)
    try:
        end = os.fstat(fd).st_size
        if end and os.pread(fd, 1, end - 1) != b"\n":
            line = "\n" + line  # the crash that tore the last line must not swallow this one
        os.write(fd, line.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
