"""Boot entries (BLS files, as libostree writes them) as a menu that Debian's GRUB understands.

Debian's GRUB has no `blscfg`. The menu therefore stands beside the entries it was made from, in
`loader.N/grub.cfg`, and `/boot/loader` is the one link whose renaming switches both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One entry: paths are relative to /boot; `deployment` is libostree's `COMMIT.SERIAL`.

    `index` is its place in the list, 0 the one that starts by itself.
    """

    title: str
    version: str
    linux: str
    initrd: str
    options: str
    index: int
    deployment: str = ""

    @property
    def name(self) -> str:
        """What the menu and the boot state call this entry."""
        return self.deployment or self.ostree or f"entry-{self.index}"

    @property
    def ostree(self) -> str:
        """The value of the kernel argument `ostree=`: the link to the deployment."""
        for argument in arguments(self.options):
            if argument.startswith("ostree="):
                return argument.removeprefix("ostree=")
        return ""


def arguments(options: str) -> list[str]:
    """Split a kernel command line as the kernel does: at blanks outside of double quotes."""
    found = re.findall(r'(?:[^\s"]|"[^"]*(?:"|$))+', options)
    return [argument.replace('"', "") for argument in found]


def menu(entries: Sequence[BootEntry], *, good: Sequence[str] = ()) -> str:
    """Write the menu of these entries, in their order; the first starts by itself.

    `good` names entries that have been seen to work: the first of them that is not the first of
    all is what a failing first entry gives way to; without one it is the second. The last line
    tells the stub (data/system/grub.cfg) that the menu is whole.
    """
    ordered = sorted(entries, key=lambda entry: entry.index)
    others = [entry.name for entry in ordered[1:]]
    fallback = next((name for name in others if name in good), others[0] if others else "")
    # GRUB 2.06 knows the entry to fall back to by its number only.
    number = str(others.index(fallback) + 1) if others else ""
    lines = ["# Made from the entries beside it; never edited. See bls(7) and docs/boot.md."]
    for entry in ordered:
        quoted = " ".join(_quote(argument) for argument in arguments(entry.options))
        # GRUB takes what begins with a digit for the number of an entry.
        name = _quote(f"system-{entry.name}")
        lines += [
            f"menuentry {_quote(entry.title)} --unrestricted --id {name} {{",
            f"  dolmen_attempt {_quote(entry.name)}",
            f"  linux {_quote(entry.linux)} {quoted} $dolmen_arguments",
        ]
        if entry.initrd:
            images = " ".join(_quote(image) for image in entry.initrd.split())
            lines.append(f"  initrd {images}")
        lines.append("}")
    lines += [
        f"set dolmen_first={_quote(ordered[0].name if ordered else '')}",
        f"set dolmen_second={_quote(fallback)}",
        f"set fallback={number}",
        "set dolmen_menu=whole",
    ]
    return "\n".join(lines) + "\n"


def read_entries(loader: Path, deployments: Path | None = None) -> tuple[BootEntry, ...]:
    """Read the entries below `loader` (a `/boot/loader.N`), the one that starts by itself first.

    `deployments` is the root of the sysroot; there the link that `ostree=` names tells the
    deployment. Entries are known by what they say, never by their file's name, which libostree
    changed in 2024. Raises OSError.
    """
    found = []
    for path in (loader / "entries").glob("*.conf"):
        fields = dict(_fields(path.read_text(errors="replace")))
        if "linux" not in fields:
            continue
        found.append(fields)
    # libostree numbers versions so that the highest is the first choice.
    found.sort(key=lambda fields: _number(fields.get("version", "")), reverse=True)
    entries = []
    for index, fields in enumerate(found):
        entry = BootEntry(
            title=fields.get("title", "(untitled)"),
            version=fields.get("version", ""),
            linux=fields["linux"],
            initrd=fields.get("initrd", ""),
            options=fields.get("options", ""),
            index=index,
            deployment="",
        )
        name = deployment_of(deployments, entry.ostree) if deployments is not None else ""
        entries.append(
            BootEntry(
                entry.title,
                entry.version,
                entry.linux,
                entry.initrd,
                entry.options,
                index,
                name,
            )
        )
    return tuple(entries)


def deployment_of(sysroot: Path, link: str) -> str:
    """Which deployment (`COMMIT.SERIAL`) the link of an `ostree=` argument leads to, or ""."""
    place = sysroot / link.lstrip("/")
    try:
        name = place.resolve(strict=True).name
    except (OSError, RuntimeError):
        return ""
    return name if re.fullmatch(r"[0-9a-f]{64}\.[0-9]+", name) else ""


def _fields(text: str) -> Iterator[tuple[str, str]]:
    joined: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        value = value.strip()
        # Several initrd lines are several images; the kernel gets them in this order.
        joined[key] = f"{joined[key]} {value}" if key == "initrd" and key in joined else value
    yield from joined.items()


def _number(version: str) -> int:
    digits = re.match(r"[0-9]+", version)
    return int(digits.group()) if digits else 0


def _quote(word: str) -> str:
    clean = "".join(character for character in word if character.isprintable())
    return "'" + clean.replace("'", "'\\''") + "'"
