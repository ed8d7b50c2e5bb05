"""`dolmen system diff`."""

from __future__ import annotations

import click

from dolmen.cli import machine, pager, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system diff                     (what runs, and what is started next)
        dolmen system diff --changelogs
        dolmen system diff rollback booted
    """
)
@click.option("--changelogs", is_flag=True, help="With what the newer packages say is new.")
@click.argument("before", metavar="[BEFORE]", required=False)
@click.argument("after", metavar="[AFTER]", required=False)
def command(before: str | None, after: str | None, changelogs: bool) -> None:
    """Compare two deployments: packages, kernel arguments, changelogs.

    Without names what runs and what is started next; where nothing waits, what was before.
    """
    from dolmen.system.machine.comparing import compare

    found = compare(machine.opened(), before, after, changelogs=changelogs)
    current = session()
    current.answer(
        {
            "before": machine.value_of(found.before),
            "after": machine.value_of(found.after),
            "packages": found.packages,
            "arguments": found.arguments,
            "changelogs": found.news,
            "cves": found.cves,
        }
    )
    head = f"{found.before.version} → {found.after.version}"
    lines = [text.sanitise(head)]
    lines += machine.change_lines(found.packages, colour=current.paints, limit=10_000)
    lines += [text.sanitise(f"{word[0]} kernel argument {word[1:]}") for word in found.arguments]
    if len(lines) == 1:
        lines.append("The same packages and kernel arguments")
    for one in found.news:
        for entry in one.entries:
            lines += ["", text.sanitise(f"{one.package} {entry.version}")]
            lines += [text.sanitise(f"  {line}") for line in entry.lines]
    if found.cves:
        lines += ["", f"Mentioned: {', '.join(found.cves)}"]
    pager.show(lines, current)
