"""What the manifest says of the machine itself: names, places, files, arguments."""

from __future__ import annotations

from dolmen.model.system import PlacedFile
from dolmen.support.errors import DeclarationError
from dolmen.system.tree.construction import Construction, rows
from dolmen.system.tree.variable import FACTORY, quoted_path

KERNEL_ARGUMENTS = "usr/lib/dolmen/kargs"
SHARE = "usr/share/dolmen"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TMPFILES = "usr/lib/tmpfiles.d"
_LOCALE = "etc/default/locale"
SSHD = "etc/ssh/sshd_config.d/40-dolmen.conf"


def settle(work: Construction) -> None:
    """Write it all; /etc is still in its place. Raises DeclarationError ("no-timezone",
    "unknown-owner", "file-missing")."""
    system = work.system
    work.write("etc/hostname", f"{system.hostname}\n")
    if not work.has("etc/hosts"):
        name = system.hostname
        names = f"{name} {name.partition('.')[0]}" if "." in name else name
        work.write(
            "etc/hosts",
            f"127.0.0.1\tlocalhost\n127.0.1.1\t{names}\n\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n"
            "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
        )
    _locale(work, _links(work))
    _timezone(work)
    if any(user.ssh_keys for user in system.users):
        work.write(
            SSHD,
            "# Keys of the manifest lie in the image; others where they always do.\n"
            "AuthorizedKeysFile .ssh/authorized_keys /usr/lib/dolmen/authorized-keys/%u\n",
        )
    work.write(KERNEL_ARGUMENTS, " ".join(system.kernel_arguments) + "\n")
    # Root's alone: it may hold password hashes, and texts of files that others must not read.
    work.builder.add_file(f"{SHARE}/dolmen.toml", work.beside["dolmen.toml"], mode=0o600)
    for name, content in sorted(work.beside.items()):
        # With them the image can be built again on the machine, with packages over it; what is
        # placed with a mode of its own may be a secret.
        if name != "dolmen.toml":
            work.builder.add_file(f"{SHARE}/{name}", content, mode=0o600)
    _sources(work)
    for file in system.files:
        _place(work, file)


def _sources(work: Construction) -> None:
    """apt's sources on the machine: the Debian archives that the lock was solved against."""
    if any(work.names(place) for place in ("etc/apt/sources.list.d",)):
        return
    if work.text("etc/apt/sources.list").strip():
        return
    stanzas = []
    for uri in sorted({r.uri for r in work.lock.releases if r.origin == "Debian"}):
        numbers = [n for n, r in enumerate(work.lock.releases) if r.uri == uri]
        suites = [work.lock.releases[n].suite for n in numbers]
        components = {
            p.filename.split("/")[2 if p.filename.startswith("pool/updates/") else 1]
            for p in work.lock.packages
            if p.release in numbers and p.filename.startswith("pool/")
        }
        stanzas.append(
            f"Types: deb\nURIs: {uri}\nSuites: {' '.join(suites)}\n"
            f"Components: {' '.join(sorted(components | {'main'}))}\nSigned-By: {_KEYRING}\n"
        )
    if stanzas:
        work.write("etc/apt/sources.list.d/debian.sources", "\n".join(stanzas))


def _links(work: Construction) -> set[str]:
    """Make the links in /etc that systemd-tmpfiles would make at each start, whatever is there
    (tmpfiles.d(5), L+), so that a start changes nothing; returns their paths."""
    found = {}
    for name in work.names(_TMPFILES):
        if not name.endswith(".conf"):
            continue
        for line in work.text(f"{_TMPFILES}/{name}").splitlines():
            fields = line.split()
            if len(fields) == 7 and fields[0] == "L+" and fields[1].startswith("/etc/"):
                found[fields[1].lstrip("/")] = fields[6]
    for path, target in sorted(found.items()):
        if "%" not in path + target:
            work.builder.add_symlink(path, target)
    return set(found)


def _locale(work: Construction, links: set[str]) -> None:
    """Debian's file, or, where that is a link to it (since systemd 256), systemd's."""
    line = f"LANG={work.system.locale}\n"
    linked = _LOCALE in links
    if not linked:
        work.write(_LOCALE, line)
    if linked or work.has("etc/locale.conf"):
        work.write("etc/locale.conf", line)


def _timezone(work: Construction) -> None:
    zone = work.system.timezone
    if not work.has(f"usr/share/zoneinfo/{zone}"):
        if zone in ("Etc/UTC", "UTC"):
            return
        raise DeclarationError(
            f"there is no time zone {zone}",
            reason="no-timezone",
            hint="timedatectl list-timezones",
        )
    work.builder.add_symlink("etc/localtime", f"/usr/share/zoneinfo/{zone}")
    work.write("etc/timezone", f"{zone}\n")


def _place(work: Construction, file: PlacedFile) -> None:
    path = file.path.lstrip("/")
    uid = _number(work, "etc/passwd", file.owner, file)
    gid = _number(work, "etc/group", file.group, file)
    top = path.partition("/")[0]
    seeded = top in ("var", "srv", "root", "home") or path.startswith(("opt/", "usr/local/"))
    target = path
    if seeded:
        moved = {"root": "var/roothome", "usr": "var/usrlocal"}
        rest = path.removeprefix("usr/local/") if top == "usr" else path.partition("/")[2]
        there = path if top == "var" else f"{moved.get(top, f'var/{top}')}/{rest}"
        target = f"{FACTORY}/{there}"
        source = f"/{target}"
        work.tmpfiles[f"/{there}"] = f"C {quoted_path(f'/{there}')} - - - - {source}"
    if file.link is not None:
        work.builder.add_symlink(target, file.link)
        return
    text = (file.text or "").encode()
    content = work.beside[file.source] if file.source is not None else text
    work.builder.add_file(target, content, mode=file.mode)
    work.builder.give(target, file.mode, uid, gid)


def _number(work: Construction, table: str, name: str, file: PlacedFile) -> int:
    for row in rows(work.text(table)):
        if row[0] == name and len(row) > 2 and row[2].isdecimal():
            return int(row[2])
    raise DeclarationError(
        f"{file.path} shall belong to {name}, whom the image does not know",
        reason="unknown-owner",
        hint=f"declare {name} below [[system.users]], or name root",
    )
