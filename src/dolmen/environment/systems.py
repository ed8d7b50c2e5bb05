"""Directories that declare a whole system: verbs edit and solve there, they build no environment.

What a machine is made of is built by `dolmen system build`, from the same manifest and lock.
"""

from __future__ import annotations

from dataclasses import replace

from dolmen.environment.layout import Environment
from dolmen.environment.settling import replace_text, taken_back
from dolmen.model import Lock, Manifest, render_lock
from dolmen.support.errors import DeclarationError


def with_numbers(new: Lock, old: Lock | None) -> Lock:
    """A lock solved anew, with the numbers of users and groups that the one before has."""
    if old is None or not (old.users or old.groups):
        return new
    return replace(new, users=old.users, groups=old.groups)


def write(environment: Environment, manifest: str, lock: Lock) -> bool:
    """Write both files, or neither; whether anything changed."""
    text = render_lock(lock)
    changed = False
    with taken_back(environment):
        if environment.manifest_text() != manifest:
            replace_text(environment.manifest, manifest)
            changed = True
        if environment.lock_text() != text:
            replace_text(environment.lock, text)
            changed = True
    return changed


def refuse(environment: Environment, manifest: Manifest) -> None:
    """Raises DeclarationError ("is-a-system") where a system is declared."""
    if manifest.system is not None:
        raise DeclarationError(
            "this directory declares a whole system, which is built and booted, not entered",
            reason="is-a-system",
            context=str(environment.manifest),
            hint="dolmen system build",
        )
