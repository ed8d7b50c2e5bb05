"""The lock: the exact packages of a solved closure (`dolmen.lock`).

A header stanza, then one stanza a package, sorted by name and architecture, in the field names of
a Packages index. Two digests come from it: `digest()` names all that decides an image (packages
and requests; not mirrors, nor dates), `Lock.inputs` names the manifest it answers.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection
from dataclasses import dataclass, replace

from dolmen.model.digest import Sha256, digest_text, parse_sha256
from dolmen.model.manifest import AGE, GROUP_NAME, STAMP
from dolmen.model.package import LOCAL, LockedPackage, ReleaseFile
from dolmen.model.spec import PACKAGE_NAME
from dolmen.model.stanza import Field, Stanza, parse_stanzas, render_stanza
from dolmen.support.errors import DeclarationError

FORMAT = 1
FILE_NAME = "dolmen.lock"
_MAX_SIZE = 64 << 20

# What may stand in a file name, a dpkg status file or a terminal without harm. Versions are those
# of Policy 5.6.12, Source is "name" or "name (version)" as in deb-control(5).
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_ARCHITECTURES = re.compile(rf"{_ARCHITECTURE.pattern}(?: {_ARCHITECTURE.pattern})*")
_VERSION = re.compile(r"(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*")
_SOURCE = re.compile(rf"[a-z0-9][a-z0-9+.-]+(?: \({_VERSION.pattern}\))?")
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_LINE = re.compile(r"[^\n]+")
_YES = re.compile(r"yes")
_GROUPS = re.compile(rf"{GROUP_NAME.pattern}(?: {GROUP_NAME.pattern})*")
_ASKING = re.compile(rf"(?!no$){_GROUPS.pattern}")
_SNAPSHOT = re.compile(rf"(?P<age>{AGE.pattern}) (?P<stamp>{STAMP.pattern})")
_MULTI_ARCH = re.compile(r"no|same|foreign|allowed")
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
_NUMBER = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?) (?P<number>[0-9]{1,5})")

_FIXED = (
    "Package",
    "Source",
    "Version",
    "Architecture",
    "Essential",
    "Multi-Arch",
    "Requested",
    "Groups",
    "Installed-Size",
    "Release",
    "Filename",
    "Size",
    "SHA256",
)
#: Fields of a package that a lock carries on as they are, beside its description.
CARRIED_FIELDS = (
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Provides",
    "Conflicts",
    "Breaks",
    "Replaces",
    "Section",
    "Priority",
)
_FREE = (*CARRIED_FIELDS, "Description")
_HEADER = (
    "Dolmen-Lock",
    "Suite",
    "Architectures",
    "Inputs",
    "Solver",
    "Snapshots",
    "Users",
    "Groups",
    "Releases",
)


@dataclass(frozen=True, slots=True)
class Lock:
    """A solved closure.

    `architectures`: the native one first. `inputs`: digest of the manifest's part that was solved.
    `solver`: name and version of the solver, for instance "apt 2.6.1". `snapshots`: what the ages
    that the manifest names ("14d") came to, as stamps. `users` and `groups`: the numbers that a
    system's accounts have, and keep; none before its first build.
    """

    suite: str
    architectures: tuple[str, ...]
    inputs: Sha256
    solver: str
    releases: tuple[ReleaseFile, ...]
    packages: tuple[LockedPackage, ...]
    snapshots: tuple[tuple[str, str], ...] = ()
    users: tuple[tuple[str, int], ...] = ()
    groups: tuple[tuple[str, int], ...] = ()

    @property
    def architecture(self) -> str:
        """The native architecture."""
        return self.architectures[0]

    def digest(self) -> Sha256:
        """The digest of what decides the image built from this lock."""
        lines = [f"architectures {' '.join(self.architectures)}"]
        lines += sorted(
            f"{p.name} {p.architecture} {p.version} {p.sha256} {int(p.requested)}"
            for p in self.packages
        )
        return digest_text("\n".join(lines))

    def selected(self, groups: Collection[str] = ()) -> Lock:
        """The part of it for everybody and for these groups; itself where that is all of it."""
        chosen = set(groups)
        packages = tuple(
            p if not p.asking or chosen & set(p.asking) else replace(p, requested=False, asking=())
            for p in self.packages
            if not p.groups or chosen & set(p.groups)
        )
        return self if packages == self.packages else replace(self, packages=packages)

    def find(self, name: str, architecture: str | None = None) -> LockedPackage | None:
        """A package by name; without an architecture the native one or `all` comes first."""
        found = [p for p in self.packages if p.name == name]
        if architecture is not None:
            found = [p for p in found if p.architecture == architecture]
        found.sort(key=lambda p: p.architecture not in (self.architecture, "all"))
        return found[0] if found else None


def render_lock(lock: Lock) -> str:
    """The text of `dolmen.lock`."""
    releases = "".join(
        f"\n{r.sha256} {r.suite} {_word(r.codename)} {_word(r.origin)} {_word(r.date)} {r.uri}"
        for r in lock.releases
    )
    header = [
        ("Dolmen-Lock", str(FORMAT)),
        ("Suite", lock.suite),
        ("Architectures", " ".join(lock.architectures)),
        ("Inputs", lock.inputs),
        ("Solver", lock.solver),
        ("Snapshots", "".join(f"\n{age} {stamp}" for age, stamp in lock.snapshots)),
        ("Users", "".join(f"\n{name} {number}" for name, number in lock.users)),
        ("Groups", "".join(f"\n{name} {number}" for name, number in lock.groups)),
        ("Releases", releases),
    ]
    stanzas = [render_stanza(header)]
    stanzas += [render_stanza(_fields(p)) for p in sorted(lock.packages, key=lambda p: p.key)]
    return "\n".join(stanzas)


def _word(text: str) -> str:
    """A text as one word: blanks as `_`, what could be mistaken percent-encoded, empty as `-`."""
    quoted = urllib.parse.quote(text, safe=" ,:+").replace("_", "%5F").replace(" ", "_")
    return quoted.replace("-", "%2D") if text == "-" else quoted or "-"


def _text(word: str) -> str:
    return "" if word == "-" else urllib.parse.unquote(word.replace("_", " "))


def _fields(package: LockedPackage) -> list[tuple[str, str]]:
    fields = [
        ("Package", package.name),
        ("Source", package.source),
        ("Version", package.version),
        ("Architecture", package.architecture),
        ("Essential", "yes" if package.essential else ""),
        ("Multi-Arch", "" if package.multi_arch == "no" else package.multi_arch),
        ("Requested", (" ".join(package.asking) or "yes") if package.requested else ""),
        ("Groups", " ".join(package.groups)),
        ("Installed-Size", str(package.installed_size) if package.installed_size else ""),
    ]
    fields += [(name, package.get(name)) for name in _FREE]
    fields += [
        ("Release", "local" if package.is_local else str(package.release)),
        ("Filename", package.filename),
        ("Size", str(package.size)),
        ("SHA256", package.sha256),
    ]
    return fields


def parse_lock(text: str, *, name: str = FILE_NAME) -> Lock:
    """Read `dolmen.lock`; raises DeclarationError with every fault and its line.

    Reasons: "lock-format" for a newer format, "bad-lock" for everything else.
    """
    reader = _Reader(name)
    if len(text) > _MAX_SIZE:
        reader.fault(1, "the file is larger than 64 MiB")
        raise reader.error()
    stanzas, faults = parse_stanzas(text)
    reader.faults += faults
    if not stanzas:
        reader.fault(1, "the file is empty")
        raise reader.error()
    header, *rest = stanzas
    version = reader.need(header, "Dolmen-Lock")
    if version is not None and version.value != str(FORMAT):
        raise DeclarationError(
            f"{name} has format {version.value[:20]!r}; this Dolmen reads format {FORMAT}",
            reason="lock-format",
            context=f"{name}, line {version.line}",
            hint="use the Dolmen that wrote it, or solve again: dolmen lock",
        )
    reader.known(header, _HEADER)
    releases = reader.releases(header)
    packages: dict[tuple[str, str], LockedPackage] = {}
    for stanza in rest:
        package = reader.package(stanza, len(releases))
        if package.key in packages:
            reader.fault(stanza.line, f"{package.name}:{package.architecture} is given twice")
        packages[package.key] = package
    suite = reader.text(header, "Suite", _SUITE)
    architectures = tuple(
        reader.text(header, "Architectures", _ARCHITECTURES, "a list of architectures").split()
    )
    inputs = reader.sha256(header, "Inputs")
    solver = reader.text(header, "Solver", _LINE)
    snapshots = reader.snapshots(header)
    users, groups = reader.numbers(header, "Users"), reader.numbers(header, "Groups")
    if reader.faults:
        raise reader.error()
    found = tuple(packages.values())
    return Lock(suite, architectures, inputs, solver, releases, found, snapshots, users, groups)


class _Reader:
    """Collects the faults of one file, so that all are told at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[tuple[int, str]] = []

    def fault(self, line: int, what: str) -> None:
        self.faults.append((line, what))

    def error(self) -> DeclarationError:
        lines = [f"line {line}: {what}" for line, what in sorted(self.faults)]
        return DeclarationError(
            f"{self.name} is damaged or was edited by hand",
            reason="bad-lock",
            context=f"{self.name}, {lines[0]}",
            details=lines,
            hint="restore it from version control, or solve again: dolmen lock",
        )

    def known(self, stanza: Stanza, names: tuple[str, ...]) -> None:
        allowed = {name.lower() for name in names}
        for field in stanza.fields:
            if field.name.lower() not in allowed:
                self.fault(field.line, f"unknown field {field.name}")

    def need(self, stanza: Stanza, name: str) -> Field | None:
        field = stanza.find(name)
        if field is None or not field.value:
            self.fault(stanza.line, f"field {name} is missing")
            return None
        return field

    def text(self, stanza: Stanza, name: str, pattern: re.Pattern[str], what: str = "") -> str:
        """A field that must be there and look right; "?" where it does not."""
        field = self.need(stanza, name)
        if field is None:
            return "?"
        return self.checked(field, pattern, what) or "?"

    def optional(self, stanza: Stanza, name: str, pattern: re.Pattern[str]) -> str:
        """A field that may be missing (then "") but must look right."""
        field = stanza.find(name)
        return self.checked(field, pattern) if field else ""

    def checked(self, field: Field, pattern: re.Pattern[str], what: str = "") -> str:
        if pattern.fullmatch(field.value):
            return field.value
        self.fault(field.line, f"{field.name}: {field.value[:80]!r} is not {what or 'valid'}")
        return ""

    def number(self, stanza: Stanza, name: str, *, least: int = 0) -> int:
        field = self.need(stanza, name)
        if field is None:
            return 0
        if not re.fullmatch(r"[0-9]{1,15}", field.value) or int(field.value) < least:
            self.fault(field.line, f"{name} is not a number of at least {least}")
            return 0
        return int(field.value)

    def sha256(self, stanza: Stanza, name: str) -> Sha256:
        field = self.need(stanza, name)
        if field is not None:
            try:
                return parse_sha256(field.value)
            except ValueError as error:
                self.fault(field.line, str(error))
        return Sha256("0" * 64)

    def snapshots(self, header: Stanza) -> tuple[tuple[str, str], ...]:
        field = header.find("Snapshots")
        if field is None:
            return ()
        found: list[tuple[str, str]] = []
        for line, text in enumerate(field.value.split("\n")[1:], field.line + 1):
            match = _SNAPSHOT.fullmatch(text)
            if match is None:
                self.fault(line, "not a snapshot: AGE STAMP")
            else:
                found.append((match["age"], match["stamp"]))
        return tuple(found)

    def numbers(self, header: Stanza, name: str) -> tuple[tuple[str, int], ...]:
        """The lines "NAME NUMBER" of an optional field."""
        field = header.find(name)
        if field is None:
            return ()
        found: dict[str, int] = {}
        for line, text in enumerate(field.value.split("\n")[1:], field.line + 1):
            match = _NUMBER.fullmatch(text)
            if match is None or not 0 < int(match["number"]) < 65535:
                self.fault(line, f"{name}: not NAME NUMBER")
            elif match["name"] in found or int(match["number"]) in found.values():
                self.fault(line, f"{name}: {text} is given twice")
            else:
                found[match["name"]] = int(match["number"])
        return tuple(found.items())

    def release(self, stanza: Stanza, releases: int) -> int:
        field = stanza.find("Release")
        if field is not None and field.value == "local":
            return LOCAL
        release = self.number(stanza, "Release")
        if release >= releases:
            self.fault(stanza.line, f"Release {release} is not in the header")
        return release

    def releases(self, header: Stanza) -> tuple[ReleaseFile, ...]:
        field = self.need(header, "Releases")
        if field is None:
            return ()
        first, *lines = field.value.split("\n")
        if first:
            self.fault(field.line, "Releases: its lines start below the field's name")
        found: list[ReleaseFile] = []
        for line, text in enumerate(lines, field.line + 1):
            try:
                digest, suite, codename, origin, date, uri = text.split(" ")
                if not (_SUITE.fullmatch(suite) and _URI.fullmatch(uri)):
                    raise ValueError
                found.append(
                    ReleaseFile(
                        uri=uri,
                        suite=suite,
                        sha256=parse_sha256(digest),
                        date=_text(date),
                        codename=_text(codename),
                        origin=_text(origin),
                    )
                )
            except ValueError:
                self.fault(line, "not a Release file: SHA256 SUITE CODENAME ORIGIN DATE URI")
        return tuple(found)

    def package(self, stanza: Stanza, releases: int) -> LockedPackage:
        """A package; where the stanza has faults they are noted and the value is never used."""
        self.known(stanza, _FIXED + _FREE)
        filename = self.need(stanza, "Filename")
        if filename is not None and not _is_pool_path(filename.value):
            self.fault(filename.line, "Filename leaves the archive")
        installed = stanza.find("Installed-Size")
        asking = self.optional(stanza, "Requested", _ASKING)
        free = {field.lower() for field in _FREE}
        return LockedPackage(
            name=self.text(stanza, "Package", PACKAGE_NAME, "a package name"),
            version=self.text(stanza, "Version", _VERSION, "a version"),
            architecture=self.text(stanza, "Architecture", _ARCHITECTURE, "an architecture"),
            sha256=self.sha256(stanza, "SHA256"),
            size=self.number(stanza, "Size", least=1),
            filename=filename.value if filename else "?",
            release=self.release(stanza, releases),
            requested=bool(asking),
            essential=self.optional(stanza, "Essential", _YES) == "yes",
            multi_arch=self.optional(stanza, "Multi-Arch", _MULTI_ARCH) or "no",
            source=self.optional(stanza, "Source", _SOURCE),
            installed_size=self.number(stanza, "Installed-Size") if installed else 0,
            groups=tuple(self.optional(stanza, "Groups", _GROUPS).split()),
            asking=() if asking == "yes" else tuple(asking.split()),
            fields=tuple((f.name, f.value) for f in stanza.fields if f.name.lower() in free),
        )


def _is_pool_path(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith("/") and not any(part in ("", ".", "..") for part in parts)
