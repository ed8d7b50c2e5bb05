"""A package tree: one .deb imported once, and its index.

Layout of the commit (ref `deb/<SHA-256 of the .deb>`): `/data` (the files, aliased directories
rewritten below `usr`), `/control/<member>`, `/list` (ready as dpkg's `info/PKG.list`) and
`/index.json`. Objects are canonical (0:0, no extended attributes, no setuid or setgid bits); the
index keeps what the .deb said, so that images of systems can be made from the same import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dolmen.model import Sha256
from dolmen.support.errors import StoreError

FORMAT = 1

#: Top-level directories that are links into usr on a merged system (base-files 13; usrmerge).
ALIASED = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"})


@dataclass(frozen=True, slots=True)
class PathEntry:
    """One member of data.tar in the spelling of dpkg's `.list` ("/." or "/usr/bin/x").

    Kinds: d, f, l (symbolic link), h (hard link; `target` is the other path). `mode` is the true
    one with setuid bits, `digest` the object ("" for directories), `xattrs` those worth keeping
    (name, value in hexadecimal digits).
    """

    path: str
    kind: str
    target: str = ""
    mode: int = 0
    digest: str = ""
    size: int = 0
    uname: str = "root"
    gname: str = "root"
    xattrs: tuple[tuple[str, str], ...] = ()

    @property
    def merged(self) -> str:
        """Where it lies in a tree: relative, aliased directories rewritten, "" for the root."""
        return usrmerged(self.path[1:].removeprefix("."), link=self.kind == "l")


@dataclass(frozen=True, slots=True)
class PackageTree:
    """The index of an imported .deb.

    `control`: the control file's text. `members`: the other control members -> objects, md5sums
    made when the .deb has none. `conffiles`: path -> MD5. `skipped`: paths of devices, fifos and
    sockets, which no tree can hold. `data`: dirtree and dirmeta of `/data`.
    """

    sha256: Sha256
    control: str
    members: Mapping[str, Sha256]
    paths: tuple[PathEntry, ...]
    conffiles: Mapping[str, str]
    list_object: Sha256
    skipped: tuple[str, ...] = ()
    data: tuple[Sha256, Sha256] = field(default=(Sha256(""), Sha256("")), repr=False)


def usrmerged(path: str, *, link: bool = False) -> str:
    """A relative path with aliased top-level directories rewritten ("bin/x" -> "usr/bin/x").

    A symbolic link of that very name (base-files ships them since trixie) stays where it is.
    """
    first, slash, _ = path.partition("/")
    if first in ALIASED and (slash or not link):
        return f"usr/{path}"
    return path


def _entry(
    path: str,
    kind: str,
    target: str,
    mode: int,
    digest: str,
    size: int,
    uname: str,
    gname: str,
    xattrs: list[list[str]],
) -> PathEntry:
    kept = tuple((name, value) for name, value in xattrs)
    return PathEntry(path, kind, target, mode, digest, size, uname, gname, kept)


def render_index(tree: PackageTree) -> bytes:
    """The text of `/index.json`."""
    document = {
        "format": FORMAT,
        "sha256": tree.sha256,
        "control": tree.control,
        "members": dict(sorted(tree.members.items())),
        "conffiles": dict(tree.conffiles),
        "list": tree.list_object,
        "skipped": list(tree.skipped),
        "paths": [
            [p.path, p.kind, p.target, p.mode, p.digest, p.size, p.uname, p.gname, p.xattrs]
            for p in tree.paths
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def parse_index(text: bytes, data: tuple[Sha256, Sha256]) -> PackageTree:
    """Read `/index.json`; raises StoreError ("store-format", "object-damaged")."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise StoreError(
                f"a package was imported in format {document['format']}; this Dolmen reads "
                f"{FORMAT}",
                reason="store-format",
                hint="use the Dolmen that wrote it",
            )
        return PackageTree(
            sha256=document["sha256"],
            control=document["control"],
            members=document["members"],
            paths=tuple(_entry(*row) for row in document["paths"]),
            conffiles=document["conffiles"],
            list_object=document["list"],
            skipped=tuple(document["skipped"]),
            data=data,
        )
    except (ValueError, KeyError, TypeError, IndexError):
        raise StoreError(
            "the index of an imported package is damaged",
            reason="object-damaged",
            hint="see what else is damaged: dolmen fsck",
        ) from None
