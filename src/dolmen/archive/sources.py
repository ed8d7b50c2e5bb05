"""Where packages come from when a manifest names no source: the host's own Debian sources.

The host's entries, one-line and deb822 (sources.list(5)), are re-targeted to the suite asked for.
Third-party entries are left out, and so is everything that weakens trust (`trusted=yes`,
`check-valid-until=no`): only URIs, components and the keyring are taken over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dolmen.archive.credentials import without_password
from dolmen.model import Source
from dolmen.support.errors import ArchiveError

#: The keyring of the package debian-archive-keyring.
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: Suites without -updates and -security beside them.
ROLLING = frozenset({"sid", "unstable", "experimental", "rc-buggy"})

_AREAS = frozenset({"main", "contrib", "non-free", "non-free-firmware"})
_SUITE = re.compile(
    r"(?P<base>(?:old){0,2}stable|testing|unstable|sid|experimental|rc-buggy|[a-z]+)"
    r"(?P<pocket>-updates|-security|/updates|-backports|)"
)
_CODENAMES = ROLLING | {
    *("stable", "oldstable", "oldoldstable", "testing"),
    *("stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke"),
}
_STAMPED = re.compile(r"(?P<base>.*/archive/[^/]+)/(?P<stamp>[0-9]{8}T[0-9]{6}Z)/?")
_OPTION = re.compile(r"([A-Za-z-]+)([+-]?)=(\S*)")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the host, as it was written."""

    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None
    enabled: bool = True


def default_sources(
    suite: str,
    *,
    etc: Path = Path("/etc/apt"),
    lists: Path = Path("/var/lib/apt/lists"),
) -> tuple[Source, ...]:
    """The host's Debian sources (those below `etc`), re-targeted to `suite`.

    NAME becomes `suite`; NAME-updates, NAME-security and NAME-backports follow it, but a rolling
    suite (sid) has none of them. An entry counts as Debian's by its suite, its components, its
    keyring, and, where the host holds its Release file (in `lists`), that file's Origin.
    Raises ArchiveError (reason "no-sources").
    """
    found: list[Source] = []
    for entry in _entries(etc):
        for uri in entry.uris:
            source = _retarget(entry, uri, suite, lists)
            if source is not None and source not in found:
                found.append(source)
    if suite not in ROLLING and not any(suite in source.suites for source in found):
        found = []
    if not found:
        raise ArchiveError(
            f"the apt configuration of this host ({etc}) names no Debian source to take",
            reason="no-sources",
            context=f"looking for sources for suite {suite}",
            hint="name one in dolmen.toml: [[sources]] with uris, suites and components",
        )
    return tuple(found)


def configured_sources(etc: Path) -> tuple[Source, ...]:
    """Every source of binary packages that apt is configured with below `etc`, as it is written."""
    return tuple(
        Source(
            uris=tuple(map(without_password, entry.uris)),
            suites=entry.suites,
            components=entry.components,
            signed_by=entry.signed_by,
        )
        for entry in _entries(etc)
        if entry.enabled and "deb" in entry.types
    )


def keyring(source: Source) -> str:
    """What apt shall verify a source with: its own `signed_by`, else Debian's keyring.

    Raises ArchiveError (reason "no-keyring").
    """
    if source.signed_by is not None and "-----BEGIN" in source.signed_by:
        return source.signed_by
    path = Path(source.signed_by) if source.signed_by is not None else DEBIAN_KEYRING
    if not path.is_file():
        raise ArchiveError(
            f"the keyring {path} is not there, so nothing from {source.uris[0]} can be verified",
            reason="no-keyring",
            hint="apt install debian-archive-keyring"
            if path.name.startswith("debian-archive")
            else "name the right file in dolmen.toml: signed-by",
        )
    return str(path)


def _retarget(entry: _Entry, uri: str, suite: str, lists: Path) -> Source | None:
    if not entry.enabled or "deb" not in entry.types or not _is_debian(entry, uri):
        return None
    suites: list[str] = []
    for name in entry.suites:
        match = _SUITE.fullmatch(name)
        if match is None or match["base"] not in _CODENAMES or _foreign(uri, name, lists):
            continue
        pocket = "-security" if match["pocket"] == "/updates" else match["pocket"]
        if pocket and suite in ROLLING:
            continue
        suites.append(suite + pocket)
        if not pocket and match["base"] in ROLLING and suite not in ROLLING:
            # a rolling host names no -updates; every released suite has them in the same archive
            suites.append(f"{suite}-updates")
    if not suites:
        return None
    snapshot = None
    stamped = _STAMPED.fullmatch(uri)
    if stamped is not None:
        snapshot = stamped["stamp"]
    return Source(
        uris=(without_password(uri),),
        suites=tuple(dict.fromkeys(suites)),
        components=entry.components,
        signed_by=entry.signed_by or str(DEBIAN_KEYRING),
        snapshot=snapshot,
    )


def _is_debian(entry: _Entry, uri: str) -> bool:
    """Whether an entry is meant to be Debian's own archive.

    A vendor's archive often uses Debian's suite names, so the keyring decides where one is named;
    without one the path has to look like a mirror's ("/debian", "/debian-security").
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https", "file"):
        return False
    if not entry.components or not set(entry.components) <= _AREAS:
        return False
    if entry.signed_by is not None and "-----BEGIN" not in entry.signed_by:
        return Path(entry.signed_by).name.startswith("debian-archive")
    stamped = _STAMPED.fullmatch(uri)
    last = (stamped["base"] if stamped else uri).rstrip("/").rpartition("/")[2]
    return re.fullmatch(r"debian(-security|-archive|-ports)?", last) is not None


def _foreign(uri: str, suite: str, lists: Path) -> bool:
    """Whether the host's copy of the Release file says that somebody else made the archive."""
    name = re.sub(r"^[a-z+]+://(?:[^/@]*@)?", "", uri).rstrip("/").replace("_", "%5f")
    stem = f"{name}/dists/{suite}/".replace("/", "_")
    for kind in ("InRelease", "Release"):
        try:
            with (lists / f"{stem}{kind}").open(encoding="utf-8", errors="replace") as stream:
                head = stream.read(4096)
        except OSError:
            continue
        origin = re.search(r"^Origin:\s*(.*)$", head, re.MULTILINE)
        return origin is None or origin[1].strip() not in ("Debian", "Debian Backports")
    return False


def _entries(etc: Path) -> Iterator[_Entry]:
    """All entries in apt's order: sources.list, then sources.list.d by name."""
    parts = etc / "sources.list.d"
    files = [etc / "sources.list"]
    if parts.is_dir():
        files += sorted(path for path in parts.iterdir() if path.suffix in (".list", ".sources"))
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        reader = _deb822 if path.suffix == ".sources" else _one_line
        for entry in reader(text):
            yield _expanded(entry)


def _one_line(text: str) -> Iterator[_Entry]:
    """`deb [ option=value … ] URI SUITE COMPONENT…`, comments from # on."""
    for line in text.split("\n"):
        words = line.partition("#")[0].strip()
        match = re.fullmatch(r"(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(.+)", words)
        if match is None:
            continue
        options = {m[1].lower(): m[3] for m in _OPTION.finditer(match[2] or "")}
        uri, _, rest = match[3].partition(" ")
        suite, *components = rest.split() or [""]
        yield _Entry((match[1],), (uri,), (suite,), tuple(components), options.get("signed-by"))


def _deb822(text: str) -> Iterator[_Entry]:
    """Stanzas of sources.list(5); read leniently, since a person wrote them for apt."""
    kept = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for block in re.split(r"\n[ \t]*\n", kept):
        fields: dict[str, str] = {}
        last = ""
        for line in block.split("\n"):
            if line[:1] in (" ", "\t") and last:
                rest = line.strip()
                fields[last] += "\n" + ("" if rest == "." else rest)
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if "uris" in fields:
            yield _Entry(
                types=tuple(fields.get("types", "").split()),
                uris=tuple(fields["uris"].split()),
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                signed_by=fields.get("signed-by", "").strip() or None,
                enabled=fields.get("enabled", "yes").lower() not in ("no", "false", "off", "0"),
            )


def _expanded(entry: _Entry) -> _Entry:
    """Replace `mirror+file:` URIs by the first mirror of their list (apt-transport-mirror(1))."""
    return _Entry(
        entry.types,
        tuple(_mirrors(entry.uris)),
        entry.suites,
        entry.components,
        entry.signed_by,
        entry.enabled,
    )


def _mirrors(uris: Iterable[str]) -> Iterator[str]:
    for uri in uris:
        if not uri.startswith("mirror+file:"):
            yield uri
            continue
        path = Path("/" + uri.partition(":")[2].lstrip("/"))
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            continue
        named = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        yield from named[:1]
