"""What a deployment is, as values: read from libostree once, compared and shown without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a system image's commit says about itself; empty or 0 where it says nothing.

    `sequence`: grows with every image that shall replace another; seconds, from the newest Release
    file (`dolmen.sequence`), else the commit's own time. `kernel`: the KVER of `ostree.linux`.
    """

    commit: str
    timestamp: int
    version: str = ""
    architecture: str = ""
    suite: str = ""
    sequence: int = 0
    key: str = ""
    kernel: str = ""
    bootable: bool = False
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of the boot menu: a tree checked out, with an /etc of its own.

    `index`: its place in the menu, 0 is started by default. `staged`: becomes an entry when the
    machine is shut down. `arguments`: of the kernel, without `ostree=`. `unlocked`: "none",
    "development", "hotfix" or "transient" (ostree-admin-unlock(1)). `path`: where its tree lies.
    """

    index: int
    osname: str
    commit: str
    serial: int
    boot_checksum: str
    metadata: Metadata
    path: Path
    arguments: tuple[str, ...] = ()
    origin: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    booted: bool = False
    staged: bool = False
    pinned: bool = False
    unlocked: str = "none"

    @property
    def name(self) -> str:
        """What libostree calls its directory."""
        return f"{self.commit}.{self.serial}"

    @property
    def version(self) -> str:
        """What people call it."""
        return self.metadata.version or self.commit[:12]

    @property
    def base(self) -> str:
        """The commit that its layers lie on, or its own."""
        return self.origin.get("dolmen", {}).get("base") or self.commit

    @property
    def sequence(self) -> int:
        """How new its image is; that of the one below its layers."""
        text = self.origin.get("dolmen", {}).get("sequence", "")
        return int(text) if text.isdecimal() else self.metadata.sequence


def parse_arguments(options: str) -> tuple[str, ...]:
    """Kernel arguments, one a word; quotes hold blanks (Documentation/admin-guide)."""
    words: list[str] = []
    word, quoted = "", False
    for character in options:
        if character == '"':
            quoted = not quoted
        if character.isspace() and not quoted:
            if word:
                words.append(word)
            word = ""
        else:
            word += character
    if word:
        words.append(word)
    return tuple(words)


def parse_keyfile(text: str) -> dict[str, dict[str, str]]:
    """A GLib key file, as .origin files are: group -> key -> value."""
    groups: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            current = groups.setdefault(line[1:-1], {})
        elif line and not line.startswith("#") and "=" in line:
            key, _, value = line.partition("=")
            current[key.strip()] = value.strip()
    return groups


def render_keyfile(groups: Mapping[str, Mapping[str, str]]) -> str:
    """The same as text; groups without keys are left out."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
        for name, values in groups.items()
        if values
    )
