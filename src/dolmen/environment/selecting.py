"""Which groups of a manifest an environment has: remembered by its generations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dolmen.environment.generations import Record
from dolmen.model import Lock, Manifest
from dolmen.support.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Selection:
    """A change of the choice that the live generation stands for."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


def chosen(
    live: Record | None, manifest: Manifest | None, selection: Selection, lock: Lock | None = None
) -> tuple[str, ...]:
    """The groups to have, sorted; those that are gone from manifest and lock are left out.

    Raises DeclarationError ("unknown-group").
    """
    known = {group.name for group in manifest.groups} if manifest is not None else set()
    known |= {name for package in lock.packages for name in package.groups} if lock else set()
    for name in (*selection.add, *selection.drop):
        if name not in known:
            raise _unknown(name, known)
    before = set(live.groups) if live is not None else set()
    return tuple(sorted((before | set(selection.add)) & known - set(selection.drop)))


def _unknown(name: str, known: Collection[str]) -> DeclarationError:
    there = ", ".join(sorted(known))
    return DeclarationError(
        f"dolmen.toml has no group {name[:80]}" + (f"; it has {there}" if there else ""),
        reason="unknown-group",
        context=name[:80],
        hint=f"dolmen install --group {name[:80]} PACKAGE" if name[:1].isalnum() else "",
    )
