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

from dolmen.model.digest import Sha256, digest_text
from dolmen.model.source import Source
from dolmen.model.spec import Spec, parse_spec
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
    }
)
SOURCE_KEYS = frozenset(
    {"uris", "suites", "components", "signed-by", "snapshot", "valid-until-max"}
)
_MAX_SIZE = 256 << 10
# tomllib needs quadratic time for a key of many dots, and a manifest may be a stranger's: this
# bounds one key to a fifth of a second and leaves room for a thousand pinned packages on a line.
_MAX_DOTS = 4000

_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_SNAPSHOT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SOURCES = re.compile(r"\s*\[\[\s*sources\s*\]\]")
_URI = re.compile(r"(https?|file)://[!-~]+")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A declaration: these packages of this suite, from these sources (none: the host's own)."""

    suite: str
    packages: tuple[Spec, ...] = ()
    sources: tuple[Source, ...] = ()
    architecture: str | None = None
    foreign_architectures: tuple[str, ...] = ()
    recommends: bool = False
    format: int = field(default=FORMAT, compare=False)

    def inputs(self) -> Sha256:
        """The digest of everything that a solve depends on, whatever its order in the file."""
        value = asdict(self)
        value["packages"] = sorted(str(spec) for spec in self.packages)
        del value["format"]
        return digest_text(json.dumps(value, sort_keys=True))


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


class _Reader:
    """Turns plain TOML values into a Manifest and collects every fault with its line."""

    def __init__(self, text: str, name: str) -> None:
        self.lines = text.split("\n")
        self.name = name
        self.start = 1
        self.faults: list[tuple[int, str]] = []

    def error(self) -> DeclarationError:
        lines = [f"line {line}: {what}" for line, what in sorted(set(self.faults))]
        return DeclarationError(
            f"{self.name} has {len(lines)} fault{'s' if len(lines) > 1 else ''}",
            reason="bad-manifest",
            context=f"{self.name}, {lines[0]}",
            details=lines,
            hint=f"edit {self.name}; docs/manifest.md lists every key",
        )

    def fault(self, needle: str, what: str) -> None:
        """Note a fault at the line that sets the key `needle`, or holds it; tomllib keeps none.

        The search starts at `self.start`: the table that is being read.
        """
        key = re.compile(rf"""\s*["']?{re.escape(needle)}["']?\s*=""")
        found = [n for n, line in enumerate(self.lines, 1) if n >= self.start and key.match(line)]
        found += [n for n, line in enumerate(self.lines, 1) if n >= self.start and needle in line]
        self.faults.append((found[0] if needle and found else self.start, what))

    def manifest(self, data: dict[str, Any]) -> Manifest:
        version = data.get("format", FORMAT)
        if type(version) is not int or version != FORMAT:
            raise DeclarationError(
                f"{self.name} has format {version!r}; this Dolmen reads format {FORMAT}",
                reason="manifest-format",
                context=self.name,
                hint="use the newer Dolmen that wrote it",
            )
        for key in data.keys() - KEYS:
            self.fault(key, f"unknown key {key!r}")
        suite = self.string(data, "suite", _SUITE, "a suite such as bookworm")
        if suite is None and "suite" not in data:
            self.fault("", "key 'suite' is missing, for example: suite = \"bookworm\"")
        return Manifest(
            suite=suite or "",
            packages=self.specs(data),
            sources=self.sources(data),
            architecture=self.string(data, "architecture", _ARCHITECTURE, "an architecture"),
            foreign_architectures=self.strings(
                data, "foreign-architectures", _ARCHITECTURE, "an architecture"
            ),
            recommends=self.boolean(data, "recommends"),
        )

    def string(
        self, data: dict[str, Any], key: str, pattern: re.Pattern[str], what: str
    ) -> str | None:
        value = data.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.fault(key, f"{key} is not {what}")
            return None
        return value

    def strings(
        self, data: dict[str, Any], key: str, pattern: re.Pattern[str], what: str
    ) -> tuple[str, ...]:
        value = data.get(key, [])
        if not isinstance(value, list):
            self.fault(key, f"{key} is not a list")
            return ()
        good: list[str] = []
        for item in value:
            if isinstance(item, str) and pattern.fullmatch(item):
                good.append(item)
            else:
                self.fault(str(item), f"{key}: {str(item)[:80]!r} is not {what}")
        return tuple(good)

    def boolean(self, data: dict[str, Any], key: str) -> bool:
        value = data.get(key, False)
        if not isinstance(value, bool):
            self.fault(key, f"{key} is neither true nor false")
            return False
        return value

    def specs(self, data: dict[str, Any]) -> tuple[Spec, ...]:
        value = data.get("packages", [])
        if not isinstance(value, list):
            self.fault("packages", "packages is not a list")
            return ()
        found: dict[tuple[str, str | None], Spec] = {}
        for item in value:
            if not isinstance(item, str):
                self.fault("packages", f"packages: {str(item)[:80]} is not a string")
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

    def sources(self, data: dict[str, Any]) -> tuple[Source, ...]:
        value = data.get("sources", [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault("sources", "sources is not an array of tables: write [[sources]]")
            return ()
        heads = [n for n, line in enumerate(self.lines, 1) if _SOURCES.match(line)]
        found: list[Source] = []
        for index, item in enumerate(value):
            self.start = heads[index] if index < len(heads) else 1
            found.append(self.source(item))
        self.start = 1
        return tuple(found)

    def source(self, data: dict[str, Any]) -> Source:
        for key in data.keys() - SOURCE_KEYS:
            self.fault(key, f"unknown key {key!r} in [[sources]]")
        for key in ("uris", "suites"):
            if not data.get(key):
                self.fault("[[sources]]", f"a source has no {key}")
        signed_by = data.get("signed-by")
        if signed_by is not None and not (
            isinstance(signed_by, str) and (signed_by.startswith("/") or "-----BEGIN" in signed_by)
        ):
            self.fault("signed-by", "signed-by is neither an absolute path nor an armoured key")
            signed_by = None
        age = data.get("valid-until-max")
        if age is not None and (not isinstance(age, int) or isinstance(age, bool) or age <= 0):
            self.fault("valid-until-max", "valid-until-max is not a number of seconds")
            age = None
        return Source(
            uris=self.strings(data, "uris", _URI, "an http, https or file URI"),
            suites=self.strings(data, "suites", _SUITE, "a suite"),
            components=self.strings(data, "components", _COMPONENT, "a component") or ("main",),
            signed_by=signed_by,
            snapshot=self.snapshot(data),
            valid_until_max=age,
        )

    def snapshot(self, data: dict[str, Any]) -> str | None:
        what = "a time such as 20260131T000000Z"
        value = self.string(data, "snapshot", _SNAPSHOT, what)
        if value is not None:
            try:
                datetime.strptime(value, "%Y%m%dT%H%M%SZ")
            except ValueError:
                self.fault("snapshot", f"snapshot is not {what}")
        return value
