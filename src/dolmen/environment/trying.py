"""Beginning a trial and entering it.

apt and dpkg must be there: where the environment has no apt, the image below the layer is the
environment's with apt added, built like any other; what that brings is not taken along by `keep`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dolmen.environment import generations, placing, trials
from dolmen.environment.backend import Backend, Realised
from dolmen.environment.entering import is_known
from dolmen.environment.generations import Record
from dolmen.environment.layout import Environment
from dolmen.environment.recorded import lock_of
from dolmen.environment.trials import Trial
from dolmen.model import Lock, Manifest, Spec, parse_manifest, render_lock
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.errors import ArchiveError, DeclarationError, HostError, SolveError
from dolmen.support.events import Emit, Notice, ignore
from dolmen.support.files import write_atomic

#: Files of ours in the layer; no part of what is kept.
SOURCES = "etc/apt/sources.list.d/dolmen.sources"
CONFIGURATION = "etc/apt/apt.conf.d/90dolmen"
POLICY = "usr/sbin/policy-rc.d"
OURS = frozenset({SOURCES, CONFIGURATION, POLICY})
_KEYS = "/run/dolmen"
_LISTS = "var/lib/apt/lists"

# One uid is mapped, so there is no _apt to become. What apt itself downloads is verified again
# when it is kept, and need not be fetched twice. Unpacked files need no sync of their own.
_OPTIONS = """\
// Written by dolmen try, for this trial only.
APT::Sandbox::User "root";
APT::Install-Recommends "{recommends}";
APT::Get::Always-Include-Phased-Updates "true";
Acquire::Languages {{ "none"; }};
Binary::apt::APT::Keep-Downloaded-Packages "true";
Dpkg::Options {{ "--force-unsafe-io"; }};
Dpkg::Use-Pty "{pty}";
"""
#: Variables of the caller that say something about the terminal.
_TERMINAL = ("TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES")


def begin(
    environment: Environment,
    name: str,
    *,
    backend: Backend,
    emit: Emit = ignore,
) -> Trial:
    """The trial of this name; a new one over what is live, where there is none.

    Raises DeclarationError ("no-generation", "foreign-trial", "bad-trial"), HostError
    ("no-user-xattrs") and whatever a build may raise.
    """
    if name in trials.names(environment):
        return trials.find(environment, name)
    with environment.held(emit):
        if name in trials.names(environment):  # somebody else was quicker
            return trials.find(environment, name)
        live = generations.current(environment)
        if live is None or not is_known(environment, backend):
            raise DeclarationError(
                "nothing is live here to try something on",
                reason="no-generation",
                context=str(environment.directory),
                hint="dolmen sync",
            )
        number = live.generation.number
        place = generations.directory_of(environment, number)
        text = (place / MANIFEST_NAME).read_bytes().decode()
        lock = lock_of(environment, number)
        if lock is None:
            raise DeclarationError(
                f"the lock of generation {number} is damaged",
                reason="bad-generation",
                context=str(place / LOCK_NAME),
                hint="dolmen sync",
            )
        manifest = parse_manifest(text)
        lock, image, helpers = _with_apt(environment, manifest, lock, live, backend, emit)
        backend.remember(environment.directory, image, lock)
        trial = Trial(
            name=name,
            directory=trials.directory_of(environment, name),
            created=generations.timestamp(),
            generation=number,
            image=image.root,
            commit=image.commit,
            tree=image.tree,
            helpers=helpers,
        )
        with trials.staged(environment) as directory:
            there = placing.placed(manifest, environment.directory, dict(lock.snapshots))
            fill(directory, there, trial, backend)
            write_atomic(directory / MANIFEST_NAME, text)
            write_atomic(directory / LOCK_NAME, render_lock(lock))
            trials.write(trial, directory)
            trials.publish(environment, directory, name)
    return trial


def _with_apt(
    environment: Environment,
    manifest: Manifest,
    lock: Lock,
    live: Record,
    backend: Backend,
    emit: Emit,
) -> tuple[Lock, Realised, tuple[str, ...]]:
    """The live image if it has apt, else one that has."""
    own = Realised(live.generation.image, live.commit, live.tree)
    if (live.tree / "usr/bin/apt-get").exists():
        return lock, own, ()
    if live.generation.modified:
        emit(Notice("this generation has no apt, and cannot be rebuilt with it", level="warning"))
        return lock, own, ()
    wanted = replace(manifest, packages=(*manifest.packages, Spec("apt")))
    try:
        more = placing.solve(
            environment,
            wanted,
            backend=backend,
            pins=lock.packages,
            ages=dict(lock.snapshots),
            emit=emit,
        ).selected(live.groups)
    except SolveError as error:
        emit(Notice(f"{error.message}: this trial has dpkg alone", level="warning"))
        return lock, own, ()
    known = {p.key for p in lock.packages}
    helpers = tuple(p.name for p in more.packages if p.key not in known)
    return more, placing.build(environment, more, backend=backend, emit=emit), helpers


def fill(
    directory: Path,
    manifest: Manifest,
    trial: Trial,
    backend: Backend,
    *,
    more: Callable[[Path], object] = lambda _upper: None,
) -> None:
    """Make the layer: apt's sources and options, its lists as Dolmen has verified them.

    `more` writes what it shall hold beyond that into the upper directory.
    """
    upper = directory / "upper"
    upper.mkdir(mode=0o755)
    try:
        os.setxattr(upper, "user.dolmen", b"1")
        os.removexattr(upper, "user.dolmen")
    except OSError:
        raise HostError(
            "the file system here has no user extended attributes, so it cannot hold a trial",
            reason="no-user-xattrs",
            context=str(directory.parent),
            hint="have the environment on ext4, xfs or btrfs",
        ) from None
    (directory / "files").mkdir(mode=0o755)
    _fill(directory, manifest, trial, backend)
    more(upper)


def _fill(directory: Path, manifest: Manifest, trial: Trial, backend: Backend) -> None:
    from dolmen.archive import apt_inside

    upper, files = directory / "upper", directory / "files"
    if not (trial.tree / POLICY).exists():
        # No service starts here (policy-rc.d(8), invoke-rc.d(8)).
        _write(upper / POLICY, "#!/bin/sh\nexit 101\n", mode=0o755)
    try:
        inside = apt_inside(manifest, backend.store_path / "archive", keys=_KEYS)
    except ArchiveError:
        return  # the sources are not known on this host; what is here can still be tried
    _write(upper / SOURCES, inside.sources)
    options = _OPTIONS.format(recommends=str(manifest.recommends).lower(), pty="true")
    _write(upper / CONFIGURATION, options)
    for name, path in inside.keyrings.items():
        shutil.copyfile(path, files / name)
        (files / name).chmod(0o644)
    if inside.lists.is_dir():
        lists = upper / _LISTS
        lists.mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(inside.lists):
            if entry.is_file(follow_symlinks=False) and entry.name != "lock":
                shutil.copy2(entry.path, lists / entry.name)


def _declared(trial: Trial) -> dict[str, str]:
    """The variables that the manifest sets."""
    text = (trial.directory / MANIFEST_NAME).read_bytes().decode()
    return dict(parse_manifest(text).entrance.variables)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    write_atomic(path, text, mode=mode)


def entrance(
    environment: Environment,
    trial: Trial,
    argv: tuple[str, ...],
    *,
    backend: Backend,
    pure: bool = False,
    emit: Emit = ignore,
) -> tuple[list[str], int]:
    """The command line that runs `argv` (none: a shell) in a trial, and the descriptor that must
    be open while it does; executing it is the caller's.

    Raises BusyError ("trial-running"), DeclarationError ("tree-missing").
    """
    from dolmen.archive.configuration import passed_environment
    from dolmen.sandbox import TrialEntry, prepare_layer, share, trial_argv

    fd = trials.hold(environment, trial.name)
    try:
        if not trial.tree.is_dir():
            raise DeclarationError(
                f"the image below the trial {trial.name} is no longer in the store",
                reason="tree-missing",
                context=str(trial.tree),
                hint=f"dolmen drop --name {trial.name}",
            )
        shown = share(
            trial.tree,
            home=os.environ.get("HOME"),
            cwd=Path.cwd(),
            pure=pure,
            guarded=(environment.state, backend.store_path),
        )
        if shown.cwd == "/" and Path.cwd() != Path("/"):
            emit(Notice(f"{Path.cwd()} is not shown inside: the image has its own there"))
        places = tuple(map(str, shown.directories))
        if not set(places) <= set(trial.shares):
            trials.write(replace(trial, shares=tuple(sorted({*trial.shares, *places}))))
        prepare_layer(trial.directory, trial.tree)
        label = environment.directory.name or "dolmen"
        variables = {
            **_declared(trial),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "DOLMEN_ENVIRONMENT": label,
            "DOLMEN_TRIAL": trial.name,
            "debian_chroot": f"{label}:{trial.name}",
            **passed_environment(),
            **{name: os.environ[name] for name in _TERMINAL if name in os.environ},
        }
        variables.pop("TMPDIR", None)
        if not sys.stdin.isatty():
            variables["DEBIAN_FRONTEND"] = "noninteractive"
        entry = TrialEntry(
            tree=trial.tree,
            layer=trial.directory,
            files=trial.files,
            share=shown,
            argv=argv or ("/bin/bash",),
            held=fd,
            environment=variables,
        )
        return trial_argv(entry), fd
    except BaseException:
        os.close(fd)
        raise
