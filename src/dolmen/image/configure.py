"""Runs the maintainer scripts of newly merged packages in the builder sandbox."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dolmen import sandbox
from dolmen.image import bytecode, tex
from dolmen.image.admin import ADMIN, info_name
from dolmen.image.normalise import EPOCH
from dolmen.model import LockedPackage
from dolmen.support.clock import monotonic
from dolmen.support.errors import PackageError
from dolmen.support.events import Emit, Phase, PhaseProgress, SlowScript

#: Seconds. A single package that takes longer than _SLOW is named to the user.
TIMEOUT = 3600.0
_SLOW = 2.0
_TAIL = 20

#: What every maintainer script sees; nothing of the caller's environment gets in.
ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "SOURCE_DATE_EPOCH": str(EPOCH),
    "FORCE_SOURCE_DATE": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "true",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PERL_HASH_SEED": "0",
    "container": "dolmen",
}

_PROCESSING = re.compile(r"processing: (configure|trigproc): (\S+)")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which scripts run, in which order.

    `first`: configured before everything else by force (the base's base-passwd and base-files);
    `early`: configured before the others' preinsts run (see `early`);
    `force`: whether dependencies are ignored, as they must be within the Essential closure;
    `preinst_only`: stop after the preinsts, to learn what they divert.
    """

    packages: Sequence[LockedPackage]
    preinst: frozenset[tuple[str, str]]
    first: tuple[str, ...] = ()
    early: frozenset[tuple[str, str]] = frozenset()
    force: bool = False
    dpkg_version: str = ""
    finish: str = ""
    preinst_only: bool = False


def configure(
    plan: Plan,
    *,
    lower: Path,
    scratch: Path,
    log: Path,
    emit: Emit,
    environment: Mapping[str, str],
    hostname: str = "dolmen",
    true_owners: bool = False,
) -> Path:
    """Run the plan over `lower`; returns the upper directory with all that changed.

    Raises PackageError ("maintainer-script-failed", "maintainer-script-timeout",
    "not-configured"); the whole output is in `log` then.
    """
    files = scratch / "plan"
    _write(plan, files)
    watch = _Watch(len(plan.packages), emit)
    with log.open("w", encoding="utf-8", errors="replace") as stream:

        def on_line(line: str) -> None:
            stream.write(f"{line}\n")
            watch.line(line)

        result = sandbox.build(
            sandbox.BuildJob(
                lower=lower,
                scratch=scratch,
                files=files,
                argv=("/bin/sh", "/run/dolmen/configure.sh"),
                environment={
                    **ENVIRONMENT,
                    **environment,
                    "DOLMEN_FORCE": "--force-depends" if plan.force else "--force-confold",
                    "DOLMEN_DPKG_VERSION": plan.dpkg_version,
                },
                timeout=TIMEOUT,
                hostname=hostname,
                true_owners=true_owners,
                writable=(
                    *bytecode.replacements(lower, files),
                    *tex.replacements(lower, files),
                    *_chroot(lower, files),
                    *(_initramfs(lower, files) if true_owners else ()),
                ),
            ),
            on_line=on_line,
        )
    if result.timed_out:
        raise _failure("maintainer-script-timeout", f"took more than {TIMEOUT:.0f} s", watch, log)
    if result.returncode != 0:
        what = "failed"
        if result.stopped == "too-many-tasks":
            what = "was stopped: it made too many processes"
        raise _failure("maintainer-script-failed", what, watch, log)
    if not plan.preinst_only:
        _all_installed(result.upper, log)
    return result.upper


def _write(plan: Plan, files: Path) -> None:
    files.mkdir()
    script = resources.files("dolmen").joinpath("data/configure.sh").read_text()
    (files / "configure.sh").write_text(script)
    (files / "finish").write_text(plan.finish)

    def lines(packages: Sequence[LockedPackage]) -> str:
        return "".join(f"{p.name} {p.architecture} {info_name(p)}\n" for p in packages)

    first = [p for name in plan.first for p in plan.packages if p.name == name]
    begin = [p for p in first if p.key in plan.preinst][:1]
    early = [p for p in plan.packages if p.key in plan.early]
    late = [p for p in plan.packages if p.key in plan.preinst and p not in begin]
    rest = [p for p in plan.packages if p not in first and p not in early]
    (files / "preinst-first").write_text(lines(begin))
    (files / "configure-first").write_text(lines(first))
    (files / "preinst-early").write_text(lines([p for p in late if p in early]))
    (files / "configure-early").write_text(lines(early))
    (files / "preinst").write_text(lines([p for p in late if p not in early]))
    (files / "configure").write_text("" if plan.preinst_only else lines(rest))


def _chroot(lower: Path, files: Path) -> Iterator[tuple[Path, str]]:
    """ischroot(1) says yes, as it does where others build images: no script waits for an init.

    It cannot see it by itself, as the first process here has the same root directory; libc6 would
    call telinit and sleep for a second.
    """
    if (lower / "usr/bin/ischroot").exists():
        stand_in = files / "ischroot"
        stand_in.write_text("#!/bin/sh\nexit 0\n")
        stand_in.chmod(0o755)
        yield stand_in, "/usr/bin/ischroot"


def _initramfs(lower: Path, files: Path) -> Iterator[tuple[Path, str]]:
    """No script makes an initramfs: the system's is made once, last, when all of it is there."""
    for name in ("usr/bin/dracut", "usr/sbin/update-initramfs"):
        if (lower / name).exists():
            stand_in = files / name.rpartition("/")[2]
            stand_in.write_text("#!/bin/sh\nexit 0\n")
            stand_in.chmod(0o755)
            yield stand_in, f"/{name}"


class _Watch:
    """Follows dpkg's status lines: progress, slow packages, and what came last before a failure."""

    def __init__(self, total: int, emit: Emit) -> None:
        self.total = total
        self.emit = emit
        self.done: set[str] = set()
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self.current = ""
        self.script = "postinst"
        self.began = monotonic()

    def line(self, line: str) -> None:
        if line.startswith("@dolmen "):
            words = line.split()
            if words[1] == "preinst":
                self.switch(words[2], "preinst")
            elif words[1] in ("triggers", "finish"):
                self.close()
            return
        match = _PROCESSING.match(line)
        if match:
            self.switch(match[2], "postinst" if match[1] == "configure" else "trigger")
            if match[1] == "configure":
                self.done.add(match[2])
                self.emit(PhaseProgress(Phase.CONFIGURE, len(self.done), self.total, item=match[2]))
            return
        if not line.startswith("status: "):
            self.tail.append(line)

    def switch(self, package: str, script: str) -> None:
        self.close()
        self.current, self.script = package, script
        self.began = monotonic()
        self.tail.clear()

    def close(self) -> None:
        seconds = monotonic() - self.began
        if self.current and seconds >= _SLOW:
            self.emit(SlowScript(self.current, seconds))
        self.current = ""


def _failure(reason: str, what: str, watch: _Watch, log: Path) -> PackageError:
    name = watch.current or "the last step"
    return PackageError(
        f"the {watch.script} of {name} {what}" if watch.current else f"{name} {what}",
        reason=reason,
        context=f"log: {log}",
        details=tuple(watch.tail),
        hint=f"less {log}",
    )


def _all_installed(upper: Path, log: Path) -> None:
    status = (upper / ADMIN / "status").read_text(encoding="utf-8", errors="surrogateescape")
    bad = [
        f"{name}: {state}"
        for name, state in re.findall(r"^Package: (.+)\n(?:.+\n)*?Status: (.+)$", status, re.M)
        if state != "install ok installed"
    ]
    if bad:
        raise PackageError(
            f"{len(bad)} packages are not configured although no script failed",
            reason="not-configured",
            context=f"log: {log}",
            details=bad[:_TAIL],
            hint=f"less {log}",
        )
