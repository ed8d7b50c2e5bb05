"""A layer that somebody wrote over an image by hand, made into an image of its own.

The rules of `rules.py` apply to it as to what maintainer scripts wrote. The result is as immutable
as any image, but no function of a lock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dolmen.image.mounting import mount_points
from dolmen.image.normalise import dropped, normalise
from dolmen.model import Sha256
from dolmen.model.digest import digest_text
from dolmen.store import Image, Store
from dolmen.support.clock import monotonic
from dolmen.support.errors import StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore
from dolmen.support.run import run

_TIMEOUT = 1800.0


def commit_layer(
    store: Store,
    base: Image,
    upper: Path,
    *,
    drop: Callable[[str], bool] = lambda _path: False,
    emit: Emit = ignore,
) -> Image:
    """The image `base` with the overlay's upper directory `upper` over it, realised and recorded.

    `upper` is only read (and copied: the rules rewrite files). `drop(path)`, with a leading slash:
    further paths to leave out. Nobody may write to it meanwhile. Raises StoreError, PackageError
    ("unsafe-path").
    """
    began = monotonic()
    emit(PhaseStarted(Phase.COMMIT))
    with store.locked(emit=emit), store.scratch() as scratch:
        copy = scratch / "upper"
        _copy(upper, copy)
        normalise(copy)
        with store.tree_builder() as builder:
            builder.merge_commit(base.commit)
            builder.apply_upper(copy, drop=lambda path: dropped(path) or drop(path))
            mount_points(builder)
            image = builder.commit()
        emit(PhaseFinished(Phase.COMMIT, 1, monotonic() - began))
        store.realise(image, emit=emit)
        store.record_image(digest_text(f"by hand\n{base.root}\n{image.root}"), image)
    return image


def commit_tree(
    store: Store,
    base: Image,
    upper: Path,
    *,
    drop: Callable[[str], bool] = lambda _path: False,
    emit: Emit = ignore,
) -> Image:
    """The tree of `base` with the overlay's upper directory over it, as it is, without rules.

    No ref names it, so the caller holds the store until one does. Raises as `commit_layer`.
    """
    began = monotonic()
    emit(PhaseStarted(Phase.COMMIT))
    with store.locked(emit=emit), store.tree_builder() as builder:
        builder.merge_commit(base.commit)
        builder.apply_upper(upper, drop=drop)
        image = builder.commit()
    emit(PhaseFinished(Phase.COMMIT, 1, monotonic() - began))
    return image


def realise_tree(
    store: Store, tree: tuple[Sha256, Sha256], key: Sha256, *, emit: Emit = ignore
) -> Image:
    """The image that a tree (dirtree, dirmeta) is; realised, and recorded for `key`."""
    with store.locked(emit=emit), store.tree_builder() as builder:
        builder.merge_tree(*tree)
        image = builder.commit()
    store.realise(image, emit=emit)
    store.record_image(key, image)
    return image


def _copy(source: Path, target: Path) -> None:
    # Whiteouts are device nodes 0/0, which everybody may make; opaque directories are marked by
    # extended attributes.
    argv = ["cp", "-a", "--reflink=auto", "--", str(source), str(target)]
    done = run(argv, timeout=_TIMEOUT)
    if not done.ok:
        raise StoreError(
            "the trial's layer cannot be copied into the store",
            reason="layer-unreadable",
            context=str(source),
            details=done.stderr.decode(errors="replace").splitlines()[:10],
            hint="df -h -i .",
        )
