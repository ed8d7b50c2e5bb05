"""Edits of a manifest's (or the settings') text that keep its comments, order and layout."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from dolmen.model.manifest import FILE_NAME, Deb, parse_manifest
from dolmen.model.spec import Spec, parse_spec
from dolmen.support.errors import DeclarationError


def new_manifest(suite: str) -> str:
    """The text of a fresh manifest."""
    return (
        "# What this directory needs from Debian; `dolmen install NAME` and `dolmen remove NAME`\n"
        "# edit it, `dolmen lock` solves it. Keep it and dolmen.lock in version control.\n"
        "format = 1\n"
        f'suite = "{suite}"\n'
        "packages = []\n"
    )


def new_system_manifest(suite: str) -> str:
    """The text of a fresh manifest of a whole machine."""
    from importlib import resources

    text = resources.files("dolmen").joinpath("data/system.toml").read_text()
    return text.replace("@SUITE@", suite)


def add_packages(
    text: str, specs: Iterable[Spec], *, group: str | None = None, name: str = FILE_NAME
) -> str:
    """Add packages; one that is there already by name and architecture is replaced in place.

    To a group where one is named, which is made if need be; a restriction to architectures stays.
    Raises DeclarationError when the text is not a manifest to begin with.
    """
    parse_manifest(text, name=name)
    import tomlkit

    document = tomlkit.parse(text)
    packages = _group(document, group).setdefault("packages", tomlkit.array())
    for spec in specs:
        for index, item in enumerate(packages):
            present = parse_spec(str(item))
            if (present.name, present.architecture) == (spec.name, spec.architecture):
                if present.plain() != spec:
                    packages[index] = str(replace(spec, only=spec.only or present.only))
                break
        else:
            packages.append(str(spec))
    return _checked(tomlkit.dumps(document), name)


def remove_packages(text: str, names: Iterable[str], *, name: str = FILE_NAME) -> str:
    """Remove packages by `name` or `name:arch`, from all groups.

    Raises DeclarationError ("not-in-manifest").
    """
    parse_manifest(text, name=name)
    import tomlkit

    document = tomlkit.parse(text)
    lists = [document.get("packages", [])]
    lists += [table.get("packages", []) for table in document.get("groups", {}).values()]
    for wanted in names:
        spec = parse_spec(wanted)
        hits = [_remove(packages, spec) for packages in lists]
        if not any(hits):
            raise DeclarationError(
                f"{spec.name} is not in {name}",
                reason="not-in-manifest",
                hint=f"see what is: cat {name}",
            )
    return _checked(tomlkit.dumps(document), name)


def change_suite(text: str, suite: str, *, name: str = FILE_NAME) -> str:
    """Move a manifest to another suite: its own, its sources', its packages' and its pins'.

    Suites that are built on the old one follow (bookworm-backports to trixie-backports). Raises
    DeclarationError when the text is no manifest before or afterwards.
    """
    before = parse_manifest(text, name=name).suite
    import tomlkit

    document = tomlkit.parse(text)

    def moved(word: str) -> str:
        is_same = word == before or word.startswith((f"{before}-", f"{before}/"))
        return suite + word[len(before) :] if is_same else word

    document["suite"] = suite
    lists: list[Any] = [document.get("packages", [])]
    lists += [table.get("packages", []) for table in document.get("groups", {}).values()]
    for packages in lists:
        for index, item in enumerate(packages):
            spec = parse_spec(str(item))
            if spec.suite and moved(spec.suite) != spec.suite:
                packages[index] = str(replace(spec, suite=moved(spec.suite)))
    pins: Any = document.get("pins", {})
    for package, value in list(pins.items()):
        word, _, priority = str(value).partition(" ")
        if word.startswith("/") and moved(word[1:]) != word[1:]:
            pins[package] = f"/{moved(word[1:])} {priority}".rstrip()
    sources: Any = document.get("sources", [])
    for source in sources:
        for index, word in enumerate(source["suites"]):
            if moved(str(word)) != word:
                source["suites"][index] = moved(str(word))
    return _checked(tomlkit.dumps(document), name)


def set_setting(text: str, name: str, value: str | int | bool | None) -> str:
    """Set a dotted key in the text of a settings file; None takes it away."""
    import tomlkit

    document = tomlkit.parse(text)
    *tables, last = name.split(".")
    here: Any = document
    for table in tables:
        if table not in here:
            if value is None:
                return text
            here[table] = tomlkit.table()
        here = here[table]
    if value is None:
        if last in here:
            del here[last]
    else:
        here[last] = value
    return tomlkit.dumps(document)


def add_debs(text: str, debs: Iterable[Deb], *, name: str = FILE_NAME) -> str:
    """Add .debs by path, or note that one has changed."""
    parse_manifest(text, name=name)
    import tomlkit

    document: Any = tomlkit.parse(text)
    if "debs" not in document:
        document["debs"] = tomlkit.aot()
    for deb in debs:
        table = next((item for item in document["debs"] if item["path"] == deb.path), None)
        if table is None:
            table = tomlkit.table()
            table["path"] = deb.path
            document["debs"].append(table)
        if table.get("sha256") != deb.sha256:
            table["sha256"] = str(deb.sha256)
    return _checked(tomlkit.dumps(document), name)


def remove_debs(text: str, paths: Collection[str], *, name: str = FILE_NAME) -> str:
    """Take .debs out by their paths; raises DeclarationError ("not-in-manifest")."""
    there = {deb.path for deb in parse_manifest(text, name=name).debs}
    for path in paths:
        if path not in there:
            raise DeclarationError(
                f"{path} is not in {name}",
                reason="not-in-manifest",
                hint=f"see what is: cat {name}",
            )
    if not paths:
        return text
    import tomlkit

    document: Any = tomlkit.parse(text)
    kept = [item for item in document["debs"] if item["path"] not in paths]
    if kept:
        for index in reversed(range(len(document["debs"]))):
            if document["debs"][index]["path"] in paths:
                del document["debs"][index]
    else:
        del document["debs"]
    return _checked(tomlkit.dumps(document), name)


def _group(document: Any, group: str | None) -> Any:
    """The table that holds the packages of a group, or of everybody."""
    import tomlkit

    if group is None:
        return document
    if "groups" not in document:
        document["groups"] = tomlkit.table(is_super_table=True)
    if group not in document["groups"]:
        document["groups"][group] = tomlkit.table()
    return document["groups"][group]


def _remove(packages: Any, spec: Spec) -> bool:
    for index, item in enumerate(packages):
        present = parse_spec(str(item))
        if present.name == spec.name and spec.architecture in (None, present.architecture):
            del packages[index]
            return True
    return False


def _checked(text: str, name: str) -> str:
    parse_manifest(text, name=name)
    return text
