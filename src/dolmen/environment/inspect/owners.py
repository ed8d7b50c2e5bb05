"""Which package a file or a command comes from: in the environment, and in the archive."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.archive import Contents, Found, alternatives, catalogue, contents
from dolmen.environment.commands import DIRECTORIES, chain, merged
from dolmen.environment.inspect.view import View
from dolmen.model import Lock, LockedPackage
from dolmen.support.events import Emit, ignore

_DOCUMENTS = "usr/share/doc/"
#: Where a command is looked for, in the order of PATH.
_BIN = (*(f"{directory}/" for directory in DIRECTORIES), "usr/local/bin/")
#: Directories of one architecture's libraries and headers (Multi-Arch); others' are no deeper.
_TRIPLET = re.compile(r"/(?:x86_64|aarch64|i386|arm|riscv64|powerpc64le|s390x)-linux-gnu[a-z]*/")


@dataclass(frozen=True, slots=True)
class Owner:
    """A package that brings a file.

    `path`: the file's, relative, in the merged spelling. `how`: "ships" (it is in the package),
    "alternative" (configuring makes the name, as a link to `target` where that is known) or "link"
    (another package's name leads there). `version` is the installed one's.
    """

    package: str
    path: str
    how: str
    target: str = ""
    version: str = ""
    suite: str = ""


@dataclass(frozen=True, slots=True)
class Which:
    """Who brings `name`.

    `installed`: of this environment; `offered`: of the archive, the best first; `command`: that is
    a command there. `package`: nothing brings it, but a package has that name. `fetched`: when the
    archive's list of files was fetched (seconds since 1970), 0 where it was not asked; `complete`:
    whether all of it could be.
    """

    name: str
    installed: tuple[Owner, ...]
    offered: tuple[Owner, ...]
    command: bool
    package: bool = False
    fetched: float = 0.0
    complete: bool = True


def which(
    seen: View,
    name: str,
    *,
    every: bool = False,
    refresh: bool = False,
    emit: Emit = ignore,
) -> Which:
    """Who brings a command (`jq`), a path (`/usr/bin/jq`, `sys/stat.h`) or a file (`stdio.h`).

    The archive is asked only where the environment has nothing, or for `every`; its list of files
    is fetched on first need. Raises ArchiveError (see archive.contents).
    """
    installed = installed_owners(seen, name)
    # a file called like a command (a completion, a directory of data) does not answer for it
    sure = "/" in name or "." in name or any(o.path.startswith(_BIN) for o in installed)
    if installed and sure and not every and not refresh:
        return Which(name, installed, (), command=installed[0].path.startswith(_BIN))
    with contents(seen.manifest, state=seen.state, refresh=refresh, emit=emit) as listed:
        offered = _offered(seen, name, listed)
        command = bool(offered) and (
            offered[0].how == "alternative" or offered[0].path.startswith(_BIN)
        )
    if not sure and not every:
        installed, offered = ((), offered) if command else (installed, ())
    package = not installed and not offered and bool(_known(seen, [name]))
    return Which(name, installed, offered, command, package, listed.fetched, listed.complete)


def providers(
    seen: View, command: str, *, fetching: bool = False, emit: Emit = ignore
) -> tuple[Owner, ...]:
    """The archive's packages that bring a command on PATH, the best first; none where unknown.

    With `fetching` False the archive's list of files is not fetched for it (45 MB of Debian's
    own): the answer is empty where it never was. See `unambiguous` for the one to take.
    """
    if "/" in command or not command:
        return ()
    listed = contents(seen.manifest, state=seen.state, fetching=fetching, emit=emit)
    if listed is None:
        return ()
    with listed:
        found = _offered(seen, command, listed)
    return tuple(o for o in found if o.how == "alternative" or o.path.startswith(_BIN))


def unambiguous(command: str, owners: Sequence[Owner]) -> str | None:
    """The one package to take for a command: the only one, or the one of that name."""
    packages = dict.fromkeys(owner.package for owner in owners)
    if command in packages:
        return command
    return next(iter(packages)) if len(packages) == 1 else None


def installed_owners(seen: View, name: str) -> tuple[Owner, ...]:
    """Who brings a file in the environment's image; none where there is no image."""
    tree = seen.tree()
    if tree is None:
        return ()
    lock = seen.lock()
    lists = _Lists(tree, lock)
    if "/" not in name:
        for directory in DIRECTORIES:
            path = f"{directory}/{name}"
            if os.path.lexists(tree / path):
                found = _of_path(tree, lists, path)
                if found:
                    return found
        return tuple(lists.ending(f"/{name}"))
    path = merged(os.path.normpath(name).lstrip("/"))
    if os.path.lexists(tree / path) and (found := _of_path(tree, lists, path)):
        return found
    return () if name.startswith("/") else tuple(lists.ending(f"/{path}"))


def _of_path(tree: Path, lists: _Lists, path: str) -> tuple[Owner, ...]:
    """The owner of a path, or of the first thing that it leads to."""
    for step in chain(tree, path):
        packages = lists.exact(step)
        if packages:
            if step == path:
                how = "ships"
            else:
                first = os.readlink(tree / path)
                how = "alternative" if first.startswith("/etc/alternatives/") else "link"
            target = "" if step == path else step
            return tuple(Owner(p.name, path, how, target, p.version) for p in packages)
    return ()


class _Lists:
    """dpkg's lists of files in an image, read once and searched as text."""

    def __init__(self, tree: Path, lock: Lock) -> None:
        self._tree = tree
        self._texts: list[tuple[LockedPackage, bytes]] = []
        info = tree / "var/lib/dpkg/info"
        for package in lock.packages:
            for name in (package.name, f"{package.name}:{package.architecture}"):
                try:
                    data = (info / f"{name}.list").read_bytes()
                except OSError:
                    continue
                self._texts.append((package, b"\n" + data + b"\n"))
                break

    def exact(self, path: str) -> list[LockedPackage]:
        """The packages that have a path, in whichever spelling."""
        spellings = [path, path.removeprefix("usr/")] if path.startswith("usr/") else [path]
        needles = [f"\n/{spelling}\n".encode(errors="surrogateescape") for spelling in spellings]
        return [p for p, text in self._texts if any(needle in text for needle in needles)]

    def ending(self, end: str) -> Iterable[Owner]:
        """The paths that end like this, and whose they are."""
        needle = end.encode(errors="surrogateescape") + b"\n"
        for package, text in self._texts:
            at = text.find(needle)
            while at >= 0:
                start = text.rfind(b"\n", 0, at) + 1
                path = text[start : at + len(needle) - 1].decode(errors="surrogateescape")
                if not os.path.isdir(self._tree / path.lstrip("/")):
                    yield Owner(
                        package.name, merged(path.lstrip("/")), "ships", "", package.version
                    )
                at = text.find(needle, at + len(needle) - 1)


def _offered(seen: View, name: str, listed: Contents) -> tuple[Owner, ...]:
    """The archive's answer, the best first."""
    path = merged(os.path.normpath(name).lstrip("/"))
    if path.startswith(_DOCUMENTS):
        return _documents(seen, path)
    found = listed.named(os.path.basename(path))
    if name.startswith("/"):
        return _sorted(path, [f for f in found if f.path == path])
    if "/" in name:
        ours = [f for f in found if f.path == path or f.path.endswith(f"/{path}")]
        return _sorted(path, ours)
    shipped = [f for f in found if os.path.dirname(f.path) + "/" in _BIN]
    linked = _known(seen, alternatives(name))
    owners = [Owner(package, f"usr/bin/{name}", "alternative") for package in linked]
    owners += [o for o in _sorted(name, shipped) if o.package not in linked]
    if owners:
        return tuple(owners)
    elsewhere = [f for f in found if os.path.basename(os.path.dirname(f.path)) in ("bin", "sbin")]
    if elsewhere:
        # such programs get their name on PATH as alternatives do (/usr/lib/jvm/…/bin/jstack)
        return tuple(
            Owner(o.package, f"usr/bin/{name}", "alternative", o.path, "", o.suite)
            for o in _sorted(name, elsewhere)
        )
    return _sorted(name, found)


def _documents(seen: View, path: str) -> tuple[Owner, ...]:
    """Documents are not in our index; the directory's name says whose they are (Policy 12.3)."""
    package = path.removeprefix(_DOCUMENTS).partition("/")[0]
    return tuple(Owner(name, path, "ships") for name in _known(seen, [package]))


def _known(seen: View, packages: Sequence[str]) -> list[str]:
    """Those that the sources offer."""
    if not packages:
        return []
    offered = catalogue(seen.manifest, state=seen.state)
    return [package for package in packages if offered.offers(package)]


def _sorted(name: str, found: Sequence[Found]) -> tuple[Owner, ...]:
    """The package of the file's own name first, then in the order of PATH, then short names."""
    stem = os.path.basename(name).partition(".")[0]

    def rank(file: Found) -> tuple[object, ...]:
        place = os.path.dirname(file.path) + "/"
        return (
            _BIN.index(place) if place in _BIN else len(_BIN),
            file.package != stem,
            _TRIPLET.sub("/", file.path).count("/"),
            len(file.package),
            file.package,
            file.path,
        )

    return tuple(
        Owner(f.package, f.path, "ships", "", "", f.suite) for f in sorted(found, key=rank)
    )
