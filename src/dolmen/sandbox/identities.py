"""True users and groups in a sandbox: a user namespace with 65536 ids of each kind.

Root maps them onto themselves. An ordinary user maps 0 onto himself and the rest onto his
subordinate ids (subuid(5), subgid(5)) by newuidmap(1) and newgidmap(1). In both, what the inside
sees is the same, and so is what is read back.

unshare(1) makes the namespace and waits at a gate on its standard input; the maps are written from
outside (user_namespaces(7)), and behind the gate everything runs as root of the namespace. What
lies on the disk then belongs to ids that the caller may not even enter: `settle` notes the truth
and gives everything to him, `give` does the reverse.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dolmen.support.errors import HostError
from dolmen.support.run import Completed, kill_group, run, spawn

#: How many ids the inside has; 65534 is nobody, and Debian's own numbers end below (Policy 9.2).
COUNT = 65536
_TIMEOUT = 20.0
_READY = b"@ready\n"

# What waits for its maps. Nothing of it needs a capability; all that comes after has them, because
# exec as uid 0 of the namespace gives them.
_GATE = 'printf "@ready\\n"; read -r _ || exit 1; exec setpriv --clear-groups -- "$@"'


@dataclass(frozen=True, slots=True)
class Owner:
    """What is true of one path: mode (all twelve permission bits), owner, capabilities."""

    mode: int
    uid: int
    gid: int
    xattrs: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Identities:
    """Where the inside's ids lie outside: (inside, outside, count), for users and for groups."""

    users: tuple[tuple[int, int, int], ...]
    groups: tuple[tuple[int, int, int], ...]
    privileged: bool


def identities() -> Identities:
    """The maps of whoever calls; raises HostError ("no-subordinate-ids", "few-ids")."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        for kind in ("uid_map", "gid_map"):
            if _known(kind) < COUNT:
                raise HostError(
                    f"the container that we run in has fewer than {COUNT} user or group ids",
                    reason="few-ids",
                    context=f"/proc/self/{kind}",
                    hint="build on the host, or in a container with more ids: "
                    f"podman run --uidmap 0:0:{COUNT} …",
                )
        return Identities(((0, 0, COUNT),), ((0, 0, COUNT),), privileged=True)
    users, groups = _subordinate("subuid", uid), _subordinate("subgid", uid)
    if users is None or groups is None:
        name = _name(uid)
        raise HostError(
            "a system image has files of many owners: build it as root, or get subordinate ids",
            reason="no-subordinate-ids",
            context="/etc/subuid, /etc/subgid",
            hint=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}",
        )
    for program in ("newuidmap", "newgidmap"):
        if not os.access(f"/usr/bin/{program}", os.X_OK):
            raise HostError(
                f"the program {program} is not installed",
                reason="no-uidmap",
                hint="sudo apt install uidmap",
            )
    return Identities(
        ((0, uid, 1), (1, users, COUNT - 1)), ((0, gid, 1), (1, groups, COUNT - 1)), False
    )


@contextmanager
def entered(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program as root of a new user namespace with these ids, stdin and stdout as pipes.

    Its standard output may begin after what unshare(1) has to complain of.
    """
    maps = identities()
    gate = ["unshare", "--user", "--", "sh", "-c", _GATE, "sh", *argv]
    with spawn(
        gate,
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        pass_fds=pass_fds,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if os.read(child.stdout.fileno(), len(_READY)) == _READY:
            _write_maps(child.pid, maps)
            os.write(child.stdin.fileno(), b"\n")
        yield child


def run_entered(argv: Sequence[str], *, timeout: float, input: bytes = b"") -> Completed:
    """Run a program like this to its end."""
    with entered(argv, stderr=subprocess.PIPE) as child:
        try:
            out, err = child.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_group(child)
            return Completed(tuple(argv), -9, b"", b"", timed_out=True)
        return Completed(tuple(argv), child.returncode, out, err)


def give(root: Path, wanted: Mapping[str, Owner], *, timeout: float = 600.0) -> None:
    """Give paths below `root` (relative names, "." is itself) their owners; raises HostError."""
    rows = [
        [name, o.mode, o.uid, o.gid, [[key, value.hex()] for key, value in o.xattrs]]
        for name, o in wanted.items()
    ]
    _inside("give", root, json.dumps(rows).encode(), timeout)


def settle(root: Path, *, timeout: float = 600.0) -> dict[str, Owner]:
    """Note what is true of everything below `root` and give it to the caller, readable.

    Paths have a leading slash. Nothing may write there meanwhile. Raises HostError.
    """
    out = _inside("settle", root, b"", timeout)
    found: dict[str, Owner] = {}
    for line in out.splitlines():
        name, mode, uid, gid, xattrs = json.loads(line)
        pairs = tuple((key, bytes.fromhex(value)) for key, value in xattrs)
        found[name] = Owner(mode, uid, gid, pairs)
    return found


def _inside(what: str, root: Path, data: bytes, timeout: float) -> bytes:
    program = resources.files("dolmen").joinpath("data/owners.py").read_text()
    argv = ["/usr/bin/python3", "-I", "-c", program, what, str(root.absolute())]
    done = run_entered(argv, timeout=timeout, input=data)
    if not done.ok:
        raise HostError(
            "the owners of files in a tree under construction could not be read or changed",
            reason="owners-failed",
            context=str(root),
            details=done.stderr.decode(errors="replace").splitlines()[-5:],
            hint="dolmen doctor",
        )
    return done.stdout


def _write_maps(pid: int, maps: Identities) -> None:
    for kind, rows in (("uid", maps.users), ("gid", maps.groups)):
        if maps.privileged:
            text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in rows)
            Path(f"/proc/{pid}/{kind}_map").write_text(text)
            continue
        numbers = [str(number) for row in rows for number in row]
        done = run([f"/usr/bin/new{kind}map", str(pid), *numbers], timeout=_TIMEOUT)
        if not done.ok:
            raise HostError(
                f"new{kind}map refused the subordinate ids",
                reason="no-subordinate-ids",
                context=f"/etc/sub{kind}",
                details=done.stderr.decode(errors="replace").splitlines()[-3:],
                hint=f"grep {_name(os.geteuid())} /etc/subuid /etc/subgid",
            )


def _known(kind: str) -> int:
    """How many ids, counted from 0 without a gap, our own namespace has."""
    try:
        rows = [list(map(int, line.split())) for line in _lines(Path("/proc/self", kind))]
    except ValueError:
        return 0
    end = 0
    for inside, _, count in sorted(rows):
        if inside > end:
            break
        end = max(end, inside + count)
    return end


def _subordinate(table: str, uid: int) -> int | None:
    """Where the caller's first range of at least COUNT-1 subordinate ids begins."""
    owners = {_name(uid), str(uid)}
    for line in _lines(Path("/etc", table)):
        fields = line.strip().split(":")
        if len(fields) != 3 or fields[0] not in owners:
            continue
        if fields[1].isdecimal() and fields[2].isdecimal() and int(fields[2]) >= COUNT - 1:
            return int(fields[1])
    return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
