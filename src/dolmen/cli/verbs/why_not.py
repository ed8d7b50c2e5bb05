"""`dolmen why-not`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli.options import session, verb

if TYPE_CHECKING:
    from dolmen.environment.inspect.whynot import WhyNot


@verb(
    examples="""
        dolmen why-not postfix
        dolmen why-not curl=8.0
        dolmen why-not nodejs/bookworm-backports
    """
)
@click.argument("package", metavar="PACKAGE[=VERSION]")
@click.option("--refresh", is_flag=True, help="Ask the archive for news first.")
def command(package: str, refresh: bool) -> None:
    """Say what keeps a package, or a version of it, out of the environment.

    Nothing is changed. The exit code is 0 whatever the answer is; --json tells them apart.
    """
    from dolmen.environment.inspect.view import view
    from dolmen.environment.inspect.whynot import why_not

    current = session()
    backend = current.backend()
    seen = view(current.environment(), backend=backend)
    found = why_not(seen, package, backend=backend, refresh=refresh, emit=current.emit)
    current.close()
    current.answer(found)
    for line in _lines(found, package, paints=current.paints):
        current.say(line)


def _lines(found: WhyNot, asked: str, *, paints: bool) -> list[str]:
    from dolmen.cli import text
    from dolmen.cli.outcomes import change_lines

    name = text.paint(text.sanitise(asked), "bold", colour=paints)
    if found.possible and found.changes is None:
        return [f"{name} is here: {text.sanitise(found.name)} {text.sanitise(found.here or '')}"]
    lines = []
    if not found.possible:
        lines.append(text.sanitise(found.message))
        lines += [f"  {text.sanitise(detail)}" for detail in found.details]
    else:
        assert found.changes is not None
        nobody = "" if found.wanted_by else ", nor does anything here want it"
        lines.append(
            f"Nothing prevents {name}: it was not asked for{nobody}"
            if found.here is None
            else f"Nothing prevents {name}: {text.sanitise(found.here)} was chosen in its place"
        )
        lines.append("With it would come:")
        lines += [f"  {line}" for line in change_lines(found.changes, colour=paints)]
    for package, field in found.wanted_by:
        lines.append(f"{text.sanitise(package)} {field.lower()} it")
    hint = found.hint if not found.possible else f"dolmen install {asked}"
    if hint:
        lines.append(f"{text.paint('hint:', 'bold', 'cyan', colour=paints)} {text.sanitise(hint)}")
    return lines
