"""Seccomp filters as classic BPF, for `bwrap --seccomp`.

Three programs. The *builder's* makes one mapped uid look like root to maintainer scripts: calls
that change owners, identities or capabilities, that make device nodes, or that wait for disks
return 0 and do nothing. The *runtime's* denies pushing characters into the terminal (TIOCSTI,
TIOCLINUX: CVE-2017-5226, CVE-2019-10063, CVE-2023-28100), so that sandboxes may keep the user's
session and its job control; `confined=True` denies more, for `--pure`. The *trial's* emulates root
as the builder's does, but lets disks be waited for, and denies what the runtime's does.

Return values and the layout of `struct seccomp_data`: seccomp(2), linux/seccomp.h. Jumps of cBPF
reach 255 instructions; each rule is a comparison followed by its own return, so none is long.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dolmen.sandbox.syscalls import MACHINES, TABLES, Abi
from dolmen.support.errors import HostError

# Opcodes (linux/bpf_common.h).
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_SET = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_X32 = 0x40000000
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENTS = 0, 4, 16

_S_IFMT, _S_IFCHR, _S_IFBLK = 0o170000, 0o020000, 0o060000
_CLONE_NEWUSER = 0x10000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # asm-generic/ioctls.h; powerpc has the same two
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16


def denied(code: int) -> int:
    """The verdict "return -1 with this errno"; 0 is success without doing anything."""
    return _ERRNO | code


def _calls(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_NOTHING = denied(0)

#: One uid is mapped, so these could only fail; scripts that check would stop.
_EMULATED = _calls(
    "chown chown32 fchown fchown32 lchown lchown32 fchownat "
    "setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 "
    "setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 "
    "setgroups setgroups32 capset"
)
#: A tree under construction is made durable once, when it is committed.
_SYNC = _calls("sync fsync fdatasync syncfs sync_file_range sync_file_range2 msync")
#: Answered ENOSYS: programs then use the older calls, whose arguments a filter can see.
_UNSEEN = _calls(
    "clone3 open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr io_uring_setup"
)
#: Kernel surface that no confined command needs (the list of flatpak, without ptrace: debuggers).
_PRIVILEGED = _calls(
    "unshare setns mount umount umount2 pivot_root chroot add_key keyctl request_key "
    "perf_event_open bpf userfaultfd syslog quotactl quotactl_fd uselib acct swapon swapoff reboot "
    "kexec_load kexec_file_load init_module finit_module delete_module "
    "open_by_handle_at name_to_handle_at"
)


@dataclass(frozen=True, slots=True)
class Test:
    """A condition on the low 32 bits of argument `argument`, after `mask`; true gives `verdict`.

    `otherwise` turns it round: the verdict is given when no value matches.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    otherwise: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to one system call, where the interface has it."""

    call: str
    verdict: int
    test: Test | None = None


def builder_filter(machine: str | None = None, *, true_owners: bool = False) -> bytes:
    """Root emulation and sync suppression, for `machine` (uname -m; None: this one).

    With `true_owners` there are many ids, and only device nodes are emulated. Raises HostError
    (reason "unsupported-architecture").
    """
    emulated = _devices() if true_owners else _root_emulation()
    rules = [*emulated, *(Rule(call, _NOTHING) for call in _SYNC)]
    return assemble(rules, _abis(machine), foreign=ALLOW)


def trial_filter(machine: str | None = None) -> bytes:
    """Root emulation on the user's own terminal, where what is synced must be on the disk.

    Raises HostError (reason "unsupported-architecture").
    """
    rules = [*_root_emulation(), _terminal_injection()]
    return assemble(rules, _abis(machine), foreign=denied(errno.ENOSYS))


def _root_emulation() -> list[Rule]:
    return [*(Rule(call, _NOTHING) for call in _EMULATED), *_devices()]


def _devices() -> list[Rule]:
    devices = (_S_IFCHR, _S_IFBLK)
    return [
        Rule("mknod", _NOTHING, Test(1, devices, _S_IFMT)),
        Rule("mknodat", _NOTHING, Test(2, devices, _S_IFMT)),
    ]


def _terminal_injection() -> Rule:
    return Rule("ioctl", denied(errno.EPERM), Test(1, (_TIOCSTI, _TIOCLINUX)))


def runtime_filter(machine: str | None = None, *, confined: bool = False) -> bytes:
    """Deny terminal injection; `confined` also namespaces, mounts, odd sockets, x32.

    Raises HostError (reason "unsupported-architecture").
    """
    rules = [_terminal_injection()]
    abis = _abis(machine)
    if confined:
        rules += [Rule(call, denied(errno.ENOSYS)) for call in _UNSEEN]
        rules += [Rule(call, denied(errno.EPERM)) for call in _PRIVILEGED]
        flags = 1 if abis[0].table == "s390x" else 0  # clone(2): s390 swaps the first two
        rules.append(
            Rule("clone", denied(errno.EPERM), Test(flags, (_CLONE_NEWUSER,), _CLONE_NEWUSER))
        )
        families = (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
        rules.append(Rule("socket", denied(errno.EAFNOSUPPORT), Test(0, families, otherwise=True)))
    return assemble(rules, abis, foreign=denied(errno.ENOSYS), x32=not confined)


def assemble(
    rules: Sequence[Rule], abis: Sequence[Abi], *, foreign: int, x32: bool = True
) -> bytes:
    """The program: dispatch on the interface, then one comparison a rule, then allow.

    Calls of an interface not in `abis` get the verdict `foreign`; with `x32` false so do those
    that carry the x32 marker.
    """
    program: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, _OFFSET_ARCH)]
    for abi in abis:
        section = _section(rules, abi, foreign if not x32 else None)
        if len(section) > 255:
            raise AssertionError("a section is longer than a cBPF jump")
        program += [(_EQUAL, 0, len(section), abi.audit), *section]
    program.append(_return(foreign))
    order = ">" if abis[0].big_endian else "<"
    return b"".join(struct.pack(f"{order}HBBI", *instruction) for instruction in program)


def _section(
    rules: Sequence[Rule], abi: Abi, x32_verdict: int | None
) -> list[tuple[int, int, int, int]]:
    section: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, _OFFSET_NUMBER)]
    if abi.x32_table is not None:
        if x32_verdict is not None:
            section += [(_SET, 0, 1, _X32), _return(x32_verdict)]
        else:
            section.append((_AND, 0, 0, 0xFFFFFFFF & ~_X32))
    for rule in rules:
        for number in _numbers(rule.call, abi):
            body = _body(rule, abi)
            section += [(_EQUAL, 0, len(body), number), *body]
    section.append(_return(ALLOW))
    return section


def _numbers(call: str, abi: Abi) -> Iterable[int]:
    tables = [TABLES[abi.table]] + ([TABLES[abi.x32_table]] if abi.x32_table else [])
    return sorted({table[call] for table in tables if call in table})


def _body(rule: Rule, abi: Abi) -> list[tuple[int, int, int, int]]:
    """What follows a matching number; every path returns."""
    test = rule.test
    if test is None:
        return [_return(rule.verdict)]
    low = _OFFSET_ARGUMENTS + 8 * test.argument + (4 if abi.big_endian else 0)
    body = [(_LOAD, 0, 0, low), (_AND, 0, 0, test.mask)]
    match, miss = (ALLOW, rule.verdict) if test.otherwise else (rule.verdict, ALLOW)
    for value in test.values:
        body += [(_EQUAL, 0, 1, value), _return(match)]
    body.append(_return(miss))
    return body


def _return(verdict: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, verdict)


def _abis(machine: str | None) -> tuple[Abi, ...]:
    name = machine or platform.machine()
    try:
        return MACHINES[name]
    except KeyError:
        raise HostError(
            f"Dolmen has no system call table for the architecture {name}",
            reason="unsupported-architecture",
            context="src/dolmen/sandbox/syscalls.py",
            hint="dolmen doctor",
        ) from None
