"""The manifest: what the user declares (`dolmen.toml`).

Read with tomllib for speed (every command reads it); edited with tomlkit by `model.editing`, so
that comments and order stay. All faults of a file are reported at once, with their lines.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from dolmen.model.digest import Sha256, digest_text, parse_sha256
from dolmen.model.entrance import Entrance, read_entrance
from dolmen.model.pin import HIGHEST, LOWEST, Pin, read_pins
from dolmen.model.reading import Reader
from dolmen.model.source import Source
from dolmen.model.spec import Spec, parse_spec
from dolmen.model.system import System, read_system
from dolmen.support.errors import DeclarationError

FORMAT = 1
FILE_NAME = "dolmen.toml"
KEYS = frozenset(
    {
        "format",
        "suite",
        "packages",
        "sources",
        "architecture",
        "foreign-architectures",
        "recommends",
        "snapshot",
        "pins",
        "groups",
        "debs",
        "env",
        "aliases",
        "scripts",
        "persist",
        "system",
    }
)
SOURCE_KEYS = frozenset(
    {
        "name",
        "uris",
        "suites",
        "components",
        "signed-by",
        "priority",
        "snapshot",
        "valid-until-max",
    }
)
GROUP_KEYS = frozenset({"packages"})
DEB_KEYS = frozenset({"path", "sha256"})
_MAX_SIZE = 256 << 10
# tomllib needs quadratic time for a key of many dots, and a manifest may be a stranger's: this
# bounds one key to a fifth of a second and leaves room for a thousand pinned packages on a line.
_MAX_DOTS = 4000

SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
AGE = re.compile(r"[1-9][0-9]{0,3}[dw]")
URI = re.compile(r"(https?|file)://[!-~]+")
SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: They mean something where groups are named.
RESERVED = ("default", "yes", "no")
#: Below the manifest's directory, and spelled in one way only.
_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._+~:@=,-]+"
PATH = re.compile(rf"(?!-){_PART}(?:/{_PART})*")
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Group:
    """Packages that only those want who ask for the group; `packages` alone are everybody's."""

    name: str
    packages: tuple[Spec, ...] = ()


@dataclass(frozen=True, slots=True)
class Deb:
    """A .deb beside the manifest: its path from there, and what it must be."""

    path: str
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """A declaration: these packages of this suite, from these sources (none: the host's own).

    `snapshot` is a stamp or an age ("14d") for all Debian sources that have none of their own.
    `ages` are not in the file: the stamps that a lock found for ages, where they shall stay.
    """

    suite: str
    packages: tuple[Spec, ...] = ()
    sources: tuple[Source, ...] = ()
    architecture: str | None = None
    foreign_architectures: tuple[str, ...] = ()
    recommends: bool = False
    snapshot: str | None = None
    pins: tuple[Pin, ...] = ()
    groups: tuple[Group, ...] = ()
    debs: tuple[Deb, ...] = ()
    entrance: Entrance = field(default_factory=Entrance)
    system: System | None = None
    ages: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    format: int = field(default=FORMAT, compare=False)

    def inputs(self) -> Sha256:
        """The digest of everything that a solve depends on, whatever its order in the file."""
        sources = [
            {key: value for key, value in asdict(source).items() if key in _ALWAYS or value}
            for source in self.sources
        ]
        value: dict[str, Any] = {
            "suite": self.suite,
            "packages": sorted(map(str, self.packages)),
            "sources": sources,
            "architecture": self.architecture,
            "foreign_architectures": self.foreign_architectures,
            "recommends": self.recommends,
        }
        more: dict[str, Any] = {
            "snapshot": self.snapshot,
            "pins": sorted((pin.package, str(pin)) for pin in self.pins),
            "groups": {g.name: sorted(map(str, g.packages)) for g in self.groups if g.packages},
            "debs": sorted((deb.path, deb.sha256) for deb in self.debs),
            "system": sorted(map(str, self._system_requests(self.architecture or "*"))),
        }
        value |= {key: item for key, item in more.items() if item}
        return digest_text(json.dumps(value, sort_keys=True))

    def requests(self, architecture: str) -> dict[Spec, tuple[str, ...]]:
        """What an environment of that architecture asks for, and which groups do ("": all).

        Without the restrictions; sorted.
        """
        found: dict[Spec, list[str]] = {}
        for group, packages in (("", self.packages), *((g.name, g.packages) for g in self.groups)):
            for spec in packages:
                if spec.is_for(architecture):
                    found.setdefault(spec.plain(), []).append(group)
        named = {(spec.name, spec.architecture) for spec in found}
        for spec in self._system_requests(architecture):
            if (spec.name, spec.architecture) not in named:
                found[spec] = [""]
        return {spec: tuple(found[spec]) for spec in sorted(found, key=str)}

    def _system_requests(self, architecture: str) -> tuple[Spec, ...]:
        return self.system.requests(architecture) if self.system is not None else ()

    def group(self, name: str) -> Group | None:
        """A group by its name."""
        return next((group for group in self.groups if group.name == name), None)


#: Keys of a source that were always part of the digest, set or not.
_ALWAYS = frozenset({"uris", "suites", "components", "signed_by", "snapshot", "valid_until_max"})


def parse_manifest(text: str, *, name: str = FILE_NAME) -> Manifest:
    """Read a manifest; raises DeclarationError ("bad-manifest", "manifest-format")."""
    if len(text) > _MAX_SIZE or any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        raise DeclarationError(
            f"{name} is larger than 256 KiB or has lines of more than {_MAX_DOTS} dots",
            reason="bad-manifest",
            context=name,
        )
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also an integer of 5000 digits
        raise DeclarationError(
            f"{name} is not valid TOML: {error}",
            reason="bad-manifest",
            context=name,
            hint=f"mend the line named, or start anew: dolmen init (after moving {name} away)",
        ) from None
    reader = _Reader(text, name)
    manifest = reader.manifest(data)
    if reader.faults:
        raise reader.error()
    return manifest


class _Reader(Reader):
    """Turns plain TOML values into a Manifest and collects every fault with its line."""

    def manifest(self, data: dict[str, Any]) -> Manifest:
        version = data.get("format", FORMAT)
        if type(version) is not int or version != FORMAT:
            raise DeclarationError(
                f"{self.name} has format {version!r}; this Dolmen reads format {FORMAT}",
                reason="manifest-format",
                context=self.name,
                hint="use the newer Dolmen that wrote it",
            )
        self.known(data, KEYS)
        suite = self.string(data, "suite", SUITE, "a suite such as bookworm")
        if suite is None and "suite" not in data:
            self.fault("", "key 'suite' is missing, for example: suite = \"bookworm\"")
        packages = self.specs(data, "packages")
        return Manifest(
            suite=suite or "",
            packages=packages,
            sources=self.sources(data),
            architecture=self.string(data, "architecture", ARCHITECTURE, "an architecture"),
            foreign_architectures=self.strings(
                data, "foreign-architectures", ARCHITECTURE, "an architecture"
            ),
            recommends=self.boolean(data, "recommends"),
            snapshot=self.snapshot(data, now=False),
            pins=read_pins(self, data),
            groups=self.groups(data, packages),
            debs=self.debs(data),
            entrance=read_entrance(self, data),
            system=read_system(self, data),
        )

    def specs(self, data: dict[str, Any], key: str, where: str = "") -> tuple[Spec, ...]:
        value = data.get(key, [])
        if not isinstance(value, list):
            self.fault(key, f"{where}{key} is not a list")
            return ()
        found: dict[tuple[str, str | None], Spec] = {}
        for item in value:
            if not isinstance(item, str):
                self.fault(key, f"{where}{key}: {str(item)[:80]} is not a string")
                continue
            try:
                spec = parse_spec(item)
            except DeclarationError as error:
                self.fault(str(item), error.message)
                continue
            if (spec.name, spec.architecture) in found:
                self.fault(str(item), f"package {spec.name} is given twice")
            found[spec.name, spec.architecture] = spec
        return tuple(found.values())

    def groups(self, data: dict[str, Any], packages: tuple[Spec, ...]) -> tuple[Group, ...]:
        given = {(spec.name, spec.architecture): spec for spec in packages}
        found: list[Group] = []
        for name, value in sorted(self.table(data, "groups").items()):
            self.enter(f"groups.{name}")
            if not GROUP_NAME.fullmatch(name) or name in RESERVED:
                self.fault(name, f"groups: {name[:80]!r} cannot name a group")
                continue
            if not isinstance(value, dict):
                self.fault(name, f"groups: {name} is not a table: write [groups.{name}]")
                continue
            self.known(value, GROUP_KEYS, f"[groups.{name}]")
            group = Group(name, self.specs(value, "packages", f"groups.{name}."))
            for spec in group.packages:
                other = given.setdefault((spec.name, spec.architecture), spec)
                if other.plain() != spec.plain():
                    self.fault(str(spec), f"{spec} is asked for elsewhere as {other}")
            found.append(group)
        self.enter("")
        return tuple(found)

    def debs(self, data: dict[str, Any]) -> tuple[Deb, ...]:
        found: dict[str, Deb] = {}
        for index, item in enumerate(self.tables(data, "debs")):
            self.enter("debs", index)
            self.known(item, DEB_KEYS, "[[debs]]")
            path = self.string(
                item, "path", PATH, "a path below this directory, without ./ and ../"
            )
            digest = self.string(item, "sha256", DIGEST, "64 hexadecimal digits")
            if "path" not in item or "sha256" not in item:
                self.fault("[[debs]]", "a .deb needs path and sha256: dolmen install ./FILE.deb")
            if path is not None and path in found:
                self.fault(path, f"{path} is given twice")
            if path is not None and digest is not None:
                found[path] = Deb(path, parse_sha256(digest))
        self.enter("")
        return tuple(found.values())

    def sources(self, data: dict[str, Any]) -> tuple[Source, ...]:
        found: list[Source] = []
        for index, item in enumerate(self.tables(data, "sources")):
            self.enter("sources", index)
            source = self.source(item)
            if source.name is not None and any(source.name == other.name for other in found):
                self.fault(source.name, f"a source named {source.name} is given twice")
            found.append(source)
        self.enter("")
        return tuple(found)

    def source(self, data: dict[str, Any]) -> Source:
        self.known(data, SOURCE_KEYS, "[[sources]]")
        for key in ("uris", "suites"):
            if not data.get(key):
                self.fault("[[sources]]", f"a source has no {key}")
        signed_by = data.get("signed-by")
        if signed_by is not None and not (
            isinstance(signed_by, str)
            and (
                re.fullmatch(r"/[^\0\n]+", signed_by)
                or "-----BEGIN" in signed_by
                or PATH.fullmatch(signed_by)
            )
        ):
            self.fault(
                "signed-by",
                "signed-by is neither a path, absolute or below here, nor an armoured key",
            )
            signed_by = None
        age = data.get("valid-until-max")
        if age is not None and (not isinstance(age, int) or isinstance(age, bool) or age <= 0):
            self.fault("valid-until-max", "valid-until-max is not a number of seconds")
            age = None
        return Source(
            uris=self.strings(data, "uris", URI, "an http, https or file URI"),
            suites=self.strings(data, "suites", SUITE, "a suite"),
            components=self.strings(data, "components", COMPONENT, "a component") or ("main",),
            signed_by=signed_by,
            snapshot=self.snapshot(data, now=True),
            valid_until_max=age,
            name=self.string(data, "name", SOURCE_NAME, "a name: a-z, 0-9, . _ -"),
            priority=self.integer(data, "priority", LOWEST, HIGHEST),
        )

    def snapshot(self, data: dict[str, Any], *, now: bool) -> str | None:
        what = "a time such as 20260131T000000Z, or an age such as 14d"
        value = data.get("snapshot")
        if value is None or (now and value == "now"):
            return value
        if isinstance(value, str) and AGE.fullmatch(value):
            return value
        value = self.string(data, "snapshot", STAMP, what)
        if value is not None:
            try:
                datetime.strptime(value, "%Y%m%dT%H%M%SZ")
            except ValueError:
                self.fault("snapshot", f"snapshot is not {what}")
        return value
