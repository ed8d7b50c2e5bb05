"""The dpkg database of a tree whose packages were never unpacked by dpkg.

Written as dpkg itself leaves it between unpack and configure (dpkg(1), deb-triggers(5), the file
formats in dpkg's doc/): control members in `info/`, every package `install ok unpacked`
with its conffiles, interests in `triggers/`.

Conffiles wait as `PATH.dpkg-new` until their package is configured, as after a real unpack: others'
scripts must not see them earlier (`run-parts /etc/x.d` would run what cannot work yet). Only in the
base, where nothing works without some of them, they are in place from the start, with their md5sum
recorded; dpkg takes such a conffile as processed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dolmen.model import LockedPackage

ADMIN = "var/lib/dpkg"
INFO = f"{ADMIN}/info"


def info_name(package: LockedPackage) -> str:
    """How files of a package in `info/` begin: arch-qualified for `Multi-Arch: same` only."""
    if package.multi_arch == "same":
        return f"{package.name}:{package.architecture}"
    return package.name


def status_stanza(control: str, conffiles: Mapping[str, str], *, waiting: bool = False) -> str:
    """The stanza of an unpacked package in `status`, from the .deb's own control file.

    `waiting`: its conffiles are still at `PATH.dpkg-new`.
    Never from a Packages index: archives override Priority and Section there.
    """
    lines = [line for line in control.split("\n") if line.strip()]
    head = next(i for i, line in enumerate(lines) if line.lower().startswith("package:"))
    lines.insert(head + 1, "Status: install ok unpacked")
    if conffiles:
        lines.append("Conffiles:")
        lines += [f" {path} {'newconffile' if waiting else md5}" for path, md5 in conffiles.items()]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Triggers:
    """Interests (`files`: path to packages; `named`: trigger name to packages) and activations."""

    files: dict[str, list[str]] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    activated: list[str] = field(default_factory=list)

    def add(self, package: LockedPackage, text: str) -> None:
        """Take in one package's `triggers` control member (deb-triggers(5))."""
        who = info_name(package)
        for line in text.split("\n"):
            words = line.split("#", 1)[0].split()
            if len(words) != 2:
                continue
            directive, name = words
            if directive.startswith("interest"):
                entry = f"{who}/noawait" if directive == "interest-noawait" else who
                table = self.files if name.startswith("/") else self.named
                table.setdefault(name, []).append(entry)
            elif directive.startswith("activate"):
                self.activated.append(name)

    def file_lines(self) -> list[str]:
        """The lines of `triggers/File`, sorted."""
        return sorted(f"{path} {who}" for path, entries in self.files.items() for who in entries)


def parse_file_triggers(text: str) -> list[str]:
    """The paths that `triggers/File` holds interests in."""
    return sorted({line.split(" ", 1)[0] for line in text.split("\n") if line.startswith("/")})


def activated_paths(interests: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Which file triggers new paths set off: a trigger fires for its path and all below it.

    Both spellings of a path on a merged /usr are tried, as packages declare either.
    """
    wanted: dict[str, str] = {}
    for trigger in interests:
        wanted[trigger] = trigger
        for directory in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if trigger.startswith(f"/{directory}/") or trigger == f"/{directory}":
                wanted[f"/usr{trigger}"] = trigger
            if trigger.startswith(f"/usr/{directory}/") or trigger == f"/usr/{directory}":
                wanted[trigger[4:]] = trigger
    found: set[str] = set()
    checked: set[str] = set()
    for path in paths:
        current = path
        while current and current not in checked:
            checked.add(current)
            if current in wanted:
                found.add(wanted[current])
            current = current.rpartition("/")[0]
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Diversion:
    """One record of `diversions`: `package` is ":" for a local one (dpkg-divert(1))."""

    origin: str
    target: str
    package: str


def parse_diversions(text: str) -> tuple[Diversion, ...]:
    """Read `diversions`: three lines a record."""
    lines = text.split("\n")
    return tuple(Diversion(*lines[i : i + 3]) for i in range(0, len(lines) - 2, 3))


def render_diversions(diversions: Iterable[Diversion]) -> str:
    """The text of `diversions`."""
    return "".join(f"{d.origin}\n{d.target}\n{d.package}\n" for d in diversions)


def extended_states(packages: Iterable[LockedPackage], native: str) -> str:
    """apt's `extended_states`: everything is automatic but the requests and Essential packages."""
    automatic = sorted(
        (p.name, native if p.architecture == "all" else p.architecture)
        for p in packages
        if not (p.requested or p.essential)
    )
    return "".join(
        f"Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n"
        for name, architecture in automatic
    )
