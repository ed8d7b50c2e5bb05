from __future__ import annotations

import errno
import shutil
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.sandbox.seccomp import builder_filter, runtime_filter
from dolmen.sandbox.syscalls import MACHINES, TABLES, Abi
from dolmen.support.errors import HostError
from tests.unit.sandbox.bpf import Call, verdict

ABIS = [(machine, abi) for machine, abis in MACHINES.items() for abi in abis]
IDS = [f"{machine}-{abi.table}" for machine, abi in ABIS]
X32 = 0x40000000
LIMIT = 4096  # BPF_MAXINSNS

OWNERS = ["chown", "fchown", "lchown", "fchownat", "chown32", "fchown32", "lchown32"]
IDENTITY = [
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
    "setfsuid",
]
SYNC = ["sync", "fsync", "fdatasync", "syncfs", "sync_file_range", "sync_file_range2", "msync"]

every_abi = pytest.mark.parametrize(("machine", "abi"), ABIS, ids=IDS)


def ask(program: bytes, abi: Abi, name: str, *arguments: int) -> int | None:
    number = TABLES[abi.table][name]
    return verdict(program, Call(abi.audit, number, arguments, abi.big_endian))


@every_abi
def test_builder_emulates_root_and_drops_syncs(machine: str, abi: Abi) -> None:
    program = builder_filter(machine)
    present = [name for name in OWNERS + IDENTITY + SYNC if name in TABLES[abi.table]]
    assert {"fchownat", "setuid", "setgroups", "capset", "fsync", "msync"} <= set(present)
    assert {name: ask(program, abi, name, 1, 2, 3) for name in present} == dict.fromkeys(present, 0)


@every_abi
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFCHR | 0o666, 0),
        (stat.S_IFBLK | 0o660, 0),
        (stat.S_IFIFO | 0o644, None),
        (stat.S_IFREG | 0o644, None),
        (stat.S_IFSOCK | 0o755, None),
        (0o644, None),
    ],
)
def test_builder_makes_no_devices(machine: str, abi: Abi, mode: int, expected: int | None) -> None:
    program = builder_filter(machine)
    high = 0xDEADBEEF << 32  # mode_t is 32 bits wide; the rest of the register is no part of it
    assert ask(program, abi, "mknodat", 5, 0x1000, high | mode, 0x103) == expected
    if "mknod" in TABLES[abi.table]:
        assert ask(program, abi, "mknod", 0x1000, high | mode, 0x103) == expected


@every_abi
def test_builder_allows_the_rest(machine: str, abi: Abi) -> None:
    program = builder_filter(machine)
    assert ask(program, abi, "ioctl", 0, 0x5412) is None
    assert ask(program, abi, "clone", 0x11) is None
    assert ask(program, abi, "mount") is None  # the kernel says no: capabilities are dropped


@every_abi
@pytest.mark.parametrize("request_", [0x5412, 0x541C])
@pytest.mark.parametrize("confined", [False, True])
def test_runtime_denies_injection(machine: str, abi: Abi, request_: int, confined: bool) -> None:
    program = runtime_filter(machine, confined=confined)
    assert ask(program, abi, "ioctl", 0, 0x5401) is None
    assert ask(program, abi, "ioctl", 0, request_) == errno.EPERM
    # CVE-2019-10063: the kernel looks at the low 32 bits only.
    assert ask(program, abi, "ioctl", 2**64 - 1, (0x123 << 32) | request_) == errno.EPERM
    assert ask(program, abi, "ioctl", request_, 0) is None


@every_abi
def test_runtime_allows_the_rest(machine: str, abi: Abi) -> None:
    program = runtime_filter(machine)
    allowed = [name for name in TABLES[abi.table] if name != "ioctl"]
    assert [name for name in allowed if ask(program, abi, name, 2**64 - 1) is not None] == []


@every_abi
def test_confined(machine: str, abi: Abi) -> None:
    program = runtime_filter(machine, confined=True)
    flags = (0, 0x10000011) if machine == "s390x" else (0x10000011, 0)
    thread = (0, 0x3D0F00) if machine == "s390x" else (0x3D0F00, 0)
    assert ask(program, abi, "clone", *thread) is None
    assert ask(program, abi, "clone", *flags) == errno.EPERM
    assert ask(program, abi, "clone3") == errno.ENOSYS
    for name in ("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "keyctl", "bpf"):
        assert ask(program, abi, name) == errno.EPERM, name
    for name in ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr"):
        assert ask(program, abi, name) == errno.ENOSYS, name
    for family in (1, 2, 10, 16):
        assert ask(program, abi, "socket", family) is None
    for family in (0, 9, 17, 21, 38, 40):
        assert ask(program, abi, "socket", family) == errno.EAFNOSUPPORT
    assert ask(program, abi, "fchownat") is None


def test_x32_calls_are_amd64_calls_with_a_marker() -> None:
    abi = MACHINES["x86_64"][0]

    def x32(program: bytes, number: int, *arguments: int) -> int | None:
        return verdict(program, Call(abi.audit, number | X32, arguments))

    assert x32(builder_filter("x86_64"), TABLES["x32"]["chown"]) == 0
    assert x32(runtime_filter("x86_64"), 514, 0, 0x5401) is None
    assert x32(runtime_filter("x86_64"), 514, 0, 0x5412) == errno.EPERM
    assert x32(runtime_filter("x86_64"), 16, 0, 0x5412) == errno.EPERM
    assert x32(runtime_filter("x86_64", confined=True), 0) == errno.ENOSYS


def test_unknown_interfaces() -> None:
    foreign = Call(0x1234, 1)
    assert verdict(builder_filter("x86_64"), foreign) is None
    assert verdict(runtime_filter("x86_64"), foreign) == errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_programs_fit_the_kernel(machine: str) -> None:
    programs = [
        builder_filter(machine),
        runtime_filter(machine),
        runtime_filter(machine, confined=True),
    ]
    assert all(len(program) % 8 == 0 and 0 < len(program) // 8 <= LIMIT for program in programs)


@given(
    number=st.integers(0, 2**32 - 1),
    arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6),
    case=st.sampled_from(ABIS),
    confined=st.booleans(),
)
def test_every_path_returns(
    number: int, arguments: tuple[int, ...], case: tuple[str, Abi], confined: bool
) -> None:
    machine, abi = case
    call = Call(abi.audit, number, arguments, abi.big_endian)
    assert verdict(builder_filter(machine), call) in (None, 0)
    assert verdict(runtime_filter(machine, confined=confined), call) != 0


def test_no_table_no_filter() -> None:
    with pytest.raises(HostError) as caught:
        builder_filter("vax")
    assert caught.value.reason == "unsupported-architecture"


@pytest.mark.skipif(
    shutil.which("scmp_sys_resolver") is None, reason="libseccomp's scmp_sys_resolver is missing"
)
@pytest.mark.parametrize(
    ("table", "name"),
    [
        *(("amd64", "x86_64"), ("i386", "x86"), ("arm64", "aarch64"), ("armhf", "arm")),
        *(("riscv64", "riscv64"), ("ppc64el", "ppc64le"), ("s390x", "s390x")),
    ],
)
def test_tables_agree_with_libseccomp(table: str, name: str) -> None:
    wrong = {}
    for call, number in TABLES[table].items():
        argv = ["scmp_sys_resolver", "-a", name, call]
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        theirs = int(done.stdout or -1)
        if theirs >= 0 and theirs != number:
            wrong[call] = theirs
    assert wrong == {}
