"""What configuring leaves behind that is not a function of the lock, and what becomes of it.

One row a rule, with its reason. Patterns are shell-like on paths relative to the root; `*` stays
within one name, `**` crosses names. Rules act on what the maintainer scripts made or changed, never
on what a package ships untouched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Rule:
    """A path pattern, what is done ("delete" or "empty"), and why."""

    pattern: str
    action: str
    reason: str


RULES: tuple[Rule, ...] = (
    Rule("usr/sbin/policy-rc.d", "delete", "ours, for the time of the build"),
    Rule("etc/machine-id", "delete", "random; machine-id(5) wants it made on first boot"),
    Rule("var/lib/dbus/machine-id", "delete", "random"),
    Rule("etc/hostname", "delete", "a fact of the host"),
    Rule("etc/hosts", "delete", "a fact of the host"),
    Rule("etc/resolv.conf", "delete", "a fact of the host"),
    Rule("etc/mailname", "delete", "a fact of the host"),
    Rule("etc/adjtime", "delete", "a fact of the host"),
    Rule("etc/apt/apt.conf.d/01autoremove-kernels", "delete", "names the running kernel"),
    Rule("etc/ssh/ssh_host_*", "delete", "random keys"),
    Rule("etc/ssl/private/ssl-cert-snakeoil.key", "delete", "random key"),
    Rule("etc/ssl/certs/ssl-cert-snakeoil.pem", "delete", "belongs to the random key"),
    Rule("etc/bind/rndc.key", "delete", "random key"),
    Rule("etc/passwd-", "delete", "backup of a step in between"),
    Rule("etc/group-", "delete", "backup of a step in between"),
    Rule("etc/shadow-", "delete", "backup of a step in between"),
    Rule("etc/gshadow-", "delete", "backup of a step in between"),
    Rule("etc/subuid-", "delete", "backup of a step in between"),
    Rule("etc/subgid-", "delete", "backup of a step in between"),
    Rule("etc/.pwd.lock", "delete", "lock file"),
    Rule("etc/.updated", "delete", "time stamp"),
    Rule("var/.updated", "delete", "time stamp"),
    Rule("etc/**/*.dpkg-new", "delete", "left over"),
    Rule("etc/**/*.dpkg-tmp", "delete", "left over"),
    Rule("etc/**/*.ucf-old", "delete", "left over"),
    Rule("usr/lib/ssl/**/*.dpkg-tmp", "delete", "left over"),
    Rule("var/lib/dpkg/*-old", "delete", "backup of a step in between"),
    Rule("var/lib/dpkg/lock", "delete", "lock file"),
    Rule("var/lib/dpkg/lock-frontend", "delete", "lock file"),
    Rule("var/lib/dpkg/triggers/Lock", "delete", "lock file"),
    Rule("var/lib/dpkg/updates/*", "delete", "dpkg's journal, applied at its last write"),
    Rule("var/lib/ucf/*.[0-9]", "delete", "backup of a step in between"),
    Rule("var/lib/sgml-base/supercatalog.old", "delete", "backup of a step in between"),
    Rule("var/lib/xml-core/*.old", "delete", "backup of a step in between"),
    Rule("etc/sgml/*.old", "delete", "backup of a step in between"),
    Rule("etc/xml/*.old", "delete", "backup of a step in between"),
    Rule("var/lib/apt/lists/**", "delete", "state of an archive, not of the image"),
    Rule("var/cache/apt/*.bin", "delete", "cache"),
    Rule("var/cache/debconf/*-old", "delete", "backup of a step in between"),
    Rule("var/cache/ldconfig/*", "delete", "holds inode numbers and change times"),
    Rule("var/cache/man/**/[0-9]*", "delete", "temporary databases of mandb"),
    Rule("var/cache/app-info/**", "delete", "random identifiers (libxmlb, #1006358)"),
    Rule("var/cache/swcatalog/**", "delete", "random identifiers (libxmlb, #1006358)"),
    Rule("var/lib/systemd/random-seed", "delete", "random"),
    Rule("var/lib/urandom/random-seed", "delete", "random"),
    Rule("var/lib/plocate/*", "delete", "database of the build's own files"),
    Rule("var/lib/mlocate/*", "delete", "database of the build's own files"),
    Rule("var/log/dpkg.log", "delete", "time stamps"),
    Rule("var/log/alternatives.log", "delete", "time stamps"),
    Rule("var/log/fontconfig.log", "delete", "time stamps"),
    Rule("var/log/bootstrap.log", "delete", "time stamps"),
    Rule("var/log/apt/*", "delete", "time stamps"),
    Rule("var/log/**", "empty", "logs of the build"),
    Rule("var/lib/texmf/**/*.log", "delete", "time stamps"),
    Rule("var/lib/texmf/web2c/lua*/*.fmt", "delete", "random order of tables (#1009196)"),
    Rule("root/.bash_history", "delete", "left over"),
    Rule("root/.rnd", "delete", "random"),
    Rule("root/.cache/**", "delete", "cache"),
    Rule("dev/**", "delete", "belongs to the running system"),
    Rule("proc/**", "delete", "belongs to the running system"),
    Rule("sys/**", "delete", "belongs to the running system"),
    Rule("run/**", "delete", "belongs to the running system"),
    Rule("tmp/**", "delete", "belongs to the running system"),
    Rule("var/tmp/**", "delete", "belongs to the running system"),
)


def action(path: str) -> str:
    """What the first rule that matches says, empty where none does."""
    match = _pattern().fullmatch(path)
    return RULES[match.lastindex - 1].action if match and match.lastindex else ""


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(f"({_translate(rule.pattern)})" for rule in RULES))


def _translate(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\[[^\]]*\])", pattern)
    table = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}
    return "".join(
        table.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts
    )
