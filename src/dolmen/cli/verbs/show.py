"""`dolmen show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli.options import looked_at, session, verb

if TYPE_CHECKING:
    from dolmen.environment.inspect.showing import Shown


@verb(
    examples="""
        dolmen show jq
        dolmen show --suite trixie python3
        dolmen show --json libc6:i386
    """
)
@click.argument("package", metavar="PACKAGE")
@click.option("--suite", metavar="SUITE", help="Look there (default: the environment's, or ours).")
@click.option("--refresh", is_flag=True, help="Ask the archive for news first.")
def command(package: str, suite: str | None, refresh: bool) -> None:
    """Show all about a package: the one of the environment, or else the archive's."""
    from dolmen.cli import pager
    from dolmen.environment.inspect.showing import show

    current = session()
    found = show(looked_at(current, suite), package, refresh=refresh, emit=current.emit)
    current.close()
    current.answer(found)
    pager.show(_lines(found, paints=current.paints), current)


def _lines(found: Shown, *, paints: bool) -> list[str]:
    from dolmen.cli import text

    def bold(words: str) -> str:
        return text.paint(text.sanitise(words), "bold", colour=paints)

    if found.providers:
        head = f"{bold(found.name)} is no package of its own; these provide it:"
        return [head, *(f"  {name}" for name in found.providers)]
    state = "installed" if found.installed else "not installed"
    lines = [f"{bold(found.name)} {text.sanitise(found.version)} ({state})"]
    synopsis, *body = found.description.split("\n")
    lines += [text.sanitise(synopsis), ""]
    rows = [
        ("suite", found.suite),
        ("architecture", found.architecture),
        ("section", found.section),
        ("source", found.source),
        ("download", text.size(found.size) if found.size else ""),
        ("unpacked", text.size(found.installed_size) if found.installed_size else ""),
        ("homepage", found.homepage),
        ("maintainer", found.maintainer),
        ("here because", _because(found)),
        *((field.lower(), value) for field, value in found.relations),
        ("versions", _versions(found)),
    ]
    for name, value in rows:
        if value:
            lines += _field(name, value, paints=paints)
    if body:
        lines.append("")
        lines += _paragraphs(body)
    if not found.installed:
        lines += ["", f"Install it: dolmen install {text.sanitise(found.name)}"]
    return lines


def _field(name: str, value: str, *, paints: bool) -> list[str]:
    from dolmen.cli import table, text

    indent = " " * 14
    lines = table.wrapped(value, indent=indent) or [indent]
    label = text.paint(f"{name:<13}", "cyan", colour=paints)
    return [f"{label} {lines[0].strip()}", *lines[1:]]


def _because(found: Shown) -> str:
    if not found.installed:
        return ""
    if found.requested:
        return "it was asked for"
    if found.essential:
        return "it is Essential"
    return " → ".join(found.why)


def _versions(found: Shown) -> str:
    several = len({v.architecture for v in found.versions} - {"all"}) > 1
    return ", ".join(
        f"{v.version} ({f'{v.architecture}, ' if several else ''}{v.suite})" for v in found.versions
    )


def _paragraphs(body: list[str]) -> list[str]:
    """A long description as Policy 5.6.13 has it: paragraphs are wrapped, indented lines kept."""
    from dolmen.cli import table, text

    lines: list[str] = []
    paragraph: list[str] = []
    for line in [*body, ""]:
        if line.strip() and not line.startswith(" "):
            paragraph.append(line)
            continue
        if paragraph:
            lines += table.wrapped(" ".join(paragraph))
            paragraph = []
        if line.strip() or (lines and lines[-1]):
            lines.append(text.sanitise(line.rstrip()))
    while lines and not lines[-1]:
        lines.pop()
    return lines
