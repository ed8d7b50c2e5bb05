"""Users and groups: declared ones added, numbers as the lock has them, told to sysusers.

Scripts make accounts in the order in which they run, so one more package would shift the numbers
of those after it, and with them who owns what on a machine's disk. The lock fixes them: what a
build allocated differently is changed here, in the tables and on every file of the tree; a name
that the lock does not know keeps its number if that is free, and gets the next free one otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dolmen.model.system import PEOPLE, User
from dolmen.support.errors import DeclarationError
from dolmen.system.tree.construction import Construction, quoted, rows

SYSUSERS = "usr/lib/sysusers.d/00-dolmen.conf"
NUMBERS = "usr/lib/dolmen/numbers.json"
KEYS = "usr/lib/dolmen/authorized-keys"
#: Below this a number is Debian's own, the same everywhere (Policy 9.2.2); 65534 is nobody.
_STATIC = 100
_DYNAMIC = range(_STATIC, PEOPLE.start)
_DAY = "18262"  # 2020-01-01 in shadow(5), as image.normalise has it


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers by name, as a lock has them: those that are not Debian's own."""

    users: Mapping[str, int]
    groups: Mapping[str, int]


def settle(work: Construction, known: Numbers) -> Numbers:
    """Add the declared users, renumber, write sysusers.d; returns all numbers there are now.

    Raises DeclarationError ("number-taken", "unknown-group").
    """
    allocated = Numbers(_numbers(work.text("etc/passwd")), _numbers(work.text("etc/group")))
    users = _renumbered(allocated.users, known.users)
    groups = _renumbered(allocated.groups, known.groups)
    _apply(work, users, groups)
    # Those with a declared number first: nobody else is given it then.
    for user in sorted(work.system.users, key=lambda user: user.uid is None):
        _add(work, user, known)
    found = Numbers(_numbers(work.text("etc/passwd")), _numbers(work.text("etc/group")))
    _sysusers(work)
    # Numbers of packages that are gone stay known: a later one must not inherit their files.
    result = Numbers(
        {**known.users, **_dynamic(found.users)}, {**known.groups, **_dynamic(found.groups)}
    )
    text = json.dumps({"users": result.users, "groups": result.groups}, sort_keys=True)
    work.write(NUMBERS, f"{text}\n")
    return result


def _numbers(text: str) -> dict[str, int]:
    return {row[0]: int(row[2]) for row in rows(text) if len(row) > 2 and row[2].isdecimal()}


def _dynamic(numbers: Mapping[str, int]) -> dict[str, int]:
    return {n: i for n, i in sorted(numbers.items()) if _STATIC <= i < 65534 and n != "users"}


def _renumbered(allocated: Mapping[str, int], known: Mapping[str, int]) -> dict[int, int]:
    """Old number -> new one, for those that change."""
    names = {number: name for name, number in sorted(allocated.items(), reverse=True)}
    taken = set(known.values()) | {n for n in allocated.values() if n not in _DYNAMIC}
    found: dict[int, int] = {}
    for number, name in sorted(names.items()):
        if number not in _DYNAMIC:
            continue
        wanted = known.get(name)
        if wanted is None:
            wanted = number if number not in taken else _free(taken, number)
            taken.add(wanted)
        if wanted != number:
            found[number] = wanted
    return found


def _free(taken: Iterable[int], like: int) -> int:
    """The next free number, upwards where adduser counts and downwards where sysusers does."""
    there = set(taken)
    order = reversed(_DYNAMIC) if like > 900 else iter(_DYNAMIC)
    for number in order:
        if number not in there:
            return number
    raise DeclarationError("there are no numbers left for users of services", reason="number-taken")


def _apply(work: Construction, users: Mapping[int, int], groups: Mapping[int, int]) -> None:
    if not users and not groups:
        return
    _change(work, "etc/passwd", {2: users, 3: groups})
    _change(work, "etc/group", {2: groups})
    for path, found in list(work.builder.walk()):
        uid, gid = users.get(found.uid, found.uid), groups.get(found.gid, found.gid)
        if (uid, gid) != (found.uid, found.gid):
            work.builder.give(path, found.permissions, uid, gid, found.xattrs)


def _change(work: Construction, path: str, columns: Mapping[int, Mapping[int, int]]) -> None:
    lines = []
    for line in work.text(path).splitlines():
        fields = line.split(":")
        for column, table in columns.items():
            if len(fields) > column and fields[column].isdecimal():
                number = int(fields[column])
                fields[column] = str(table.get(number, number))
        lines.append(":".join(fields) + "\n")
    work.rewrite(path, "".join(lines))


def _add(work: Construction, user: User, known: Numbers) -> None:
    users, groups = _numbers(work.text("etc/passwd")), _numbers(work.text("etc/group"))
    if user.name in users:
        if user.uid not in (None, users[user.name]):
            raise DeclarationError(
                f"{user.name} has the number {users[user.name]} from a package",
                reason="number-taken",
                hint=f"in dolmen.toml, leave out uid of {user.name}",
            )
        uid = users[user.name]
    else:
        uid = user.uid or known.users.get(user.name) or _next(user, users, groups, known)
        others = [name for name, number in users.items() if number == uid]
        if others:
            raise DeclarationError(
                f"the number {uid} of {user.name} is that of {others[0]}",
                reason="number-taken",
                hint=f"in dolmen.toml, give {user.name} another uid, or none",
            )
        gid = groups.get(user.name, known.groups.get(user.name, uid))
        home = user.home or ("/nonexistent" if user.system else f"/home/{user.name}")
        if user.name not in groups:
            _append(work, "etc/group", f"{user.name}:x:{gid}:")
            _append(work, "etc/gshadow", f"{user.name}:!::")
        fields = (user.name, "x", uid, gid, user.comment, home, user.shell)
        _append(work, "etc/passwd", ":".join(map(str, fields)))
        _append(work, "etc/shadow", f"{user.name}:!:{_DAY}:0:99999:7:::")
        if home.startswith("/home/"):
            name = home.removeprefix("/home/")
            work.tmpfiles[f"/var/home/{name}"] = (
                f"d /var/home/{name} 0700 {user.name} {user.name} -"
            )
            for skeleton in work.names("etc/skel"):
                target = f"/var/home/{name}/{skeleton}"
                work.tmpfiles[target] = (
                    f"C {target} 0644 {user.name} {user.name} - /etc/skel/{skeleton}"
                )
    _password(work, user)
    for group in user.groups:
        _join(work, user, group)
    if user.ssh_keys:
        # In the image, not in the home: a key that the manifest no longer has opens nothing.
        work.write(f"{KEYS}/{user.name}", "".join(f"{key}\n" for key in user.ssh_keys))


def _next(user: User, users: Mapping[str, int], groups: Mapping[str, int], known: Numbers) -> int:
    taken = {*users.values(), *groups.values(), *known.users.values(), *known.groups.values()}
    if user.system:
        return _free(taken, 999)
    return next(number for number in PEOPLE if number not in taken)


def _password(work: Construction, user: User) -> None:
    lines = []
    for line in work.text("etc/shadow").splitlines():
        fields = line.split(":")
        if fields[0] == user.name and len(fields) > 1:
            fields[1] = user.password
        lines.append(":".join(fields) + "\n")
    work.rewrite("etc/shadow", "".join(lines))


def _join(work: Construction, user: User, group: str) -> None:
    for path, column in (("etc/group", 3), ("etc/gshadow", 3)):
        lines, met = [], False
        for line in work.text(path).splitlines():
            fields = line.split(":")
            if fields[0] == group and len(fields) > column:
                met = True
                members = [name for name in fields[column].split(",") if name]
                if user.name not in members:
                    fields[column] = ",".join([*members, user.name])
            lines.append(":".join(fields) + "\n")
        if not met and path == "etc/group":
            raise DeclarationError(
                f"{user.name} shall be in the group {group}, which no package makes",
                reason="unknown-group",
                hint=f"grep -w {group} dolmen.toml; the package that makes it has to be asked for",
            )
        work.rewrite(path, "".join(lines))


def _append(work: Construction, path: str, line: str) -> None:
    text = work.text(path)
    if text and not text.endswith("\n"):
        text += "\n"
    work.rewrite(path, f"{text}{line}\n")


def _sysusers(work: Construction) -> None:
    """Every account with its number, so that a machine whose /etc/passwd was edited gets the same
    (sysusers.d(5); the first file by name wins). What others say with the same number is theirs."""
    said = _said_by_others(work)
    lines = ["# Numbers of this image; written by Dolmen."]
    groups = [row for row in rows(work.text("etc/group")) if len(row) > 2]
    lines += [f"g {row[0]} {row[2]} -" for row in groups if said.get(("g", row[0])) != row[2]]
    for row in rows(work.text("etc/passwd")):
        if len(row) > 6 and said.get(("u", row[0])) not in (row[2], f"{row[2]}:{row[3]}"):
            comment = quoted(row[4]) if row[4] else "-"
            lines.append(f"u {row[0]} {row[2]}:{row[3]} {comment} {row[5] or '-'} {row[6] or '-'}")
    for row in groups:
        members = row[3].split(",") if len(row) > 3 and row[3] else []
        lines += [f"m {member} {row[0]}" for member in members]
    work.write(SYSUSERS, "".join(f"{line}\n" for line in lines))


def _said_by_others(work: Construction) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name in work.names("usr/lib/sysusers.d"):
        for line in work.text(f"usr/lib/sysusers.d/{name}").splitlines():
            words = line.split()
            if len(words) > 2 and words[0][:1] in ("u", "g") and words[2] != "-":
                found.setdefault((words[0][:1], words[1]), words[2])
    return found
