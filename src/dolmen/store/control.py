"""What control.tar holds: the control file, maintainer scripts, lists (deb(5), policy 5 and 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dolmen.model import LockedPackage
from dolmen.store.deb import bad
from dolmen.store.tar import TarReader

#: What all control members together may take, bytes.
LIMIT = 32 * 1024 * 1024
SCRIPTS = frozenset({"preinst", "postinst", "prerm", "postrm", "config"})

_MEMBER = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FIELD = re.compile(r"([!-9;-~]+):(.*)")


@dataclass(frozen=True, slots=True)
class Control:
    """The members by name, `control` among them, with their permission bits."""

    members: Mapping[str, tuple[bytes, int]]
    fields: Mapping[str, str]

    @property
    def text(self) -> str:
        """The control file as it is in the .deb."""
        return self.members["control"][0].decode()

    @property
    def installed_size(self) -> int:
        """The declared size, KiB; 0 where there is none."""
        text = self.fields.get("installed-size", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 15 else 0

    def conffiles(self) -> tuple[str, ...]:
        """Paths of conffiles with a leading slash, without those to be removed on upgrade."""
        content = self.members.get("conffiles", (b"", 0))[0]
        found = []
        for line in content.decode("utf-8", "surrogateescape").splitlines():
            path = line.rstrip()
            if path.startswith("/"):
                found.append(path)
            elif path and not path.startswith("remove-on-upgrade "):
                raise bad(f"its conffiles member has the line {path[:80]!r}", "bad-control")
        return tuple(found)


def read_control(reader: TarReader) -> Control:
    """Read control.tar; raises PackageError ("bad-control" and what a tar can be refused for)."""
    members: dict[str, tuple[bytes, int]] = {}
    for entry in reader:
        if entry.path == "" and entry.kind == "d":
            continue
        if entry.kind != "f" or "/" in entry.path:
            raise bad(
                f"its control archive has {entry.path[:80]!r}, which is no plain file",
                "bad-control",
            )
        if entry.path in members:
            raise bad(f"its control archive has {entry.path[:80]!r} twice", "bad-control")
        if entry.size > LIMIT:
            raise bad(f"its control member {entry.path[:80]!r} is too large", "too-large")
        content = reader.whole()
        if not _MEMBER.fullmatch(entry.path):
            continue  # dpkg ignores names with dots, too
        mode = 0o755 if entry.path in SCRIPTS else entry.mode & 0o755 | 0o644
        members[entry.path] = (content, mode)
    if "control" not in members:
        raise bad("its control archive has no control file", "bad-control")
    return Control(members, parse_control(members["control"][0]))


def parse_control(content: bytes) -> dict[str, str]:
    """The one stanza of a control file, field names in lower case, values' first lines stripped."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise bad("its control file is not UTF-8", "bad-control") from None
    fields: dict[str, str] = {}
    last = ""
    for line in text.rstrip("\n").split("\n"):
        if line[:1] in (" ", "\t") and last:
            fields[last] += "\n" + line[1:]
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            raise bad(f"its control file has the line {line[:80]!r}", "bad-control")
        last = match[1].lower()
        if last in fields:
            raise bad(f"its control file has the field {match[1]} twice", "bad-control")
        fields[last] = match[2].strip()
    return fields


def check_identity(fields: Mapping[str, str], package: LockedPackage) -> None:
    """Raise PackageError ("not-as-locked") unless it is the package that the lock names."""
    wanted = (
        ("Package", package.name),
        ("Version", package.version),
        ("Architecture", package.architecture),
    )
    for name, value in wanted:
        found = fields.get(name.lower(), "")
        if found != value:
            raise bad(f"its {name} is {found[:80]!r}, the lock says {value!r}", "not-as-locked")
