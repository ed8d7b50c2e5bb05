"""`install`, `remove` and `override` on a machine: requests changed, then made good."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dolmen.model.spec import parse_spec
from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import MachineError, UsageError
from dolmen.support.events import Emit, ignore
from dolmen.system.machine.changes import lasting, required
from dolmen.system.machine.deploying import put
from dolmen.system.machine.layers import Layers, layers_of
from dolmen.system.machine.roles import next_started
from dolmen.system.machine.switching import Outcome

#: dracut reads its configuration as a shell script: assignments of plain words only.
_ASSIGNMENT = re.compile(r"""[a-z_]+\+?=("[A-Za-z0-9 _./:,=@+-]*"|[A-Za-z0-9_./:,=@+-]*)""")


def install(layers: Layers, words: Sequence[str]) -> Layers:
    """Ask for packages; one that was asked for is asked for anew, one that was removed is back."""
    specs = {parse_spec(word).name: word for word in words}
    return layers.with_changes(
        install=tuple(w for w in layers.install if parse_spec(w).name not in specs) + tuple(words),
        remove=tuple(name for name in layers.remove if name not in specs),
    )


def remove(layers: Layers, names: Sequence[str]) -> Layers:
    """No longer ask for packages; those that are the image's own it shall do without."""
    asked = {parse_spec(word).name for word in layers.install}
    return layers.with_changes(
        install=tuple(w for w in layers.install if parse_spec(w).name not in names),
        override=tuple(w for w in layers.override if parse_spec(w).name not in names),
        remove=layers.remove
        + tuple(name for name in names if name not in asked and name not in layers.remove),
    )


def override(layers: Layers, words: Sequence[str]) -> Layers:
    """Ask for versions of packages; raises MachineError ("no-version")."""
    names = set()
    for word in words:
        spec = parse_spec(word)
        names.add(spec.name)
        if spec.version is None and spec.suite is None:
            raise MachineError(
                f"{word} names no version",
                reason="no-version",
                hint=f"dolmen system override {spec.name}=VERSION, or {spec.name}/SUITE",
            )
    return layers.with_changes(
        override=tuple(w for w in layers.override if parse_spec(w).name not in names) + tuple(words)
    )


def reset(layers: Layers, names: Sequence[str], *, everything: bool = False) -> Layers:
    """Take overrides and removals back."""
    if everything:
        return layers.with_changes(override=(), remove=())
    return layers.with_changes(
        override=tuple(w for w in layers.override if parse_spec(w).name not in names),
        remove=tuple(name for name in layers.remove if name not in names),
    )


def configure_initramfs(
    layers: Layers, *, add: Sequence[str] = (), delete: Sequence[str] = (), clear: bool = False
) -> Layers:
    """Change the lines of dracut.conf(5); raises UsageError for what is no assignment."""
    for line in add:
        if not _ASSIGNMENT.fullmatch(line):
            raise UsageError(
                f"{line[:80]!r} is no line of dracut.conf(5)",
                hint="dolmen system initramfs --add='add_drivers+=\" nvme \"'",
            )
    kept = () if clear else tuple(one for one in layers.dracut if one not in delete)
    return layers.with_changes(dracut=(*kept, *(line for line in add if line not in kept)))


def change_layers(
    sysroot: Sysroot,
    wanted: Layers,
    *,
    store: Path | None = None,
    keep: int | None = None,
    emit: Emit = ignore,
) -> Outcome:
    """Make the image that is started next anew with these layers.

    Raises what `put` and `lay` do.
    """
    with sysroot.changing():
        source = required(next_started(sysroot))
        if wanted == layers_of(source):
            return Outcome(False, source)
        return put(
            sysroot,
            source.base,
            origin=lasting(source),
            layers=wanted,
            store=store,
            keep=keep,
            emit=emit,
        )
