"""The one way in which a machine gets another deployment: judged, given room, staged, recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dolmen.store.sysroot import Deployment, Metadata, Sysroot
from dolmen.store.sysroot.commits import metadata
from dolmen.support.clock import monotonic
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore
from dolmen.system.boot.generating import settle
from dolmen.system.machine import accounts, kargs, packages
from dolmen.system.machine.checking import check_metadata, check_objects, check_tree
from dolmen.system.machine.etc import live_etc
from dolmen.system.machine.memory import remember_sequence
from dolmen.system.machine.packages import PackageChange
from dolmen.system.machine.roles import KEPT, next_started, pinned_by_user, retained
from dolmen.system.machine.room import check_root_room, make_boot_room

Origin = Mapping[str, Mapping[str, str]]
_TRANSIENT = "libostree-transient"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change came to. `changes`: of packages, against what runs. `removed`: deployments that
    went with it. `staged`: it becomes an entry of the menu at shutdown."""

    changed: bool
    deployment: Deployment | None
    changes: tuple[PackageChange, ...] = ()
    removed: tuple[Deployment, ...] = ()
    staged: bool = False
    seconds: float = 0.0


def switch(
    sysroot: Sysroot,
    commit: str,
    *,
    origin: Origin,
    arguments: Sequence[str] | None = None,
    image: Metadata | None = None,
    ref: str | None = None,
    allow_downgrade: bool = False,
    keep: int = 0,
    known: bool = False,
    emit: Emit = ignore,
) -> Outcome:
    """Make a commit of the repository the system that is started next.

    `arguments`: of the kernel (None: those in use, with what the image declares). `image`: what
    is judged in its place, the image that its layers lie over. `ref`: the name that it was fetched
    by. `keep`: deployments to keep beside the running one, its rollback and
    pinned ones. `known`: the image is deployed here already, so it is not judged anew. Raises
    MachineError with the reason for which it was refused (checking.py, room.py), BusyError,
    HostError ("not-root"), StoreError.
    """
    began = monotonic()
    with sysroot.changing():
        judged = image or metadata(sysroot.repository, commit)
        if not known:
            check_metadata(sysroot, judged, ref=ref, allow_downgrade=allow_downgrade)
            check_objects(sysroot, commit, emit=emit)
        kernel = check_tree(sysroot, commit)
        before = sysroot.deployments()
        current = sysroot.current()
        merge = next_started(sysroot)
        stay = retained(
            [one for one in before if not one.staged],
            osname=sysroot.osname,
            keep=keep,
            origin_of=current,
        )
        check_root_room(sysroot)
        make_boot_room(sysroot, kernel, stay, osname=sysroot.osname)
        emit(PhaseStarted(Phase.DEPLOY))
        if sysroot.booted:
            _keep_by_pins(sysroot, stay)
            stay = tuple(_again(sysroot, stay))
        if arguments is None:
            arguments = kargs.merged(
                merge.arguments if merge is not None else (),
                kargs.declared(sysroot, merge),
                kargs.declared_by(sysroot, commit),
            )
        made = sysroot.deploy(commit, origin=origin, arguments=arguments, keep=stay)
        if current is not None:
            accounts.tell(live_etc(sysroot, current), made.path / "usr/etc", emit)
        if not known:
            # Past the judgement, what is lower was asked for.
            remember_sequence(sysroot, judged.sequence)
        settled(sysroot)
        emit(PhaseFinished(Phase.DEPLOY, 1, monotonic() - began))
        after = {one.name for one in sysroot.deployments()}
        # All of a first image would be new: nothing to tell.
        after_packages = packages.of_deployment(made)
        there = packages.of_deployment(current) if current is not None else after_packages
        return Outcome(
            True,
            made,
            packages.differences(there, after_packages),
            tuple(one for one in before if one.name not in after),
            made.staged,
            monotonic() - began,
        )


def settled(sysroot: Sysroot) -> None:
    """Let the boot menu fit the entries, on a sysroot that Dolmen's own menu starts."""
    if (sysroot.path / "boot/grub/grubenv").exists():
        settle(sysroot.path)


def _keep_by_pins(sysroot: Sysroot, stay: Sequence[Deployment]) -> None:
    """Pin what shall outlive the finalisation, which keeps the running one and pinned ones only."""
    names = {one.name for one in stay}
    for one in sysroot.own():
        ours = one.pinned and not pinned_by_user(one)
        wanted = one.name in names and not one.booted and not one.staged
        if (wanted and not one.pinned) or (ours and not wanted):
            origin = {name: dict(values) for name, values in one.origin.items()}
            for group, key in (("dolmen", KEPT), (_TRANSIENT, "pinned")):
                if wanted:
                    origin.setdefault(group, {})[key] = "true"
                else:
                    origin.get(group, {}).pop(key, None)
            sysroot.write_origin(one, origin)


def _again(sysroot: Sysroot, deployments: Sequence[Deployment]) -> list[Deployment]:
    names = [one.name for one in deployments]
    return [one for one in sysroot.deployments() if one.name in names]
