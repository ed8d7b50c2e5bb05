"""`deploy`: from what an administrator names to an image in the sysroot's repository, and on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dolmen.store.sysroot import Sysroot
from dolmen.store.sysroot.commits import is_partial, metadata, resolve
from dolmen.store.sysroot.fetching import fetch, trust
from dolmen.support.errors import DolmenError, MachineError, UsageError
from dolmen.support.events import Emit, ignore
from dolmen.system.machine.changes import lasting
from dolmen.system.machine.checking import check_metadata
from dolmen.system.machine.declared import declared_update
from dolmen.system.machine.kargs import edited
from dolmen.system.machine.layers import Layers, layers_in, with_layers
from dolmen.system.machine.roles import next_started, roles
from dolmen.system.machine.sources import key_of, update_source
from dolmen.system.machine.switching import Origin, Outcome, switch

_CHECKSUM = re.compile(r"[0-9a-f]{4,64}[\^~0-9]*")


def deploy(
    sysroot: Sysroot,
    target: str,
    *,
    arguments: Sequence[str] = (),
    store: Path | None = None,
    allow_downgrade: bool = False,
    keep: int | None = None,
    emit: Emit = ignore,
) -> Outcome:
    """Make LOCK, REF or DIR what is started next.

    `arguments`: in place of those in use, where given. `keep`: None for what the image declares.
    Raises what `switch` does, MachineError ("no-image"), and what building raises.
    """
    if arguments:
        edited((), append=arguments)
    if not target:
        raise UsageError("no image is named", hint="dolmen system deploy --help")
    with sysroot.changing():
        merge = next_started(sysroot)
        origin = lasting(merge) if merge is not None else {}
        own = origin.setdefault("dolmen", {})
        ref: str | None = None
        if _is_declaration(target):
            from dolmen.system.machine.making import make_here

            directory = Path(target).absolute()
            base = make_here(sysroot, directory, store=store, emit=emit)
            origin.pop("origin", None)
            own["directory"] = str(directory)
        else:
            base = _find(sysroot, target)
            if _CHECKSUM.fullmatch(target) is None and base not in target:
                origin["origin"] = {"refspec": target}
                own.pop("directory", None)
                remote, colon, name = target.partition(":")
                ref = name if colon and remote and not re.search(r"[~^]", name) else None
        return put(
            sysroot,
            base,
            origin=origin,
            arguments=tuple(arguments) or None,
            ref=ref,
            store=store,
            allow_downgrade=allow_downgrade,
            keep=keep,
            emit=emit,
        )


def put(
    sysroot: Sysroot,
    base: str,
    *,
    origin: Origin,
    layers: Layers | None = None,
    arguments: Sequence[str] | None = None,
    ref: str | None = None,
    store: Path | None = None,
    allow_downgrade: bool = False,
    keep: int | None = None,
    emit: Emit = ignore,
) -> Outcome:
    """Make an image, with the layers over it, what is started next.

    `layers`: None for those that the origin records. Under `changing()`. Raises what `switch` and
    `lay` do.
    """
    there = {name for one in sysroot.own() for name in (one.commit, one.base)}
    wanted = layers_in(origin) if layers is None else layers
    image = metadata(sysroot.repository, base)
    if base not in there:
        check_metadata(sysroot, image, ref=ref, allow_downgrade=allow_downgrade)
    commit = base
    new = with_layers(origin, wanted)
    new["dolmen"].pop("base", None)
    new["dolmen"].pop("sequence", None)
    if wanted:
        from dolmen.system.machine.layering import lay

        commit = lay(sysroot, base, wanted, store=store, emit=emit)
        new["dolmen"] |= {"base": base, "sequence": str(image.sequence)}
    elif is_partial(sysroot.repository, base):
        # It was below layers that are gone now: the rest of it was not needed until here.
        source = update_source(sysroot)
        trust(sysroot.repository, source.remote, source.url, key_of(source))
        fetch(sysroot.repository, source.remote, ref or source.ref, base)
    return switch(
        sysroot,
        commit,
        origin=new,
        arguments=arguments,
        # What was made here of an image that was judged is not judged by its own numbers.
        image=image if wanted else None,
        ref=ref,
        allow_downgrade=allow_downgrade or base in there,
        keep=declared_update(sysroot).keep if keep is None else keep,
        emit=emit,
    )


def _is_declaration(target: str) -> bool:
    path = Path(target)
    return path.is_dir() or (path.name.endswith(".lock") and path.is_file())


def _find(sysroot: Sysroot, target: str) -> str:
    own = sysroot.own()
    named = roles(own)
    for one in own:
        if target in (one.version, named[one.name], one.name):
            return one.commit
    try:
        commit = resolve(sysroot.repository, target)
        metadata(sysroot.repository, commit)
        return commit
    except DolmenError as error:
        if error.reason not in ("no-revision", "store-failed", "object-missing"):
            raise
        raise MachineError(
            f"there is no image called {target[:100]} here",
            reason="no-image",
            context=f"{sysroot.path}/ostree/repo: {error.message}",
            hint="fetch it first: dolmen system rebase URL REF; or see what there is: "
            f"dolmen store --repo={sysroot.path}/ostree/repo refs",
        ) from None
