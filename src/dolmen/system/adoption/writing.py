"""The manifest of what was found, and the files beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.model import parse_manifest
from dolmen.model.manifest import PATH
from dolmen.support.errors import DeclarationError
from dolmen.support.files import write_atomic
from dolmen.system.adoption.found import Adopted, Placed
from dolmen.system.adoption.packages import read_packages, read_sources
from dolmen.system.adoption.settings import read_changed, read_names, read_units, read_users

MANIFEST = "dolmen.toml"


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was written; `notes` are for a person to look at."""

    manifest: Path
    suite: str
    packages: tuple[str, ...]
    users: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]


def adopt(root: Path, directory: Path) -> Adoption:
    """Write a manifest of an ordinary Debian, with what it places beside it.

    Nothing below `root` is run or changed. Raises DeclarationError ("exists", "not-debian").
    """
    if (directory / MANIFEST).exists():
        raise DeclarationError(
            f"there is a {MANIFEST} in {directory} already",
            reason="exists",
            context=str(directory / MANIFEST),
            hint="name an empty directory: dolmen --dir DIR system adopt",
        )
    found = Adopted(root)
    read_names(found)
    there = read_packages(found)
    read_sources(found)
    read_units(found)
    read_users(found)
    read_changed(found, there)
    found.files = [one for one in found.files if PATH.fullmatch(_beside(one))]
    text = render(found)
    parse_manifest(text)
    directory.mkdir(parents=True, exist_ok=True)
    beside = {**found.keys, **{_beside(one): one.content for one in found.files}}
    modes = {_beside(one): 0o600 if not one.mode & 0o004 else 0o644 for one in found.files}
    for name, content in beside.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(directory / name, content, mode=modes.get(name, 0o644))
    write_atomic(directory / MANIFEST, text)
    return Adoption(
        directory / MANIFEST,
        found.suite,
        tuple(found.packages),
        tuple(user.name for user in found.users),
        tuple(one.path for one in found.files),
        tuple(found.notes),
    )


def render(found: Adopted) -> str:
    """The text of the manifest."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Adopted) -> Iterator[str]:
    yield "# What an ordinary Debian had, as a start for a declared one; written by"
    yield "# `dolmen system adopt`. Read it, then: dolmen lock && dolmen system build"
    for note in found.notes:
        yield f"# To look at: {''.join(c for c in note if c.isprintable())}"
    yield "format = 1"
    yield f"suite = {_word(found.suite)}"
    yield from _list("packages", found.packages, always=True)
    yield from _list("foreign-architectures", found.foreign)
    for source in found.sources:
        yield ""
        yield "[[sources]]"
        yield from _list("uris", source.uris)
        yield from _list("suites", source.suites)
        yield from _list("components", source.components)
        if source.signed_by:
            yield f"signed-by = {_word(source.signed_by)}"
    yield ""
    yield "[system]"
    for key, value in (
        ("hostname", found.hostname),
        ("locale", found.locale),
        ("timezone", found.timezone),
        ("kernel", found.kernel),
        ("default-target", found.target),
    ):
        if value:
            yield f"{key} = {_word(value)}"
    yield from _list("locales", found.locales)
    yield from _list("kernel-arguments", found.arguments)
    yield from _list("enable", found.enable)
    yield from _list("disable", found.disable)
    yield from _list("mask", found.mask)
    for user in found.users:
        yield ""
        yield "[[system.users]]"
        yield f"name = {_word(user.name)}"
        yield f"uid = {user.uid}"
        yield from _list("groups", user.groups)
        for key, value in (
            ("shell", user.shell if user.shell != "/bin/bash" else ""),
            ("comment", user.comment),
            ("home", user.home),
        ):
            if value:
                yield f"{key} = {_word(value)}"
        yield from _list("ssh-keys", user.ssh_keys)
    for file in found.files:
        yield ""
        yield "[[system.files]]"
        yield f"path = {_word(file.path)}"
        yield f"source = {_word(_beside(file))}"
        if file.mode != 0o644:
            yield f'mode = "{file.mode:04o}"'
        if file.owner != "root":
            yield f"owner = {_word(file.owner)}"
        if file.group != "root":
            yield f"group = {_word(file.group)}"


def _beside(file: Placed) -> str:
    return f"files{file.path}"


def _list(key: str, words: Iterable[str], *, always: bool = False) -> Iterator[str]:
    given = list(words)
    if not given and not always:
        return
    line = f"{key} = [{', '.join(map(_word, given))}]"
    if len(line) <= 100:
        yield line
        return
    yield f"{key} = ["
    for word in given:
        yield f"    {_word(word)},"
    yield "]"


def _word(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
