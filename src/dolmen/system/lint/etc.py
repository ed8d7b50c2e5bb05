"""Rules about /etc: what a first boot sees, what a merge meets, what nobody may share."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator

from dolmen.system.lint.rule import rule
from dolmen.system.lint.tree import Tree
from dolmen.system.tree.database import ADMIN
from dolmen.system.tree.identity import SECRETS
from dolmen.system.tree.units import PRESET, UNITS
from dolmen.system.tree.variable import FACTORY

#: Those of SECRETS that must be there, saying nothing.
_THERE = ("etc/machine-id", "etc/fstab", "etc/hostname", "etc/mtab", "etc/resolv.conf")


@rule(5, "first-boot", "the first start makes an id, and leaves units as the image has them")
def first_boot(tree: Tree) -> Iterator[str]:
    """ "uninitialized" would wait at the console, and enable everything."""
    if tree.kind("usr/etc/machine-id") != "f" or tree.content("usr/etc/machine-id"):
        yield "/usr/etc/machine-id is not an empty file"
    if "disable *" not in tree.text(PRESET).splitlines():
        yield f"/{PRESET} does not end with: disable *"


@rule(6, "unit-links", "units are enabled below /usr, and no link of theirs dangles")
def unit_links(tree: Tree) -> Iterator[str]:
    """A link in /etc has to be merged at every upgrade; a dangling .requires stops the boot."""
    for entry in tree.below("usr/etc/systemd"):
        if entry.kind == "l" and entry.target != "/dev/null":
            yield f"{entry.path} enables a unit in /etc"
    for entry in tree.below(UNITS):
        if entry.kind == "l" and entry.target != "/dev/null" and not tree.leads(entry.path[1:]):
            yield f"{entry.path} points to {entry.target}, which is not there"


@rule(7, "secrets", "no key, password or identity of one machine is in the image")
def secrets(tree: Tree) -> Iterator[str]:
    """All machines of one image would share it."""
    for top in ("usr/etc", FACTORY, "usr/lib/sysimage"):
        for entry in tree.below(top):
            path = _plain(entry.path[1:])
            for pattern, why in SECRETS:
                if pattern not in _THERE and fnmatch.fnmatchcase(path, pattern):
                    yield f"{entry.path}: {why}"
    for entry in tree.below("usr/etc"):
        if entry.kind == "f" and b"PRIVATE KEY-----" in _head(tree, entry.path[1:]):
            yield f"{entry.path} is a private key"


def _plain(path: str) -> str:
    """The path as a chroot would have it."""
    if path.startswith("usr/etc/"):
        return path[4:]
    if path.startswith("usr/lib/sysimage/debconf/"):
        return "var/cache/debconf/" + path.rpartition("/")[2]
    return path.removeprefix(f"{FACTORY}/")


def _head(tree: Tree, path: str) -> bytes:
    if "/ssl/" not in path and "key" not in posixpath.basename(path).lower():
        return b""
    return tree.content(path)[:200]


@rule(13, "etc", "/etc is in /usr/etc alone, and says nothing of a machine's disks and networks")
def etc(tree: Tree) -> Iterator[str]:
    """With both, libostree refuses the commit; what is there is what every machine begins with."""
    if tree.kind("etc"):
        yield "/etc is in the commit"
    if tree.kind("usr/etc") != "d":
        yield "/usr/etc is not in the commit"
        return
    for name in ("hostname", "hosts", "ld.so.cache", "passwd", "group", "shadow", "os-release"):
        if not tree.kind(f"usr/etc/{name}"):
            yield f"/usr/etc/{name} is missing"
    mounts = [line for line in tree.text("usr/etc/fstab").splitlines() if line[:1] not in ("", "#")]
    if mounts:
        yield f"/usr/etc/fstab mounts something: {mounts[0]}"
    if tree.kind("usr/etc/resolv.conf") == "f" and tree.content("usr/etc/resolv.conf"):
        yield "/usr/etc/resolv.conf has a network's name servers"
    # Their content is the scripts' and the declaration's business: `dpkg -V` tells it.
    for path in _conffiles(tree.text(f"{ADMIN}/status")):
        if not tree.kind(f"usr{path}"):
            yield f"the conffile {path} is not in /usr/etc"


def _conffiles(status: str) -> Iterator[str]:
    for block in re.findall(r"^Conffiles:\n((?: .+\n)+)", status, re.M):
        for line in block.splitlines():
            words = line.split()
            if len(words) == 2 and words[0].startswith("/etc/"):
                yield words[0]
