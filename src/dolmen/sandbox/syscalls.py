"""System call numbers of the architectures that Dolmen runs on.

Facts, not code: `scmp_sys_resolver` of libseccomp prints them, and the unit tests compare where it
is installed. x32 numbers stand without their marker bit (0x40000000), because filters clear it.
socket(2) of i386 and s390x is the direct call (Linux 4.3), not socketcall(2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Abi:
    """One system call interface: its AUDIT_ARCH word (linux/audit.h) and its table's name.

    `x32_table` names the table of calls that carry the x32 marker under the same word.
    """

    audit: int
    table: str
    big_endian: bool = False
    x32_table: str | None = None


AMD64 = Abi(0xC000003E, "amd64", x32_table="x32")
I386 = Abi(0x40000003, "i386")
ARM64 = Abi(0xC00000B7, "arm64")
ARMHF = Abi(0x40000028, "armhf")
RISCV64 = Abi(0xC00000F3, "riscv64")
LOONG64 = Abi(0xC0000102, "riscv64")  # the kernel's generic table, as riscv64
PPC64EL = Abi(0xC0000015, "ppc64el")
S390X = Abi(0x80000016, "s390x", big_endian=True)

#: `uname -m` -> every interface its kernel offers, the native one first.
MACHINES: Mapping[str, tuple[Abi, ...]] = {
    "x86_64": (AMD64, I386),
    "i686": (I386,),
    "i586": (I386,),
    "aarch64": (ARM64, ARMHF),
    "armv7l": (ARMHF,),
    "armv6l": (ARMHF,),
    "riscv64": (RISCV64,),
    "loongarch64": (LOONG64,),
    "ppc64le": (PPC64EL,),
    "s390x": (S390X,),
}


def _table(text: str) -> Mapping[str, int]:
    return {name: int(number) for name, number in (item.split("=") for item in text.split())}


#: Table name -> call name -> number; a name that an interface lacks is absent.
TABLES: Mapping[str, Mapping[str, int]] = {
    "amd64": _table(
        "chown=92 fchown=93 lchown=94 fchownat=260 setuid=105 setgid=106 setreuid=113 "
        "setregid=114 setresuid=117 setresgid=119 setfsuid=122 setfsgid=123 setgroups=116 "
        "capset=126 mknod=133 mknodat=259 sync=162 fsync=74 fdatasync=75 syncfs=306 "
        "sync_file_range=277 msync=26 ioctl=16 clone=56 clone3=435 unshare=272 setns=308 "
        "mount=165 umount2=166 pivot_root=155 chroot=161 open_tree=428 move_mount=429 "
        "fsopen=430 fsconfig=431 fsmount=432 fspick=433 mount_setattr=442 add_key=248 "
        "keyctl=250 request_key=249 perf_event_open=298 bpf=321 userfaultfd=323 syslog=103 "
        "quotactl=179 quotactl_fd=443 uselib=134 acct=163 swapon=167 swapoff=168 reboot=169 "
        "kexec_load=246 kexec_file_load=320 init_module=175 finit_module=313 "
        "delete_module=176 open_by_handle_at=304 name_to_handle_at=303 socket=41 "
        "io_uring_setup=425"
    ),
    "x32": _table(
        "chown=92 fchown=93 lchown=94 fchownat=260 setuid=105 setgid=106 setreuid=113 "
        "setregid=114 setresuid=117 setresgid=119 setfsuid=122 setfsgid=123 setgroups=116 "
        "capset=126 mknod=133 mknodat=259 sync=162 fsync=74 fdatasync=75 syncfs=306 "
        "sync_file_range=277 msync=26 ioctl=514 clone=56 clone3=435 unshare=272 setns=308 "
        "mount=165 umount2=166 pivot_root=155 chroot=161 open_tree=428 move_mount=429 "
        "fsopen=430 fsconfig=431 fsmount=432 fspick=433 mount_setattr=442 add_key=248 "
        "keyctl=250 request_key=249 perf_event_open=298 bpf=321 userfaultfd=323 syslog=103 "
        "quotactl=179 quotactl_fd=443 acct=163 swapon=167 swapoff=168 reboot=169 "
        "kexec_load=528 kexec_file_load=320 init_module=175 finit_module=313 "
        "delete_module=176 open_by_handle_at=304 name_to_handle_at=303 socket=41 "
        "io_uring_setup=425"
    ),
    "i386": _table(
        "chown=182 chown32=212 fchown=95 fchown32=207 lchown=16 lchown32=198 fchownat=298 "
        "setuid=23 setuid32=213 setgid=46 setgid32=214 setreuid=70 setreuid32=203 setregid=71 "
        "setregid32=204 setresuid=164 setresuid32=208 setresgid=170 setresgid32=210 "
        "setfsuid=138 setfsuid32=215 setfsgid=139 setfsgid32=216 setgroups=81 setgroups32=206 "
        "capset=185 mknod=14 mknodat=297 sync=36 fsync=118 fdatasync=148 syncfs=344 "
        "sync_file_range=314 msync=144 ioctl=54 clone=120 clone3=435 unshare=310 setns=346 "
        "mount=21 umount=22 umount2=52 pivot_root=217 chroot=61 open_tree=428 move_mount=429 "
        "fsopen=430 fsconfig=431 fsmount=432 fspick=433 mount_setattr=442 add_key=286 "
        "keyctl=288 request_key=287 perf_event_open=336 bpf=357 userfaultfd=374 syslog=103 "
        "quotactl=131 quotactl_fd=443 uselib=86 acct=51 swapon=87 swapoff=115 reboot=88 "
        "kexec_load=283 init_module=128 finit_module=350 delete_module=129 "
        "open_by_handle_at=342 name_to_handle_at=341 socket=359 io_uring_setup=425"
    ),
    "arm64": _table(
        "fchown=55 fchownat=54 setuid=146 setgid=144 setreuid=145 setregid=143 setresuid=147 "
        "setresgid=149 setfsuid=151 setfsgid=152 setgroups=159 capset=91 mknodat=33 sync=81 "
        "fsync=82 fdatasync=83 syncfs=267 sync_file_range=84 msync=227 ioctl=29 clone=220 "
        "clone3=435 unshare=97 setns=268 mount=40 umount2=39 pivot_root=41 chroot=51 "
        "open_tree=428 move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433 "
        "mount_setattr=442 add_key=217 keyctl=219 request_key=218 perf_event_open=241 bpf=280 "
        "userfaultfd=282 syslog=116 quotactl=60 quotactl_fd=443 acct=89 swapon=224 "
        "swapoff=225 reboot=142 kexec_load=104 kexec_file_load=294 init_module=105 "
        "finit_module=273 delete_module=106 open_by_handle_at=265 name_to_handle_at=264 "
        "socket=198 io_uring_setup=425"
    ),
    "armhf": _table(
        "chown=182 chown32=212 fchown=95 fchown32=207 lchown=16 lchown32=198 fchownat=325 "
        "setuid=23 setuid32=213 setgid=46 setgid32=214 setreuid=70 setreuid32=203 setregid=71 "
        "setregid32=204 setresuid=164 setresuid32=208 setresgid=170 setresgid32=210 "
        "setfsuid=138 setfsuid32=215 setfsgid=139 setfsgid32=216 setgroups=81 setgroups32=206 "
        "capset=185 mknod=14 mknodat=324 sync=36 fsync=118 fdatasync=148 syncfs=373 msync=144 "
        "ioctl=54 clone=120 clone3=435 unshare=337 setns=375 mount=21 umount2=52 "
        "pivot_root=218 chroot=61 open_tree=428 move_mount=429 fsopen=430 fsconfig=431 "
        "fsmount=432 fspick=433 mount_setattr=442 add_key=309 keyctl=311 request_key=310 "
        "perf_event_open=364 bpf=386 userfaultfd=388 syslog=103 quotactl=131 quotactl_fd=443 "
        "uselib=86 acct=51 swapon=87 swapoff=115 reboot=88 kexec_load=347 kexec_file_load=401 "
        "init_module=128 finit_module=379 delete_module=129 open_by_handle_at=371 "
        "name_to_handle_at=370 sync_file_range2=341 socket=281 io_uring_setup=425"
    ),
    "riscv64": _table(
        "fchown=55 fchownat=54 setuid=146 setgid=144 setreuid=145 setregid=143 setresuid=147 "
        "setresgid=149 setfsuid=151 setfsgid=152 setgroups=159 capset=91 mknodat=33 sync=81 "
        "fsync=82 fdatasync=83 syncfs=267 sync_file_range=84 msync=227 ioctl=29 clone=220 "
        "clone3=435 unshare=97 setns=268 mount=40 umount2=39 pivot_root=41 chroot=51 "
        "open_tree=428 move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433 "
        "mount_setattr=442 add_key=217 keyctl=219 request_key=218 perf_event_open=241 bpf=280 "
        "userfaultfd=282 syslog=116 quotactl=60 quotactl_fd=443 acct=89 swapon=224 "
        "swapoff=225 reboot=142 kexec_load=104 kexec_file_load=294 init_module=105 "
        "finit_module=273 delete_module=106 open_by_handle_at=265 name_to_handle_at=264 "
        "socket=198 io_uring_setup=425"
    ),
    "ppc64el": _table(
        "chown=181 fchown=95 lchown=16 fchownat=289 setuid=23 setgid=46 setreuid=70 "
        "setregid=71 setresuid=164 setresgid=169 setfsuid=138 setfsgid=139 setgroups=81 "
        "capset=184 mknod=14 mknodat=288 sync=36 fsync=118 fdatasync=148 syncfs=348 "
        "sync_file_range2=308 msync=144 ioctl=54 clone=120 clone3=435 unshare=282 setns=350 "
        "mount=21 umount=22 umount2=52 pivot_root=203 chroot=61 open_tree=428 move_mount=429 "
        "fsopen=430 fsconfig=431 fsmount=432 fspick=433 mount_setattr=442 add_key=269 "
        "keyctl=271 request_key=270 perf_event_open=319 bpf=361 userfaultfd=364 syslog=103 "
        "quotactl=131 quotactl_fd=443 uselib=86 acct=51 swapon=87 swapoff=115 reboot=88 "
        "kexec_load=268 kexec_file_load=382 init_module=128 finit_module=353 "
        "delete_module=129 open_by_handle_at=346 name_to_handle_at=345 socket=326 "
        "io_uring_setup=425"
    ),
    "s390x": _table(
        "chown=212 fchown=207 lchown=198 fchownat=291 setuid=213 setgid=214 setreuid=203 "
        "setregid=204 setresuid=208 setresgid=210 setfsuid=215 setfsgid=216 setgroups=206 "
        "capset=185 mknod=14 mknodat=290 sync=36 fsync=118 fdatasync=148 syncfs=338 "
        "sync_file_range=307 msync=144 ioctl=54 clone=120 clone3=435 unshare=303 setns=339 "
        "mount=21 umount=22 umount2=52 pivot_root=217 chroot=61 open_tree=428 move_mount=429 "
        "fsopen=430 fsconfig=431 fsmount=432 fspick=433 mount_setattr=442 add_key=278 "
        "keyctl=280 request_key=279 perf_event_open=331 bpf=351 userfaultfd=355 syslog=103 "
        "quotactl=131 quotactl_fd=443 uselib=86 acct=51 swapon=87 swapoff=115 reboot=88 "
        "kexec_load=277 kexec_file_load=381 init_module=128 finit_module=344 "
        "delete_module=129 open_by_handle_at=336 name_to_handle_at=335 socket=359 "
        "io_uring_setup=425"
    ),
}
