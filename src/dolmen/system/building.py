"""Manifest and lock -> system image: one commit that boots.

The packages' configured tree is made by `image.build_tree` and kept under its lock; everything
after that works on names and objects, and costs seconds. The result is kept under a key of all
inputs, and the ref `system/<key>` keeps it from being collected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dolmen.image import Composed, Conditions, build_tree
from dolmen.model import Lock, Manifest, Sha256, render_lock
from dolmen.model.digest import digest_text
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.model.manifest import STAMP
from dolmen.model.system import System
from dolmen.store import Image, Store
from dolmen.store.local import bring
from dolmen.support.clock import monotonic
from dolmen.support.errors import DeclarationError, StaleError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore
from dolmen.support.files import write_atomic
from dolmen.system import bytecode, initramfs, locales
from dolmen.system.boot.placing import machine_files
from dolmen.system.lint import lint
from dolmen.system.tree import (
    database,
    declared,
    identity,
    kernel,
    layout,
    ourselves,
    tmpfiles,
    units,
    updates,
    users,
    variable,
)
from dolmen.system.tree.construction import Construction
from dolmen.system.tree.remainders import keep_remainders
from dolmen.system.tree.users import Numbers

#: Raised by whatever changes images of the same inputs.
BUILDER = 2
OSNAME = "debian"
_KERNEL = "usr/lib/dolmen/kernel"


@dataclass(frozen=True, slots=True)
class SystemImage:
    """One system image: `kernel` is its KVER. `lock` has the numbers of its users and groups."""

    key: Sha256
    root: Sha256
    commit: Sha256
    kernel: str
    lock: Lock


def build(
    lock: Lock,
    manifest: Manifest,
    directory: Path,
    store: Store,
    *,
    program: Mapping[str, bytes] | None = None,
    emit: Emit = ignore,
    conditions: Conditions | None = None,
    composed: Composed | None = None,
) -> SystemImage:
    """Make the system image of a manifest and its lock, or find it made.

    `directory` holds the files that the manifest names, and the manifest itself, whose text the
    image keeps. `program`: the Dolmen that the image has (None: the one that runs); `composed` as
    `image.build_tree` has it. Raises
    DeclarationError ("no-system-declared", "file-missing", …), StaleError and what
    `image.build_tree` raises: ArchiveError, PackageError, StoreError, HostError.
    """
    system = manifest.system
    if system is None:
        raise DeclarationError(
            "the manifest declares no system: it has no [system] table",
            reason="no-system-declared",
            context=str(directory),
            hint="dolmen init --system (in an empty directory), or add [system] to dolmen.toml",
        )
    if lock.inputs != manifest.inputs():
        raise StaleError(
            f"{LOCK_NAME} does not answer {MANIFEST_NAME}",
            context=str(directory),
            hint="dolmen lock",
        )
    beside = _beside(system, directory)
    program = program or ourselves.running()
    key = system_key(lock, manifest, beside, program)
    with store.locked(emit=emit), store.locked(f"system-{key}", shared=False, emit=emit):
        found = _known(store, key, lock)
        if found is not None:
            return found
        for package in lock.packages:
            if package.is_local and not store.has_package(package.sha256):
                bring(directory, package, store.debs)
        tree = build_tree(lock, store, emit=emit, conditions=conditions, composed=composed)
        began = monotonic()
        emit(PhaseStarted(Phase.FINISH))
        made = _finish(lock, manifest, beside, program, tree, store, emit)
        # Under both keys: the first build of a lock finds its numbers only by building.
        if made.key != key:
            store.record_image(key, Image(made.root, made.commit))
        emit(PhaseFinished(Phase.FINISH, 1, monotonic() - began))
        return made


def system_key(
    lock: Lock, manifest: Manifest, beside: Mapping[str, bytes], program: Mapping[str, bytes]
) -> Sha256:
    """What a system image is kept under: everything that goes into it."""
    assert manifest.system is not None
    files = {path: digest_text(data.decode("latin-1")) for path, data in sorted(beside.items())}
    value = {
        "builder": BUILDER,
        "lock": lock.digest(),
        "numbers": [lock.users, lock.groups],
        "sequence": sequence(lock, manifest.system),
        "system": asdict(manifest.system),
        "files": files,
        "dolmen": ourselves.digest(program),
    }
    return digest_text(json.dumps(value, sort_keys=True))


def sequence(lock: Lock, system: System) -> int:
    """The number that may only grow: declared, or the newest Release file's date, in seconds."""
    if system.update.sequence is not None:
        return system.update.sequence
    dates = [release.date for release in lock.releases if STAMP.fullmatch(release.date)]
    if not dates:
        return 0
    newest = datetime.strptime(max(dates), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(newest.timestamp())


def version(lock: Lock, number: int) -> str:
    """The version that menus show: the release of Debian, and the day and time of the sequence."""
    base = lock.find("base-files")
    release = base.version.partition("+")[0] if base is not None else lock.suite
    return f"{release}.{datetime.fromtimestamp(number, tz=UTC):%Y%m%d.%H%M}"


def _finish(
    lock: Lock,
    manifest: Manifest,
    beside: Mapping[str, bytes],
    program: Mapping[str, bytes],
    tree: Image,
    store: Store,
    emit: Emit,
) -> SystemImage:
    system = manifest.system
    assert system is not None
    with store.tree_builder() as builder:
        builder.merge_commit(tree.commit)
        work = Construction(builder, lock, system, beside, program)

        def make_initramfs(there: Construction) -> bytes:
            found, content = initramfs.initramfs(there, tree, store, emit=emit)
            there.write(initramfs.KEY, f"{found}\n")
            return content

        numbers = finish_tree(work, store, make_initramfs)
        after = replace(lock, users=_pairs(numbers.users), groups=_pairs(numbers.groups))
        # The image says what it is made from so that building that again gives the same image.
        key = system_key(after, manifest, beside, program)
        work.write(f"{declared.SHARE}/dolmen.lock", render_lock(after))
        keep_remainders(work, store)
        image = commit(work, after, key)
    findings = lint(store, image.commit)
    if findings:
        raise DeclarationError(
            f"the system breaks {len(findings)} rules: {findings[0].message}",
            reason="lint-failed",
            context=f"commit {image.commit}",
            details=[f"{finding.rule}: {finding.message}" for finding in findings],
            hint=f"look at it: dolmen store ls {image.commit}",
        )
    store.name(f"system/{key}", image.commit)
    return SystemImage(key, image.root, image.commit, work.kernel, after)


def commit(work: Construction, lock: Lock, key: Sha256) -> Image:
    """Commit a finished tree with what libostree and machines look for in its metadata."""
    number = sequence(lock, work.system)
    return work.builder.commit(
        metadata={
            "ostree.bootable": True,
            "ostree.linux": work.kernel,
            "version": version(lock, number),
            "dolmen.sequence": number,
            "dolmen.architecture": lock.architecture,
            "dolmen.suite": lock.suite,
            "dolmen.key": key,
        },
        subject=f"{work.system.hostname}: Debian {lock.suite}, {len(lock.packages)} packages",
        timestamp=number,
    )


def finish_tree(
    work: Construction, store: Store, make_initramfs: Callable[[Construction], bytes]
) -> Numbers:
    """All passes in their order; returns the numbers of users and groups there are then.

    Raises DeclarationError for what cannot be done as declared.
    """
    identity.drop(work)
    kernel.place(work)
    numbers = users.settle(work, Numbers(dict(work.lock.users), dict(work.lock.groups)))
    declared.settle(work)
    locales.generate(work, store)
    system = work.system
    for file in machine_files(
        target=system.default_target,
        tries=system.boot_tries,
        volatile=system.volatile,
        keep=system.keep,
    ):
        if file.target:
            work.builder.add_symlink(file.path, file.target)
        else:
            work.builder.add_file(file.path, file.content, mode=file.mode)
    updates.settle(work)
    units.settle(work)
    ourselves.place(work)
    bytecode.compile_ourselves(work, store)
    initramfs.place(work, make_initramfs(work))
    work.write(_KERNEL, f"{work.kernel}\n")
    database.move(work)
    layout.arrange(work)
    variable.empty(work)
    tmpfiles.write(work)
    layout.close(work)
    return numbers


def _known(store: Store, key: Sha256, lock: Lock) -> SystemImage | None:
    commit = store.resolve(f"system/{key}")
    if commit is None or not store.has_commit(commit):
        recorded = store.image(key)
        if recorded is None:
            return None
        commit = recorded.commit
    numbers = store.file(commit, users.NUMBERS).decode()
    found = store.file(commit, _KERNEL).decode().strip()
    after = _with(lock, numbers)
    real = store.metadata(commit).get("dolmen.key", key)
    return SystemImage(Sha256(str(real)), store.root_of(commit), commit, found, after)


def _with(lock: Lock, text: str) -> Lock:
    value = json.loads(text)
    return replace(lock, users=_pairs(value["users"]), groups=_pairs(value["groups"]))


def keep_numbers(directory: Path, lock: Lock, image: SystemImage) -> bool:
    """Write the numbers that a build found into the lock; whether there were any new ones.

    They decide who owns what on the machine's disks, so they are for version control like the rest.
    """
    if image.lock == lock:
        return False
    write_atomic(directory / LOCK_NAME, render_lock(image.lock))
    return True


def _pairs(numbers: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(numbers.items()))


def _beside(system: System, directory: Path) -> dict[str, bytes]:
    names = [file.source for file in system.files if file.source is not None]
    names += [system.update.key] if system.update.key else []
    found: dict[str, bytes] = {}
    for name in (MANIFEST_NAME, *names):
        try:
            found[name] = (directory / name).read_bytes()
        except OSError as error:
            raise DeclarationError(
                f"cannot read {name}, which dolmen.toml names: {error.strerror}",
                reason="file-missing",
                context=str(directory / name),
                hint=f"ls -l {name}",
            ) from None
    return found
