"""Which units are enabled: by links below /usr, so that nothing in /etc has to be merged.

What packages' scripts enabled in /etc is moved there too: a link of the image that an upgrade takes
away would otherwise stay, or come back, by the three-way merge of /etc (ostree-peers, E6). An
administrator masks a unit (`systemctl mask`), or enables further ones, in /etc as ever. Presets
say the same as the links, so that `systemctl preset-all` changes nothing.
"""

from __future__ import annotations

import posixpath
import re

from dolmen.support.errors import DeclarationError
from dolmen.system.tree.construction import Construction

UNITS = "usr/lib/systemd/system"
USER_UNITS = "usr/lib/systemd/user"
PRESET = "usr/lib/systemd/system-preset/00-dolmen.preset"
#: libostree's own, which a package's script enables, or a generator, or nobody, by version.
_OSTREE = ("ostree-finalize-staged.path", "ostree-boot-complete.service")
_DEPENDENCY = re.compile(r".+\.(?:wants|requires|upholds)")
_NETWORKS = ("ifupdown", "network-manager", "connman", "netplan.io", "dhcpcd", "wicd-daemon")
_DHCP = """\
# Every wired interface asks for an address, unless a file in /etc/systemd/network says otherwise.
[Match]
Type=ether
Name=en* eth*

[Network]
DHCP=yes
"""


def settle(work: Construction) -> None:
    """Move links, then do what the manifest says. Raises DeclarationError ("unknown-unit",
    "unit-static")."""
    _network(work)
    _move(work, "etc/systemd/system", UNITS)
    _move(work, "etc/systemd/user", USER_UNITS)
    system = work.system
    for unit in system.disable:
        _disable(work, unit)
    for unit in _OSTREE:
        if _find(work, unit) is not None:
            work.builder.add_symlink(f"{UNITS}/multi-user.target.wants/{unit}", f"../{unit}")
    for unit in system.enable:
        if not _install(work, _known(work, unit)):
            raise DeclarationError(
                f"{unit} cannot be enabled: it has no [Install] that says what starts it",
                reason="unit-static",
                hint=f"systemctl cat {unit}; or add [Install] and WantedBy= to your own unit",
            )
        _enable(work, unit, set())
    for unit in system.mask:
        _disable(work, unit)
        # In /etc: below /usr the link would take the place of a package's own file.
        work.builder.add_symlink(f"etc/systemd/system/{unit}", "/dev/null")
    _known(work, system.default_target)
    work.builder.add_symlink(f"{UNITS}/default.target", system.default_target)
    _presets(work)


def _network(work: Construction) -> None:
    if work.packages(*_NETWORKS) or not work.has(f"{UNITS}/systemd-networkd.service"):
        return
    work.write("usr/lib/systemd/network/80-dolmen-dhcp.network", _DHCP)
    _enable(work, "systemd-networkd.service", set())


def _move(work: Construction, old: str, new: str) -> None:
    """Links of units in /etc, alone or in .wants directories, to the same names below /usr."""
    for path, _ in list(work.builder.walk(old)):
        found = work.builder.find(path)
        target = work.builder.link_target(found) if found is not None else None
        if target is None:
            continue
        name = path[len(old) + 1 :]
        if target == "/dev/null":
            continue  # masked, by a package
        work.builder.remove(path)
        unit = target.rpartition("/")[2]
        where = _find(work, unit, new)
        if where is None:
            continue  # dangling: its package is gone, and a .requires of it would stop the boot
        ups = "../" * name.count("/")
        if not work.has(f"{new}/{name}"):
            work.builder.add_symlink(f"{new}/{name}", f"{ups}{unit}")
    for path, _ in sorted(work.builder.walk(old), reverse=True):
        if work.builder.has_directory(path) and not work.names(path):
            work.builder.remove(path)


def _find(work: Construction, unit: str, directory: str = UNITS) -> str | None:
    """The unit's file, or the template's that it is an instance of."""
    names = [unit]
    if "@" in unit:
        stem, _, rest = unit.partition("@")
        names.append(f"{stem}@.{rest.rpartition('.')[2]}")
    for name in names:
        for place in (directory, f"etc/systemd/{posixpath.basename(directory)}"):
            if work.builder.find(f"{place}/{name}") is not None:
                return f"{place}/{name}"
    return None


def _known(work: Construction, unit: str) -> str:
    found = _find(work, unit)
    if found is None:
        raise DeclarationError(
            f"there is no unit {unit} in the image",
            reason="unknown-unit",
            hint=f"look for its package: dolmen which {unit}",
        )
    return found


def _install(work: Construction, path: str) -> dict[str, list[str]]:
    """The [Install] section of a unit (systemd.unit(5))."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in work.text(work.resolve(path) or path).replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Install]" and "=" in line and line[:1] not in "#;":
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).extend(value.split())
    return found


def _enable(work: Construction, unit: str, seen: set[str]) -> None:
    if unit in seen:
        return
    seen.add(unit)
    section = _install(work, _known(work, unit))
    for key, suffix in (("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds")):
        for by in section.get(key, ()):
            if "%" not in by:
                work.builder.add_symlink(f"{UNITS}/{by}.{suffix}/{unit}", f"../{unit}")
    for alias in section.get("Alias", ()):
        if "%" not in alias and not work.has(f"{UNITS}/{alias}"):
            work.builder.add_symlink(f"{UNITS}/{alias}", unit)
    for also in section.get("Also", ()):
        if _find(work, also) is not None:
            _enable(work, also, seen)


def _disable(work: Construction, unit: str) -> None:
    _known(work, unit)
    for path, _ in list(work.builder.walk(UNITS)):
        parent, _, name = path.rpartition("/")
        if name == unit and _DEPENDENCY.fullmatch(parent):
            work.builder.remove(path)


def _presets(work: Construction) -> None:
    enabled = set()
    for path, _ in work.builder.walk(UNITS):
        parent, _, name = path.rpartition("/")
        if _DEPENDENCY.fullmatch(parent):
            enabled.add(name)
    lines = ["# What the image has enabled, and nothing else; written by Dolmen."]
    lines += [f"enable {unit}" for unit in sorted(enabled)]
    lines += ["disable *"]
    work.write(PRESET, "".join(f"{line}\n" for line in lines))
