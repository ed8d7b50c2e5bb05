"""Packages that somebody asked for, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dolmen.archive import configured_sources
from dolmen.image import read_status
from dolmen.model import Source
from dolmen.model.installed import Installed
from dolmen.model.relation import parse_relations
from dolmen.model.system import System
from dolmen.system.adoption.found import Adopted

Packages = Mapping[tuple[str, str], Installed]
_KERNEL = re.compile(r"linux-image-(?:cloud-|rt-)?[a-z0-9]+")
#: What a machine with an initramfs or boot loader of its own has, and a system image has not.
_LEFT_OUT = re.compile(
    r"linux-(?:image|headers)-.*|grub-pc|grub-efi|grub-efi-(?:amd64|arm64)|grub2|os-prober"
    r"|initramfs-tools(?:-core|-bin)?|busybox|shim-.*|efibootmgr|installation-report"
)
_DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def read_packages(found: Adopted) -> Packages:
    """Fill in packages, kernel and architectures; returns all that is installed."""
    root = found.root
    admin = root / "var/lib/dpkg"
    marks = root / "var/lib/apt/extended_states"
    there = read_status(admin / "status", marks)
    native = _native(there)
    found.architecture = native
    arches = _text(admin / "arch").split()
    found.foreign = tuple(name for name in arches if name != native)
    manual = [p for p in there.values() if p.state == "installed" and not p.automatic]
    anyway = _anyway(admin / "status", {spec.name for spec in System().requests(native)})
    kernels = sorted(p.name for p in manual if _KERNEL.fullmatch(p.name))
    if kernels and kernels[0] != f"linux-image-{native}":
        found.kernel = kernels[0]
    names = {
        p.name if p.architecture in (native, "all") else f"{p.name}:{p.architecture}"
        for p in manual
        if not p.essential and p.name not in anyway and not _LEFT_OUT.fullmatch(p.name)
    }
    if not any(p.automatic for p in there.values()):
        # Nothing says what came by itself: what others need is taken to have come with them.
        names -= _depended(admin / "status", names)
    found.packages = sorted(names)
    for package in there.values():
        if package.state != "installed":
            found.notes.append(f"{package.name} is {package.state}, not installed")
    return there


def read_sources(found: Adopted) -> None:
    """Fill in sources, with the keys that are not Debian's."""
    for source in configured_sources(found.root / "etc/apt"):
        where = " ".join(source.uris)
        if not source.components:
            found.notes.append(f"{where} is a flat repository: add it by hand")
            continue
        if not all(uri.startswith(("http://", "https://", "file://")) for uri in source.uris):
            found.notes.append(f"{where} cannot be declared: http, https and file are known")
            continue
        key = source.signed_by
        if key is None:
            found.notes.append(
                f"{where} names no key: it is taken to be Debian's; else write signed-by"
            )
            key = _DEBIAN_KEYRING
        elif "-----BEGIN" not in key and not Path(key).name.startswith("debian-archive"):
            try:
                content = (found.root / key.lstrip("/")).read_bytes()
            except OSError:
                found.notes.append(f"{where}: the key {key} cannot be read")
                continue
            name = f"keys/{Path(key).name}"
            found.keys[name] = content
            key = name
        found.sources.append(Source(source.uris, source.suites, source.components, key))


def _native(there: Packages) -> str:
    dpkg = next((p for p in there.values() if p.name == "dpkg"), None)
    return dpkg.architecture if dpkg is not None else ""


def _stanzas(status: Path) -> list[dict[str, str]]:
    found = []
    for block in _text(status).split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields[name] = value.strip()
        if "Package" in fields:
            found.append(fields)
    return found


def _anyway(status: Path, needed: set[str]) -> set[str]:
    """What every system image has: Essential, what systems ask for, and what these need.

    Who bootstraps unpacks much of it without apt, so that nothing is marked as automatic.
    """
    stanzas = _stanzas(status)
    found = needed | {f["Package"] for f in stanzas if f.get("Essential") == "yes"}
    needs: dict[str, set[str]] = {}
    for fields in stanzas:
        named = needs.setdefault(fields["Package"], set())
        for key in ("Depends", "Pre-Depends"):
            for clause in parse_relations(fields.get(key, "")):
                named |= {relation.name for relation in clause}
    waiting = list(found)
    while waiting:
        fresh = needs.get(waiting.pop(), set()) - found
        found |= fresh
        waiting.extend(fresh)
    return found


def _depended(status: Path, names: set[str]) -> set[str]:
    needed: set[str] = set()
    for fields in _stanzas(status):
        for key in ("Depends", "Pre-Depends", "Recommends"):
            for clause in parse_relations(fields.get(key, "")):
                needed |= {r.name for r in clause if r.name != fields["Package"]}
    return {name for name in names if name.partition(":")[0] in needed}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
