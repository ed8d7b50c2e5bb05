"""Packages over an image: the requests of layers.py made good, on this machine.

A layer is not unpacked over the image: the image's own manifest and lock, which lie in its tree,
get the requests added, are solved with everything else where it is, and built. So the result is
what the same manifest gives anywhere; no order in which things were layered shows in it, nothing is
left of what was taken out, and every rule of an image holds. The image's packages are taken from
its own files (`reusing.py`), not fetched; what it costs is the room of the store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dolmen import archive
from dolmen.image import dependencies
from dolmen.model import Lock, Manifest, Spec, parse_lock, parse_manifest
from dolmen.model.editing import add_packages, remove_packages
from dolmen.model.spec import parse_spec
from dolmen.store import Store
from dolmen.store.history.tree import Tree
from dolmen.store.sysroot import Sysroot
from dolmen.store.sysroot.commits import exists, set_ref
from dolmen.support.errors import DolmenError, MachineError, SolveError
from dolmen.support.events import Emit, ignore
from dolmen.system.machine import reusing
from dolmen.system.machine.layers import BASES, Layers
from dolmen.system.machine.making import bring

SHARE = "usr/share/dolmen"
DRACUT = "/etc/dracut.conf.d/90-dolmen-layer.conf"


@dataclass(frozen=True, slots=True)
class _Base:
    """What an image says it was made from."""

    text: str
    manifest: Manifest
    lock: Lock


def lay(
    sysroot: Sysroot, base: str, layers: Layers, *, store: Path | None, emit: Emit = ignore
) -> str:
    """The commit of an image with these layers, in the sysroot's repository.

    Raises MachineError ("no-layers", "layer-needed"), and what solving and
    building raise.
    """
    from dolmen.system import building

    opened = Store.open(store)
    with opened.scratch() as scratch:
        directory = scratch / "declaration"
        _copy(sysroot, base, directory)
        found = _read(directory, base)
        text = declaration(found.text, layers)
        (directory / "dolmen.toml").write_text(text)
        manifest = parse_manifest(text)
        try:
            lock = archive.solve(
                manifest,
                state=opened.archive,
                emit=emit,
                pins=[p for p in found.lock.packages if p.name not in _moved(layers)],
                releases=found.lock.releases,
            )
        except SolveError as error:
            error.context = f"{error.context or ''} (over the image {base[:12]})".strip()
            if error.reason == "unsatisfiable":
                error.hint = "leave it out, or what the image has: dolmen system remove NAME"
            raise
        lock = replace(lock, users=found.lock.users, groups=found.lock.groups)
        check_removed(lock, layers.remove)
        tree = Tree(sysroot.repository, base)
        reusing.take_packages(sysroot, base, lock, opened, emit=emit)
        reusing.take_over(tree, found.lock, opened)
        # The image's own Dolmen, not the one that runs: a newer image may bring a newer one.
        program = reusing.program(tree)
        image = building.build(lock, manifest, directory, opened, program=program, emit=emit)
    bring(sysroot, opened, image)
    set_ref(sysroot.repository, f"{BASES}/{image.commit}", base)
    return str(image.commit)


def declaration(text: str, layers: Layers) -> str:
    """A manifest's text with the requests in it; raises DeclarationError ("bad-spec")."""
    specs = [parse_spec(word) for word in (*layers.install, *layers.override)]
    present = {spec.name for spec in _all(parse_manifest(text))}
    gone = [name for name in layers.remove if name in present]
    if gone:
        text = remove_packages(text, gone)
    if specs:
        text = add_packages(text, specs)
    if layers.dracut:
        lines = json.dumps("".join(f"{line}\n" for line in layers.dracut), ensure_ascii=False)
        text = f'{text.rstrip()}\n\n[[system.files]]\npath = "{DRACUT}"\ntext = {lines}\n'
        parse_manifest(text)
    return text


def check_removed(lock: Lock, names: Sequence[str]) -> None:
    """Raise MachineError ("layer-needed") where something else needs what shall go."""
    for name in names:
        package = lock.find(name)
        if package is None:
            continue
        graph = dependencies(lock)
        needing = sorted({key[0] for key, needs in graph.items() if package.key in needs} - {name})
        if package.essential:
            why = "it is essential"
        elif needing:
            why = f"{', '.join(needing[:6])} {'needs' if len(needing) == 1 else 'need'} it"
        else:
            why = "every system needs it"
        raise MachineError(
            f"{name} cannot be taken out of the image: {why}",
            reason="layer-needed",
            context=str(package),
            hint=f"dolmen system remove {' '.join([name, *needing[:6]])}"
            if needing and not package.essential
            else "dolmen system status",
        )


def _moved(layers: Layers) -> set[str]:
    """Packages that a request wants at another version than the image has."""
    specs: list[Spec] = [parse_spec(word) for word in (*layers.install, *layers.override)]
    return {spec.name for spec in specs if spec.version or spec.suite}


def _all(manifest: Manifest) -> list[Spec]:
    return [*manifest.packages, *(spec for group in manifest.groups for spec in group.packages)]


def _copy(sysroot: Sysroot, base: str, directory: Path) -> None:
    """What lies beside the manifest in the image's tree: it is needed for building it again."""
    history = sysroot.repository
    directory.mkdir(parents=True, mode=0o700)  # there may be secrets among it
    if not exists(history, base, f"{SHARE}/dolmen.toml"):
        raise _undeclared(base, "it has no manifest in its tree")
    tree = Tree(history, base)
    top = tree.find(SHARE)
    for entry in tree.walk(top):
        path = directory / entry.path.removeprefix(f"/{SHARE}").lstrip("/")
        if entry.is_directory:
            path.mkdir(exist_ok=True)
        elif entry.is_file:
            path.write_bytes(b"".join(tree.read(entry)))


def _read(directory: Path, base: str) -> _Base:
    try:
        text = (directory / "dolmen.toml").read_text(encoding="utf-8")
        lock = parse_lock((directory / "dolmen.lock").read_text(encoding="utf-8"))
        return _Base(text, parse_manifest(text), lock)
    except (OSError, UnicodeDecodeError, DolmenError) as error:
        raise _undeclared(base, str(error)) from None


def _undeclared(base: str, why: str) -> MachineError:
    return MachineError(
        "nothing can be layered over this image: it does not say what it was made from",
        reason="no-layers",
        context=f"{base}: {why}",
        hint="take an image that `dolmen system build` has made",
    )
