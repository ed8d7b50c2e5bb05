"""A small tree as a chroot would have it, without a package or a script having been run.

Everything that the passes of `system/tree` look for is there once, so that a test may take one
thing away, or add one, and see what that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dolmen.model import Lock, Sha256
from dolmen.model.package import LockedPackage
from dolmen.model.system import System
from dolmen.store import Store
from dolmen.store.builder import TreeBuilder
from dolmen.system import building
from dolmen.system.tree import ourselves
from dolmen.system.tree.construction import Construction

KVER = "6.1.0-1-amd64"
INITRAMFS = b"07070100 ostree-prepare-root lib/modules/" + KVER.encode() + b"/kernel"
UNIT = "[Unit]\nDescription=A unit\n"
MANIFEST = 'suite = "bookworm"\n[system]\nhostname = "menhir"\n'

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
messagebus:x:101:102::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = """\
root:x:0:
daemon:x:1:
mail:x:8:
sudo:x:27:
shadow:x:42:
messagebus:x:102:
_ssh:x:103:
nogroup:x:65534:
"""
_STATUS = """\
Package: base-files
Status: install ok installed
Conffiles:
 /etc/issue 32865e97b5342e762ab140e00f3da23b
Version: 12.4+deb12u1

Package: linux-image-6.1.0-1-amd64
Status: install ok installed
Version: 6.1.1-1
"""

_FILES: dict[str, str] = {
    "etc/passwd": PASSWD,
    "etc/group": GROUP,
    "etc/shadow": "root:*:18262:0:99999:7:::\nmessagebus:!:18262::::::\n",
    "etc/gshadow": "root:*::\nsudo:*::\n",
    "etc/ld.so.cache": "cache",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/ssh/ssh_host_ed25519_key": "a key of the build\n",
    "etc/skel/.profile": "# profile\n",
    "usr/lib/os-release": "ID=debian\n",
    "usr/share/zoneinfo/Europe/Berlin": "TZif",
    "usr/lib/tmpfiles.d/var.conf": (
        "q /var 0755 - - -\nL /var/run - - - - ../run\nd /var/log 0755 - - -\n"
        "d /var/lib 0755 - - -\nd /var/cache 0755 - - -\nL /var/lock - - - - ../run/lock\n"
    ),
    "usr/lib/sysusers.d/basic.conf": "u root 0 - /root\ng sudo 27 -\nu messagebus - -\n",
    "usr/lib/systemd/system/multi-user.target": UNIT,
    "usr/lib/systemd/system/graphical.target": UNIT,
    "usr/lib/systemd/system/systemd-networkd.service": (
        UNIT + "[Install]\nWantedBy=multi-user.target\nAlso=systemd-networkd.socket\n"
        "Alias=dbus-org.freedesktop.network1.service\n"
    ),
    "usr/lib/systemd/system/systemd-networkd.socket": UNIT + "[Install]\nWantedBy=sockets.target\n",
    "usr/lib/systemd/system/ssh.service": UNIT + "[Install]\nWantedBy=multi-user.target\n",
    "usr/lib/systemd/system/ostree-finalize-staged.path": UNIT,
    "usr/lib/systemd/system/ostree-finalize-staged.service": UNIT,
    f"usr/lib/modules/{KVER}/kernel/fs/x.ko": "module",
    f"boot/vmlinuz-{KVER}": "a kernel",
    f"boot/config-{KVER}": "CONFIG_X=y\n",
    f"boot/initrd.img-{KVER}": "made by a script",
    "var/lib/dpkg/status": _STATUS,
    "var/lib/dpkg/lock": "",
    "var/lib/dpkg/info/base-files.list": "/.\n/etc\n/etc/issue\n",
    f"var/lib/dpkg/info/linux-image-{KVER}.list": f"/.\n/boot\n/boot/vmlinuz-{KVER}\n",
    f"var/lib/dpkg/info/linux-image-{KVER}.md5sums": f"0123  boot/vmlinuz-{KVER}\n",
    "var/lib/ucf/registry": "",
    "var/cache/debconf/config.dat": "",
    "var/cache/debconf/passwords.dat": "secret",
    "var/cache/man/index.db": "an index",
    "var/log/wtmp": "",
    "var/www/html/index.html": "<p>first page</p>",
    "root/.bashrc": "# root's\n",
    "opt/vendor/bin/tool": "a tool",
    "usr/bin/su": "su",
}
_LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "var/run": "/run",
    "var/lock": "/run/lock",
    "etc/os-release": "../usr/lib/os-release",
    "etc/systemd/system/multi-user.target.wants/ssh.service": "/lib/systemd/system/ssh.service",
    "etc/systemd/system/multi-user.target.wants/gone.service": "/lib/systemd/system/gone.service",
    "etc/systemd/system/sshd.service": "/lib/systemd/system/ssh.service",
    "vmlinuz": f"boot/vmlinuz-{KVER}",
}
_DIRECTORIES = (
    *("dev", "home", "media", "mnt", "proc", "run", "srv", "sys", "tmp", "usr/sbin"),
    *("usr/local/bin", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"),
    *("var/log/apt", "var/tmp", "var/mail"),
)
_OWNED = {
    "etc/shadow": (0o640, 0, 42),
    "usr/bin/su": (0o4755, 0, 0),
    "usr/bin/su-agent": (0o2755, 0, 103),
    "var/log/wtmp": (0o664, 0, 8),
    "var/mail": (0o2775, 0, 8),
}


def lock(*names: str, **values: object) -> Lock:
    """A lock of packages by name; without any, of a kernel alone."""
    packages = tuple(
        LockedPackage(
            name=name,
            version="1",
            architecture="amd64",
            sha256=Sha256(f"{number:064x}"),
            size=1,
            filename=f"pool/main/{name}_1_amd64.deb",
            release=0,
        )
        for number, name in enumerate(names or (f"linux-image-{KVER}",))
    )
    known: dict[str, object] = {
        "suite": "bookworm",
        "architectures": ("amd64",),
        "inputs": Sha256("0" * 64),
        "solver": "test",
        "releases": (),
        "packages": packages,
    }
    return Lock(**{**known, **values})  # type: ignore[arg-type]


def chroot(builder: TreeBuilder) -> None:
    """Fill an empty builder."""
    for path, text in _FILES.items():
        builder.add_file(path, text.encode(), mode=0o755 if "/bin/" in path else 0o644)
    # with the md5sum that `status` has
    builder.add_file("usr/bin/su-agent", b"agent", mode=0o755)
    builder.add_file("etc/issue", b"Debian\n")
    for path, target in _LINKS.items():
        builder.add_symlink(path, target)
    for path in _DIRECTORIES:
        builder.add_directory(path)
    for path, (mode, uid, gid) in _OWNED.items():
        assert builder.give(path, mode, uid, gid)


@contextmanager
def construction(
    store: Store,
    system: System | None = None,
    *,
    change: Callable[[TreeBuilder], None] | None = None,
    locked: Lock | None = None,
    beside: dict[str, bytes] | None = None,
) -> Iterator[Construction]:
    """A chroot in an open builder, with what `change` did to it."""
    with store.tree_builder() as builder:
        chroot(builder)
        if change is not None:
            change(builder)
        files = {"dolmen.toml": MANIFEST.encode(), **(beside or {})}
        yield Construction(
            builder, locked or lock(), system or System(), files, ourselves.running()
        )


def finish(work: Construction, store: Store) -> None:
    """All passes, with an initramfs that only looks like one."""
    building.finish_tree(work, store, lambda _work: INITRAMFS)


def committed(work: Construction) -> Sha256:
    """The commit of a finished tree."""
    return building.commit(work, work.lock, Sha256("1" * 64)).commit
