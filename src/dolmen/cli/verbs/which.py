"""`dolmen which`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli.options import looked_at, session, verb

if TYPE_CHECKING:
    from dolmen.environment.inspect.owners import Owner, Which

_SHOWN = 20
_OLD = 30 * 24 * 3600


@verb(
    examples="""
        dolmen which vi                 (a command, also one made by alternatives)
        dolmen which /usr/bin/jq
        dolmen which sys/stat.h         (the end of a path)
        dolmen which --all stdio.h      (the archive's packages too)
    """
)
@click.argument("name", metavar="FILE|COMMAND")
@click.option("-a", "--all", "every", is_flag=True, help="Ask the archive also for what is here.")
@click.option("--suite", metavar="SUITE", help="Look there (default: the environment's, or ours).")
@click.option("--refresh", is_flag=True, help="Fetch the archive's list of files anew.")
def command(name: str, every: bool, suite: str | None, refresh: bool) -> None:
    """Say which package brings a file or a command: here, or else in the archive.

    The archive's list of files is fetched the first time that it is needed. The exit code is 1
    where nothing brings it.
    """
    from dolmen.cli import pager, text
    from dolmen.environment.inspect.owners import which

    current = session()
    found = which(looked_at(current, suite), name, every=every, refresh=refresh, emit=current.emit)
    current.close()
    current.answer(found)
    if found.installed or found.offered:
        pager.show(_lines(found, every=every, paints=current.paints), current)
        return
    from dolmen.support.clock import wall

    current.say(f"No package brings {text.sanitise(name)}")
    if found.package:
        current.say(f"There is a package of that name: dolmen show {text.sanitise(name)}")
    if found.fetched and wall() - found.fetched > _OLD:
        current.say(
            f"The list of files is old; fetch it anew: dolmen which --refresh {text.sanitise(name)}"
        )
    raise click.exceptions.Exit(1)


def _lines(found: Which, *, every: bool, paints: bool) -> list[str]:
    from dolmen.cli import text

    lines = [_line(owner, paints=paints) for owner in found.installed]
    if not found.offered:
        return lines
    shown = found.offered if every else found.offered[:_SHOWN]
    lines += [_line(owner, paints=paints) for owner in shown]
    more = len(found.offered) - len(shown)
    if more:
        lines.append(f"and {text.count(more, 'file')} more: dolmen which --all {found.name}")
    if not found.installed:
        lines += ["", f"Install it: dolmen install {text.sanitise(found.offered[0].package)}"]
    return lines


def _line(owner: Owner, *, paints: bool) -> str:
    from dolmen.cli import text

    name = text.paint(text.sanitise(owner.package), "bold", colour=paints)
    version = f" {text.sanitise(owner.version)}" if owner.version else ""
    how = "" if owner.how == "ships" else f" ({owner.how}"
    if how:
        how += f" to /{text.sanitise(owner.target)})" if owner.target else ")"
    return f"{name}{version}  /{text.sanitise(owner.path)}{how}"
