"""Is the whole store what its names promise? Nothing is changed, and no damage stops the check.

Every object is examined, needed or not: a damaged one that nobody needs would be taken for a good
one by the next import. Then refs, pointers, package indexes, realised trees, .debs and roots.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.store.examining import examine_all
from dolmen.store.layout import DIRECTORIES
from dolmen.store.objects import (
    Objects,
    root_checksum,
)
from dolmen.store.package import parse_index
from dolmen.store.reading import Reading
from dolmen.store.roots import LEASES, root_name
from dolmen.store.usage import ObjectName
from dolmen.support.clock import monotonic
from dolmen.support.errors import StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted, ignore

SHA256 = re.compile(r"[0-9a-f]{64}")
_DEB = re.compile(r"([0-9a-f]{64})\.deb")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be.

    `part`: directory, object, ref, pointer, package, tree, deb, root, generation, environment.
    `what`: what is wrong, a word or a few. `name`: which it is (an object as CHECKSUM.KIND).
    `path`: where it lies, in an image for objects, in a realised tree, or in the file system.
    `refs`: what holds the object. `sufferers`: generations and trials, as people name them.
    """

    part: str
    what: str
    name: str
    path: str = ""
    refs: tuple[str, ...] = ()
    sufferers: tuple[str, ...] = ()


@dataclass(slots=True)
class Checked:
    """What was looked at, how many of each, and what is wrong; `leftovers` harm nobody."""

    faults: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    #: Objects with which something is wrong; what trees hold of these is not told twice.
    bad: dict[ObjectName, str] = field(default_factory=dict)

    def count(self, kind: str) -> None:
        """One more was looked at."""
        self.counts[kind] = self.counts.get(kind, 0) + 1


def check_store(store: Path, *, quick: bool = False, emit: Emit = ignore) -> Checked:
    """Check all of a store; `quick`: contents are read only where something was written to."""
    began = monotonic()
    found = Checked()
    found.faults += _directories(store)
    reading = Reading(Objects(store / "repo"))
    refs = _refs(store, reading, found)
    needed = reading.reach(refs.values())
    names = sorted(needed | _loose(store))
    emit(PhaseStarted(Phase.CHECK, len(names)))
    found.bad = examine_all(
        reading.objects,
        names,
        quick=quick,
        told=lambda done: emit(PhaseProgress(Phase.CHECK, done, len(names))),
    )
    found.counts["objects"] = len(names)
    for name in reading.unsafe:
        found.bad.setdefault(name, "unsafe name")
    found.faults += _objects(reading, refs, found.bad)
    for ref, commit in refs.items():
        found.faults += _ref(reading, ref, commit)
    _pointers(store, refs, found)
    _trees(store, reading, refs, quick, found)
    _debs(store, quick, found)
    _roots(store, found)
    _leftovers(store, found)
    emit(PhaseFinished(Phase.CHECK, len(names), monotonic() - began))
    return found


def _directories(store: Path) -> Iterator[Fault]:
    """The store's own: there, and ours to use."""
    base = store / "repo/objects"
    places = [store / name for name in (*DIRECTORIES, "repo/refs/heads", "repo/objects")]
    places += [path for path in _entries(base) if len(path.name) == 2]
    for path in places:
        name = str(path.relative_to(store))
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            yield Fault("directory", "missing", name, str(path))
            continue
        except OSError as error:
            yield Fault("directory", f"unreadable: {error.strerror}", name, str(path))
            continue
        if not stat.S_ISDIR(mode):
            yield Fault("directory", "kind", name, str(path))
        elif mode & 0o700 != 0o700:
            yield Fault("directory", "mode", name, str(path))


def _loose(store: Path) -> set[ObjectName]:
    """Every loose object that can be seen."""
    found: set[ObjectName] = set()
    for directory in _entries(store / "repo/objects"):
        for path in _entries(directory) if len(directory.name) == 2 else ():
            rest, _, kind = path.name.rpartition(".")
            if SHA256.fullmatch(f"{directory.name}{rest}"):
                found.add((f"{directory.name}{rest}", kind))
    return found


def read_refs(store: Path) -> Iterator[tuple[str, str]]:
    """Every ref, whatever is in it: "deb/<digest>", "image/<root>", "remotes/…"."""
    base = store / "repo/refs"
    for directory, _, names in os.walk(base):
        for name in sorted(names):
            path = os.path.join(directory, name)
            try:
                with open(path, "rb") as stream:
                    text = stream.read(200).decode("ascii", "replace").strip()
            except OSError:
                text = "?"
            yield os.path.relpath(path, base).removeprefix("heads/"), text


def _refs(store: Path, reading: Reading, found: Checked) -> dict[str, str]:
    """Those that name a commit; the others are faults."""
    refs: dict[str, str] = {}
    for ref, text in read_refs(store):
        if os.path.basename(ref).startswith("."):
            found.leftovers.append(f"repo/refs/heads/{ref}")
            continue
        found.count("refs")
        if SHA256.fullmatch(text):
            if reading.objects.has(text, "commit"):
                refs[ref] = text
                continue
            kinds = ("file", "dirtree", "dirmeta")
            other = next((kind for kind in kinds if reading.objects.has(text, kind)), "")
            what = f"names a {other}, not a commit" if other else f"dangling: no commit {text}"
            if not other:
                refs[ref] = text  # the commit is missing, and is told as an object too
        else:
            what = "no checksum" if text else "empty"
        found.faults.append(Fault("ref", what, ref, refs=(ref,)))
    return refs


def _objects(
    reading: Reading, refs: Mapping[str, str], bad: Mapping[ObjectName, str]
) -> Iterator[Fault]:
    where: dict[ObjectName, str] = {}
    holders: dict[ObjectName, list[str]] = {}
    if bad:
        # Images first: theirs are the paths that people know.
        for ref, commit in sorted(refs.items(), key=lambda one: (one[0][:6] != "image/", one[0])):
            for name, path in reading.paths(commit):
                if name in bad:
                    where.setdefault(name, path)
                    mine = holders.setdefault(name, [])
                    if ref not in mine[-1:]:
                        mine.append(ref)
    for name, what in sorted(bad.items()):
        yield Fault(
            "object",
            what,
            ".".join(name),
            where.get(name, ""),
            tuple(sorted(set(holders.get(name, ())))),
        )


def _ref(reading: Reading, ref: str, checksum: str) -> Iterator[Fault]:
    """Is it that image's, that package's commit?"""
    kind, _, name = ref.partition("/")
    commit = reading.commit(checksum)
    if commit is None:
        return
    if kind == "image" and root_checksum(commit.tree, commit.meta) != name:
        yield Fault("ref", "names another image's commit", ref, refs=(ref,))
    elif kind == "deb":
        root = reading.tree(commit.tree)
        if root is None:
            return
        try:
            text = reading.objects.read(root.files["index.json"])
            if parse_index(text, root.dirs["data"]).sha256 != name:
                yield Fault("ref", "names another package's commit", ref, refs=(ref,))
        except StoreError as error:
            if error.reason != "object-missing":
                yield Fault("package", error.message, ref, "/index.json", refs=(ref,))
        except KeyError as error:
            yield Fault("ref", f"names no package tree: no {error}", ref, refs=(ref,))
        except OSError:
            return  # told as an object


def _pointers(store: Path, refs: Mapping[str, str], found: Checked) -> None:
    for path in _entries(store / "images"):
        if path.name.startswith("."):
            found.leftovers.append(f"images/{path.name}")
            continue
        found.count("pointers")
        try:
            root = os.path.basename(os.readlink(path))
        except OSError:
            root = ""
        if not SHA256.fullmatch(root) or not SHA256.fullmatch(path.name):
            found.faults.append(Fault("pointer", "names no image", path.name, str(path)))
        elif f"image/{root}" not in refs:
            what = "dangling: no ref of its image"
            found.faults.append(Fault("pointer", what, path.name, str(path), (f"image/{root}",)))


def _trees(
    store: Path, reading: Reading, refs: Mapping[str, str], quick: bool, found: Checked
) -> None:
    from dolmen.store.realised import check_tree

    for path in _entries(store / "trees"):
        commit = refs.get(f"image/{path.name}")
        if commit is None:
            if path.name.startswith(".") or SHA256.fullmatch(path.name):
                found.leftovers.append(f"trees/{path.name}")
            else:
                found.faults.append(Fault("tree", "no image's name", path.name, str(path)))
            continue
        found.count("trees")
        if reading.commit(commit) is None:
            continue  # told as an object; without it nothing says what the tree should be
        for below, what in check_tree(reading, commit, path, found.bad, quick=quick):
            ref = f"image/{path.name}"
            found.faults.append(Fault("tree", what, path.name, below, refs=(ref,)))


def _debs(store: Path, quick: bool, found: Checked) -> None:
    for path in _entries(store / "debs"):
        match = _DEB.fullmatch(path.name)
        if match is None:
            found.leftovers.append(f"debs/{path.name}")
            continue
        found.count("debs")
        if not quick and file_digest(path) != match[1]:
            refs = (f"deb/{match[1]}",)
            found.faults.append(Fault("deb", "content", path.name, str(path), refs))


def _roots(store: Path, found: Checked) -> None:
    for path in _entries(store / "roots"):
        if path.name.startswith("."):
            found.leftovers.append(f"roots/{path.name}")
            continue
        found.count("roots")
        try:
            target = os.readlink(path)
        except OSError:
            found.faults.append(Fault("root", "no symbolic link", path.name, str(path)))
            continue
        if root_name(Path(target)) != path.name:
            found.faults.append(Fault("root", f"not the name of {target}", path.name, str(path)))
    for path in _entries(store / LEASES):
        if path.name.startswith("."):
            found.leftovers.append(f"{LEASES}/{path.name}")
        elif not _is_lease(path):
            found.faults.append(Fault("root", "damaged lease", path.name, str(path)))


def _is_lease(path: Path) -> bool:
    import json

    try:
        data = json.loads(path.read_bytes())
        return isinstance(data, dict) and "everything" in data and "images" in data
    except (OSError, ValueError):
        return False


def _leftovers(store: Path, found: Checked) -> None:
    from dolmen.store.collect import is_held

    found.leftovers += [f"tmp/{p.name}" for p in _entries(store / "tmp") if not is_held(p)]
    found.leftovers.sort()


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def file_digest(path: Path) -> str:
    """The SHA-256 of a file; "" where it cannot be read."""
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                hashed.update(piece)
    except OSError:
        return ""
    return hashed.hexdigest()
