"""`upgrade` and `rebase`: looking for the next image, and taking it: all of it or nothing.

Objects come first, then the deployment, then its entry in the boot menu. A power cut in between
leaves objects that the next upgrade need not fetch again, and the old menu.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dolmen.store.sysroot import Deployment, Metadata, Sysroot
from dolmen.store.sysroot.fetching import Fetched, fetch, trust
from dolmen.support.clock import monotonic
from dolmen.support.errors import ArchiveError, StoreError
from dolmen.support.events import (
    Emit,
    Notice,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
    ignore,
)
from dolmen.system.machine import packages
from dolmen.system.machine.changes import lasting
from dolmen.system.machine.checking import check_metadata, check_ref
from dolmen.system.machine.declared import UpdateSource, declared_update
from dolmen.system.machine.delta import OfferedDelta, take_delta
from dolmen.system.machine.deploying import put
from dolmen.system.machine.layers import PARTS, layers_in
from dolmen.system.machine.offering import Offer, count, look
from dolmen.system.machine.packages import PackageChange
from dolmen.system.machine.remote import Remote
from dolmen.system.machine.roles import find, given_up, next_started
from dolmen.system.machine.room import check_root_room
from dolmen.system.machine.sources import keep_key, key_of, update_source, with_origin
from dolmen.system.machine.switching import Outcome


@dataclass(frozen=True, slots=True)
class Available:
    """What an upgrade would bring. `image` None: built here, so that nothing is known before.

    `newer`: whether there is something to take. `offer`: sizes; None where nothing is to be taken.
    `failed`: the deployment of this very image that did not start and was given up.
    """

    source: UpdateSource
    current: Deployment | None
    image: Metadata | None
    newer: bool
    offer: Offer | None = None
    changes: tuple[PackageChange, ...] = ()
    failed: Deployment | None = None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did: the change, and how much was fetched for it."""

    outcome: Outcome
    available: Available
    fetched: int = 0
    objects: int = 0


def check(
    sysroot: Sysroot,
    *,
    preview: bool = False,
    allow_downgrade: bool = False,
    source: UpdateSource | None = None,
) -> Available:
    """Look for an update; nothing on the disk changes but what is known of the remote.

    `preview`: with the packages that differ, and how much would be fetched. Raises what `look` and
    `check_metadata` do, MachineError ("no-update-source", "no-key").
    """
    with sysroot.changing():
        chosen = source or update_source(sysroot)
        current = next_started(sysroot)
        if chosen.directory is not None:
            return Available(chosen, current, None, True)
        trust(sysroot.repository, chosen.remote, chosen.url, key_of(chosen))
        with Remote(chosen.url) as remote:
            return _look(sysroot, remote, chosen, current, preview, allow_downgrade)


def upgrade(
    sysroot: Sysroot,
    *,
    source: UpdateSource | None = None,
    origin: dict[str, dict[str, str]] | None = None,
    store: Path | None = None,
    allow_downgrade: bool = False,
    keep: int | None = None,
    emit: Emit = ignore,
) -> Upgrade:
    """Take the newest image there is, with the layers of the one before over it.

    Raises what `check` and `put` do, ArchiveError ("remote-failed", "remote-corrupt").
    """
    with sysroot.changing():
        chosen = source or update_source(sysroot)
        current = next_started(sysroot)
        new_origin = origin or (lasting(current) if current is not None else {})
        if chosen.directory is not None:
            return _built(sysroot, chosen, new_origin, store, allow_downgrade, keep, emit)
        trust(sysroot.repository, chosen.remote, chosen.url, key_of(chosen))
        with Remote(chosen.url) as remote:
            available = _look(sysroot, remote, chosen, current, True, allow_downgrade)
        image, offer = available.image, available.offer
        assert image is not None
        if offer is None:
            if origin is not None and current is not None:
                return Upgrade(_from_elsewhere(sysroot, current, origin), available)
            return Upgrade(Outcome(False, current), available)
        sysroot.prepare_cleanup()
        fetched = _bring(
            sysroot, chosen, image, offer, layered=bool(layers_in(new_origin)), emit=emit
        )
        new_origin["origin"] = {"refspec": f"{chosen.remote}:{chosen.ref}"}
        outcome = put(
            sysroot,
            image.commit,
            origin=new_origin,
            ref=chosen.ref,
            store=store,
            allow_downgrade=allow_downgrade,
            keep=keep,
            emit=emit,
        )
        return Upgrade(outcome, available, fetched.size, fetched.objects)


def _bring(
    sysroot: Sysroot,
    chosen: UpdateSource,
    image: Metadata,
    offer: Offer,
    *,
    layered: bool,
    emit: Emit,
) -> Fetched:
    """Fetch an image: by its delta where there is one, what is missing then object by object.

    `layered`: only what it is declared to be, from which an image with layers is made here.
    """
    began = monotonic()
    if not layered:
        check_root_room(sysroot, offer.needed)
        size = f"{offer.size / (1 << 20):.1f} MiB"
        emit(Notice(f"{image.version}: {size} to fetch{', a delta' if offer.delta else ''}"))
    emit(PhaseStarted(Phase.PULL, offer.objects))
    before = Fetched(0, 0)
    if offer.delta is not None and not layered:
        before = _by_delta(sysroot, chosen, offer, offer.delta, emit)

    def moved(done: int, total: int, size: int) -> None:
        done, total, size = before.objects + done, before.objects + total, before.size + size
        emit(PhaseProgress(Phase.PULL, done, total, size, offer.size))

    rest = fetch(
        sysroot.repository,
        chosen.remote,
        chosen.ref,
        image.commit,
        only=PARTS if layered else (),
        progress=moved,
    )
    fetched = Fetched(before.objects + rest.objects, before.size + rest.size)
    emit(PhaseFinished(Phase.PULL, fetched.objects, monotonic() - began, fetched.size))
    return fetched


def _by_delta(
    sysroot: Sysroot, chosen: UpdateSource, offer: Offer, offered: OfferedDelta, emit: Emit
) -> Fetched:
    """What a delta brought: nothing, with a word, where it cannot be used."""
    objects = offered.delta.objects

    def moved(size: int) -> None:
        emit(PhaseProgress(Phase.PULL, 0, objects, size, offer.size))

    try:
        with Remote(chosen.url) as remote:
            size = take_delta(sysroot, remote, offered, moved)
    except (ArchiveError, StoreError) as error:
        if error.reason in ("store-full", "store-read-only"):
            raise
        emit(Notice(f"the delta is of no use ({error.reason}): fetching what differs"))
        return Fetched(0, 0)
    return Fetched(objects if size else 0, size)


def rebase(
    sysroot: Sysroot,
    url: str | None,
    ref: str,
    *,
    key: Path | None = None,
    signed: bool = True,
    store: Path | None = None,
    allow_downgrade: bool = False,
    keep: int | None = None,
    emit: Emit = ignore,
) -> Upgrade:
    """Take images from another place from now on; `url` None: another ref of the same.

    `key`: whose signatures count there (None: that of before), kept beside the deployments. Raises
    what `upgrade` does.
    """
    with sysroot.changing():
        current = next_started(sysroot)
        origin = lasting(current) if current is not None else {}
        own = origin.setdefault("dolmen", {})
        own.pop("directory", None)
        own["ref"] = ref
        own["url"] = url or update_source(sysroot).url
        own.pop("signed", None)
        if not signed:
            own["signed"] = "false"
        if key is not None:
            own["key"] = keep_key(sysroot, key)
        chosen = with_origin(sysroot, declared_update(sysroot, current), origin)
        return upgrade(
            sysroot,
            source=chosen,
            origin=origin,
            store=store,
            allow_downgrade=allow_downgrade,
            keep=keep,
            emit=emit,
        )


def _from_elsewhere(
    sysroot: Sysroot, current: Deployment, origin: dict[str, dict[str, str]]
) -> Outcome:
    """The image is the same: only what is recorded of where the next comes from changes."""
    if origin == lasting(current):
        return Outcome(False, current)
    if current.staged:  # libostree has its origin where nothing can be changed any more
        return put(sysroot, current.base or current.commit, origin=origin)
    origin["libostree-transient"] = dict(current.origin.get("libostree-transient", {}))
    sysroot.write_origin(current, {name: group for name, group in origin.items() if group})
    return Outcome(False, find(sysroot.own(), current.name))


def _look(
    sysroot: Sysroot,
    remote: Remote,
    source: UpdateSource,
    current: Deployment | None,
    counted: bool,
    allow_downgrade: bool,
) -> Available:
    image = look(sysroot, remote, source.remote, source.ref, signed=source.signed)
    check_ref(image, source.ref)
    if current is not None and image.commit in (current.commit, current.base):
        return Available(source, current, image, False)
    failed = given_up(sysroot)
    if failed is not None and image.commit in (failed.commit, failed.base):
        # Taken by itself each night it would fail each night.
        return Available(source, current, image, False, failed=failed)
    check_metadata(sysroot, image, ref=source.ref, allow_downgrade=allow_downgrade)
    if not counted:
        return Available(source, current, image, True)
    offer = count(sysroot, remote, image, source.ref, packages=True)
    there = packages.of_deployment(current) if current is not None else {}
    changes = packages.differences(there, packages.of_text(offer.status)) if offer.status else ()
    return Available(source, current, image, True, offer, changes)


def _built(
    sysroot: Sysroot,
    source: UpdateSource,
    origin: dict[str, dict[str, str]],
    store: Path | None,
    allow_downgrade: bool,
    keep: int | None,
    emit: Emit,
) -> Upgrade:
    from dolmen.system.machine.making import make_newest

    assert source.directory is not None
    current = next_started(sysroot)
    base = make_newest(sysroot, source.directory, store=store, emit=emit)
    available = Available(source, current, None, True)
    if current is not None and base in (current.commit, current.base):
        return Upgrade(Outcome(False, current), replace(available, newer=False))
    outcome = put(
        sysroot,
        base,
        origin=origin,
        store=store,
        allow_downgrade=allow_downgrade,
        keep=keep,
        emit=emit,
    )
    return Upgrade(outcome, available)
