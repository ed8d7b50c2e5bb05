"""What this host can do, found out by doing it.

Kernel versions and sysctls say little: AppArmor, seccomp filters of containers, masked /proc,
chroots and network file systems each forbid something else. So every need is tried for real, in
the way the builder and the launcher do it, and only a failure is explained from what can be read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dolmen.sandbox.seccomp import builder_filter
from dolmen.support.errors import HostError
from dolmen.support.files import remove_tree
from dolmen.support.run import Completed, run

_TIMEOUT = 20.0
_PROFILE = "/etc/apparmor.d/dolmen"
_ROOT = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private", "--")


@dataclass(frozen=True, slots=True)
class Finding:
    """One need: whether it is met, or why not and the command that mends it.

    `name` is what is needed, `reason` the error's reason where it is not met.
    """

    name: str
    ok: bool
    message: str
    reason: str = ""
    hint: str = ""
    details: tuple[str, ...] = ()

    def error(self) -> HostError:
        """The finding as an error to raise."""
        return HostError(
            self.message, reason=self.reason or None, hint=self.hint or None, details=self.details
        )


def probe(directory: Path | None = None) -> tuple[Finding, ...]:
    """Try everything; `directory` (None: a temporary one) is where overlays would be made.

    A need that cannot be tried because an earlier one failed is left out. Never raises for what
    the host lacks: see `require`.
    """
    findings: list[Finding] = []
    for check in (_programs, _user_namespaces, _xattrs, _overlay, _bubblewrap, _seccomp):
        finding = check(directory)
        findings.append(finding)
        if not finding.ok and check in (_programs, _user_namespaces):
            break
    return tuple(findings)


def require(directory: Path | None = None) -> None:
    """Raise HostError for the first need that is not met; the reason says which."""
    for finding in probe(directory):
        if not finding.ok:
            raise finding.error()


def _programs(_directory: Path | None) -> Finding:
    packages = {"bwrap": "bubblewrap", "unshare": "util-linux", "mount": "mount"}
    missing = [name for name in packages if shutil.which(name, path="/usr/bin:/bin") is None]
    if not missing:
        return Finding("programs", True, "bubblewrap, unshare and mount are installed")
    package = packages[missing[0]]
    return Finding(
        "programs",
        False,
        f"the program {missing[0]} is not installed",
        reason=f"no-{package}",
        hint=f"apt install {package}",
    )


def _user_namespaces(_directory: Path | None) -> Finding:
    done = run([*_ROOT, "true"], timeout=_TIMEOUT)
    if done.ok:
        return Finding("user-namespaces", True, "user namespaces can be made")
    reason, message, hint = _why_no_user_namespaces()
    return Finding("user-namespaces", False, message, reason, hint, _tail(done))


def _why_no_user_namespaces() -> tuple[str, str, str]:
    """The reason, what to tell, and the command; from the most certain cause to the least."""
    if _sysctl("user/max_user_namespaces") == "0":
        return (
            "no-user-namespaces",
            "user namespaces are switched off (user.max_user_namespaces = 0)",
            "sudo sysctl -w user.max_user_namespaces=15000",
        )
    if _sysctl("kernel/unprivileged_userns_clone") == "0" and os.geteuid() != 0:
        return (
            "no-user-namespaces",
            "user namespaces are for root only (kernel.unprivileged_userns_clone = 0)",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" and os.geteuid() != 0:
        profile = (
            "abi <abi/4.0>,\\n"
            "profile dolmen-bwrap /usr/bin/bwrap flags=(unconfined) { userns, }\\n"
            "profile dolmen-unshare /usr/bin/unshare flags=(unconfined) { userns, }\\n"
        )
        return (
            "no-user-namespaces",
            "AppArmor allows user namespaces only to programs that have a profile",
            f"printf '{profile}' | sudo tee {_PROFILE} && sudo apparmor_parser -r {_PROFILE}",
        )
    if _in_chroot():
        return (
            "nested-chroot",
            "the kernel makes no user namespaces inside a chroot",
            "unshare --mount --propagation private -- switch_root NEWROOT /bin/sh",
        )
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return (
            "container-forbids",
            "the container that we run in forbids user namespaces",
            "podman run --security-opt seccomp=unconfined --security-opt unmask=/proc/* …",
        )
    if not os.path.exists("/proc/self/ns/user"):
        return (
            "no-user-namespaces",
            "this kernel has no user namespaces (CONFIG_USER_NS)",
            "apt install linux-image-amd64",
        )
    return (
        "no-user-namespaces",
        "user namespaces cannot be made",
        "unshare --user --map-root-user true",
    )


def _in_chroot() -> bool:
    """Whether / is no mount point of this mount namespace (proc(5), mountinfo, field 5)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    return not any(line.split()[4] == "/" for line in lines)


def _xattrs(directory: Path | None) -> Finding:
    with _scratch(directory) as scratch:
        try:
            os.setxattr(scratch, "user.dolmen", b"1")
        except OSError as error:
            return Finding(
                "user-xattrs",
                False,
                f"the file system of {scratch.parent} has no user extended attributes",
                reason="no-user-xattrs",
                hint="put the store on ext4, xfs or btrfs: dolmen --store DIRECTORY …",
                details=(str(error),),
            )
    return Finding("user-xattrs", True, "files can have user extended attributes")


def _overlay(directory: Path | None) -> Finding:
    script = (
        "mount -t overlay overlay -o userxattr,volatile,lowerdir=lower,upperdir=upper,workdir=work "
        "merged && echo changed >merged/file && rm merged/gone && mkdir merged/new"
    )
    with _scratch(directory) as scratch:
        for name in ("lower", "upper", "work", "merged"):
            (scratch / name).mkdir()
        for name in ("file", "gone"):
            (scratch / "lower" / name).write_text("original\n")
        done = run([*_ROOT, "sh", "-c", script], timeout=_TIMEOUT, cwd=scratch)
        intact = (scratch / "lower/file").read_text() == "original\n"
        copied = (scratch / "upper/file").exists()
        if done.ok and intact and copied:
            return Finding("overlay", True, "overlays can be mounted in a user namespace")
        return Finding(
            "overlay",
            False,
            f"no overlay can be mounted on {scratch.parent}",
            reason="no-overlay",
            hint="use a local ext4, xfs or btrfs and Linux 5.11 or newer: "
            "findmnt -T . ; uname -r ; sudo modprobe overlay",
            details=_tail(done),
        )


def _bubblewrap(_directory: Path | None) -> Finding:
    inside = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    spaces = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    done = run(["bwrap", *spaces, *inside, "--cap-drop", "ALL", "--", "true"], timeout=_TIMEOUT)
    if done.ok:
        return Finding("sandbox", True, "bubblewrap makes sandboxes")
    if b"proc" in done.stderr and b"mount" in done.stderr:
        return Finding(
            "sandbox",
            False,
            "the container that we run in masks parts of /proc, so no new one can be mounted",
            reason="masked-proc",
            hint="podman run --security-opt unmask=/proc/* …",
            details=_tail(done),
        )
    return Finding(
        "sandbox",
        False,
        "bubblewrap cannot make a sandbox",
        reason="no-sandbox",
        hint="bwrap --ro-bind / / true",
        details=_tail(done),
    )


def _seccomp(directory: Path | None) -> Finding:
    """A file's owner is "changed" to somebody who is not mapped: possible only if emulated."""
    with _scratch(directory) as scratch:
        try:
            (scratch / "filter").write_bytes(builder_filter())
        except HostError as error:
            return Finding("seccomp", False, error.message, error.reason, error.hint or "")
        (scratch / "file").touch()
        options = ["--unshare-user", "--ro-bind", "/", "/", "--bind", ".", str(scratch)]
        script = 'exec bwrap --seccomp 9 "$@" 9<filter'
        command = ["chown", "12345:12345", str(scratch / "file")]
        done = run(["sh", "-c", script, "sh", *options, *command], timeout=_TIMEOUT, cwd=scratch)
        unchanged = (scratch / "file").stat().st_uid == os.geteuid()
    if done.ok and unchanged:
        return Finding("seccomp", True, "seccomp filters are obeyed")
    return Finding(
        "seccomp",
        False,
        "a seccomp filter has no effect",
        reason="no-seccomp",
        hint="grep Seccomp /proc/self/status",
        details=_tail(done),
    )


@contextmanager
def _scratch(directory: Path | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=".probe.", dir=directory))
    try:
        yield path
    finally:
        remove_tree(path)


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _tail(done: Completed) -> tuple[str, ...]:
    lines: Sequence[str] = done.stderr.decode("utf-8", "replace").splitlines()
    return tuple(lines[-5:]) if lines else (f"exit code {done.returncode}",)
