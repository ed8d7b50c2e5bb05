"""/var: empty in the image, made by tmpfiles on the machine. Every path has a class.

* a directory is made with its true owner and mode (`d`),
* a link is made as it is (`L`),
* a file is *kept* under /usr (`database`), *discarded*, or *seeded*: copied once from
  /usr/share/factory, where the machine has none yet (`C`),
* what is *remade* has no line, directories neither: each machine makes its own.

Rules name what is known by its path. Of other files the tree itself says enough when a package
ships them (they are seeded), when a script copied them from /usr (they are copied from there), or
when they are empty (they are made so). Any other stops the build by its name: a machine without it
may be broken in a way that nobody sees (ostree-peers, E2).
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from functools import cache

from dolmen.system.tree.construction import Construction, quoted, rows, unknown
from dolmen.system.tree.origin import Origins

FACTORY = "usr/share/factory"


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern of paths (`*` within a name, `**` across), what becomes of a file, and why."""

    pattern: str
    action: str
    reason: str


RULES: tuple[Rule, ...] = (
    Rule("var/run/**", "discard", "a link to /run"),
    Rule("var/lock/**", "discard", "a link to /run/lock"),
    Rule("var/tmp/**", "discard", "temporary"),
    Rule("var/cache/**", "discard", "caches are made anew (FHS 5.5)"),
    Rule("var/log/journal/**", "discard", "this machine's"),
    Rule("var/log/README", "seed", "a pointer of systemd's"),
    Rule("var/log/**", "empty", "logs are made by who writes them; owner and mode are kept"),
    Rule("var/backups/**", "discard", "backups of a step in between"),
    Rule("var/crash/**", "discard", "this machine's"),
    Rule("var/mail/**", "discard", "somebody's"),
    Rule("var/spool/cron/crontabs/**", "seed", "tables that packages bring"),
    Rule("var/spool/**", "seed", "queues with files that their programs need"),
    Rule("var/www/**", "seed", "the first page of web servers"),
    Rule("var/games/**", "seed", "score files, with owners that cannot be made later"),
    Rule("var/lib/systemd/catalog/**", "discard", "systemd-journal-catalog-update.service"),
    Rule("var/lib/systemd/linger/**", "seed", "users whose services run without them"),
    Rule("var/lib/systemd/**", "discard", "this machine's state"),
    Rule("var/lib/apt/lists/**", "discard", "apt update"),
    Rule("var/lib/apt/**", "discard", "apt's own, made when it runs"),
    Rule("var/lib/dbus/machine-id", "discard", "a link to /etc/machine-id"),
    Rule("var/lib/dracut/**", "discard", "about the initramfs of a machine that makes its own"),
    Rule("var/lib/urandom/**", "discard", "random"),
    Rule("var/lib/misc/**", "seed", "small things of libc and others"),
    Rule("var/lib/ntp/**", "seed", "what a clock learnt, at first nothing"),
    Rule("var/lib/chrony/**", "discard", "what a clock learnt"),
    Rule("var/lib/logrotate/**", "discard", "which logs were rotated when"),
    Rule("var/lib/man-db/**", "discard", "when man-db was last run"),
    Rule("var/lib/command-not-found/**", "discard", "an index of the archive"),
    Rule("var/lib/plocate/**", "discard", "an index of the machine's files"),
    Rule("var/lib/mlocate/**", "discard", "an index of the machine's files"),
    Rule("var/lib/nginx/**", "seed", "a package's state"),
    Rule("var/lib/apache2/**", "seed", "which modules an administrator chose"),
    Rule("var/lib/php/**", "seed", "which modules an administrator chose"),
    Rule("var/lib/polkit-1/**", "seed", "rules of an administrator"),
    Rule("var/lib/NetworkManager/**", "seed", "a package's state"),
    Rule("var/lib/bluetooth/**", "seed", "a package's state"),
    Rule("var/lib/dhcp/**", "discard", "leases"),
    Rule("var/lib/mysql/**", "remade", "a database: dolmen-first-start.service"),
    Rule("var/lib/postgresql/*/*/**", "remade", "a database: dolmen-first-start.service"),
    Rule("var/lib/postgresql/*/*", "remade", "a database: dolmen-first-start.service"),
    Rule("var/lib/postgresql/**", "seed", "a package's state"),
    Rule("var/lib/redis/**", "seed", "a package's state"),
    Rule("var/lib/ldap/**", "remade", "a database: dolmen-first-start.service"),
    Rule("var/lib/samba/**", "seed", "a package's state"),
    Rule("var/lib/nfs/**", "seed", "state files that must exist"),
    Rule("var/lib/unbound/**", "seed", "the root's trust anchor"),
    Rule("var/lib/bind/**", "seed", "a package's state"),
    Rule("var/lib/snmp/**", "seed", "a package's state"),
    Rule("var/lib/docker/**", "discard", "made when it runs"),
    Rule("var/lib/containerd/**", "discard", "made when it runs"),
    Rule("var/lib/fail2ban/**", "discard", "made when it runs"),
    Rule("var/lib/usbutils/**", "seed", "a table of identifiers"),
    Rule("var/lib/ieee-data/**", "seed", "tables of identifiers"),
    Rule("var/lib/saned/**", "seed", "a package's state"),
    Rule("var/lib/gdm3/**", "seed", "a package's state"),
    Rule("var/lib/AccountsService/**", "seed", "a package's state"),
    Rule("var/lib/swcatalog/**", "discard", "an index of the archive"),
    Rule("var/lib/alsa/**", "discard", "this machine's"),
    Rule("var/lib/vim/addons/**", "seed", "which add-ons an administrator chose"),
    Rule("var/lib/flatpak/**", "discard", "made when it runs"),
    Rule("var/lib/dolmen/**", "discard", "our own store"),
    Rule("var/opt/**", "seed", "files of /opt"),
    Rule("var/local/**", "seed", "an administrator's"),
    Rule("var/lib/exim4/**", "seed", "what exim's scripts derive from debconf"),
    Rule("var/lib/xfonts/**", "seed", "which fonts an administrator left out"),
    Rule("var/list/**", "seed", "a package's state"),
    Rule("var/yp/**", "seed", "a package's state"),
    Rule("var/ax25/**", "seed", "a package's state"),
)


def empty(work: Construction) -> None:
    """Note how all of it is made again, and empty it; `database.move` has been there before.

    Raises DeclarationError ("var-unknown").
    """
    users, groups = _names(work.text("etc/passwd")), _names(work.text("etc/group"))
    made = made_by_others(work)
    origins = Origins(work)
    strangers: list[str] = []
    whole: tuple[str, ...] = ()
    for path, attributes in list(work.builder.walk("var")):
        if f"/{path}" in work.tmpfiles or f"/{path}" in made or path in ("var/run", "var/lock"):
            continue
        user = users.get(attributes.uid, str(attributes.uid))
        group = groups.get(attributes.gid, str(attributes.gid))
        owned = f"{attributes.permissions:04o} {user} {group}"
        kind = stat.S_IFMT(attributes.mode)
        what = decided(work, path)
        if what == "" and kind == stat.S_IFREG:
            what = _by_origin(origins, path)
        name = quoted_path(f"/{path}")
        if what == "remade" or path.startswith(whole):
            continue
        if kind == stat.S_IFDIR and _unsafe(work, path, attributes.uid):
            whole = (*whole, f"{path}/")
            work.builder.move(path, f"{FACTORY}/{path}")
            work.tmpfiles[f"/{path}"] = f"C {name} - - - - /{FACTORY}/{path}"
        elif kind == stat.S_IFDIR:
            work.tmpfiles[f"/{path}"] = f"d {name} {owned} -"
        elif kind == stat.S_IFLNK and what != "discard":
            target = work.builder.link_target(work.builder.find(path) or "")
            work.tmpfiles[f"/{path}"] = f"L {name} - - - - {target}"
        elif kind == stat.S_IFREG and what == "empty":
            work.tmpfiles[f"/{path}"] = f"f {name} {owned} -"
        elif kind == stat.S_IFREG and what == "seed":
            work.builder.move(path, f"{FACTORY}/{path}")
            work.tmpfiles[f"/{path}"] = f"C {name} - - - - /{FACTORY}/{path}"
        elif kind == stat.S_IFREG and what == "" and (source := origins.same_in_usr(path)):
            work.tmpfiles[f"/{path}"] = f"C {name} - - - - {quoted_path(f'/{source}')}"
        elif kind == stat.S_IFREG and what == "":
            strangers.append(f"/{path}")
    if strangers:
        raise unknown(
            "no rule says what becomes of this file in /var",
            strangers,
            reason="var-unknown",
            hint=f'in dolmen.toml, below [system.var]: "{strangers[0]}" = "seed" (or "discard")',
        )
    for name in work.names("var"):
        work.builder.remove(f"var/{name}")
    for path, target in (("/var/run", "/run"), ("/var/lock", "/run/lock")):
        if path not in made:
            work.tmpfiles[path] = f"L {path} - - - - {target}"


def _unsafe(work: Construction, path: str, uid: int) -> bool:
    """Whether systemd-tmpfiles would make nothing below: it enters no directory whose owner is
    neither root nor that of the directory above. Such a one is copied as a whole."""
    above = work.builder.attributes(path.rpartition("/")[0])
    return above is not None and above.uid not in (0, uid) and bool(work.names(path))


def _by_origin(origins: Origins, path: str) -> str:
    if origins.shipped(path):
        return "seed"
    return "empty" if origins.is_empty(path) else ""


def made_by_others(work: Construction) -> set[str]:
    """Paths that packages' own tmpfiles.d make: a second line would only be complained of."""
    found: set[str] = set()
    for directory in ("usr/lib/tmpfiles.d", "etc/tmpfiles.d"):
        for name in work.names(directory):
            for line in work.text(f"{directory}/{name}").splitlines():
                words = line.split()
                # what a line makes only at boot, or only sometimes, has its type marked
                if len(words) > 1 and words[0][:1] in "dDqQvfFLC" and "%" not in words[1]:
                    found.add(words[1].rstrip("/").strip('"'))
    return found


def decided(work: Construction, path: str) -> str:
    """What the manifest, or else the table, says of a file."""
    for pattern, what in work.system.var:
        if re.fullmatch(_translate(pattern.lstrip("/")), path):
            return what
    return action(path)


def action(path: str) -> str:
    """What the first rule that matches says of a file, empty where none does."""
    match = _pattern().fullmatch(path)
    return RULES[match.lastindex - 1].action if match and match.lastindex else ""


def quoted_path(path: str) -> str:
    """A path for tmpfiles.d(5): blanks quoted, specifiers doubled."""
    path = path.replace("%", "%%")
    return quoted(path) if " " in path or '"' in path else path


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(f"({_translate(rule.pattern)})" for rule in RULES))


def _translate(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    table = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}
    return "".join(table.get(part) or re.escape(part) for part in parts)


def _names(text: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for row in rows(text):
        if len(row) > 2 and row[2].isdecimal():
            found.setdefault(int(row[2]), row[0])
    return found
