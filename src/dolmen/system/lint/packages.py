"""Rules about the package database, its siblings and accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolmen.system.lint.rule import rule
from dolmen.system.lint.tree import Tree
from dolmen.system.tree.database import ADMIN, MOVED, SYSIMAGE

_TMPFILES, _SYSUSERS = "usr/lib/tmpfiles.d", "usr/lib/sysusers.d"


@rule(1, "dpkg-database", "the dpkg database is in the commit, below /usr, and reached by a link")
def dpkg_database(tree: Tree) -> Iterator[str]:
    """Without it nothing can say what the system is made of."""
    text = tree.text(f"{ADMIN}/status")
    names = re.findall(r"^Package: (.+)$", text, re.M)
    if not names:
        yield f"/{ADMIN}/status lists no package"
    states = set(re.findall(r"^Status: (.+)$", text, re.M)) - {"install ok installed"}
    if states:
        yield f"packages are not installed but {', '.join(sorted(states))}"
    info = {name.rpartition(".")[0].partition(":")[0] for name in tree.names(f"{ADMIN}/info")}
    for name in sorted(set(names) - info):
        yield f"/{ADMIN}/info has no list of {name}"
    first = next((x for x in tree.tables(_TMPFILES) if x[1][1:2] == ["/var/lib/dpkg"]), None)
    if first is None:
        yield "no line of tmpfiles.d links /var/lib/dpkg"
    elif not first[0].startswith("00-") or first[1][-1] != f"../../{ADMIN}":
        yield f"{first[0]} does not link /var/lib/dpkg to ../../{ADMIN}, first of all"


@rule(2, "package-state", "what describes packages beside dpkg is below /usr, and linked")
def package_state(tree: Tree) -> Iterator[str]:
    """ucf, debconf, pam-auth-update and others would ask again, or forget."""
    lines = {words[1]: words for _, words in tree.tables(_TMPFILES) if len(words) > 1}
    for old, name in MOVED.items():
        if tree.kind(old):
            yield f"/{old} is in /var"
        if tree.kind(f"{SYSIMAGE}/{name}") and lines.get(f"/{old}", [""])[0] != "L+":
            yield f"no line of tmpfiles.d links /{old}"
    for path, words in lines.items():
        goal = words[-1].lstrip("./")
        if words[0] == "L+" and goal.startswith(SYSIMAGE) and not tree.kind(goal):
            yield f"{path} will point at /{goal}, which is not there"


@rule(4, "accounts", "users and groups have fixed numbers, in passwd and in sysusers.d alike")
def accounts(tree: Tree) -> Iterator[str]:
    """A file of a group that first boot numbers otherwise belongs to somebody else."""
    users = _numbers(tree.text("usr/etc/passwd"))
    groups = _numbers(tree.text("usr/etc/group"))
    strangers = set()
    for path, entry in tree.entries.items():
        if entry.uid not in users.values():
            strangers.add(f"/{path} belongs to the unknown user {entry.uid}")
        if entry.gid not in groups.values():
            strangers.add(f"/{path} belongs to the unknown group {entry.gid}")
    yield from sorted(strangers)[:20]
    said: dict[tuple[str, str], str] = {}
    for _, words in tree.tables(_SYSUSERS):
        if len(words) > 2 and words[0][:1] in ("u", "g"):
            said.setdefault((words[0][:1], words[1]), words[2].partition(":")[0])
    for kind, table in (("u", users), ("g", groups)):
        for name, number in sorted(table.items()):
            told = said.get((kind, name))
            if kind == "g" and told is None:
                told = said.get(("u", name))
            # base-passwd's are the same on every Debian
            if told is None and number < 100:
                continue
            if told != str(number):
                what = "user" if kind == "u" else "group"
                yield f"sysusers.d gives the {what} {name} the number {told or '-'}, not {number}"


def _numbers(text: str) -> dict[str, int]:
    rows = (line.split(":") for line in text.splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[2].isdecimal()}
