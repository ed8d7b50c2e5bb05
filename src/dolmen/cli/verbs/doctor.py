"""`dolmen doctor`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb
from dolmen.support.errors import HostError


@verb(
    examples="""
        dolmen doctor                   (exit code 8 if something is missing)
        dolmen doctor --json
    """
)
def command() -> None:
    """Try what Dolmen needs from this host; say what is missing and the command that mends it."""
    from dolmen.sandbox import probe
    from dolmen.store import store_path

    current = session()
    store = store_path(current.store)
    findings = probe(store / "tmp" if (store / "tmp").is_dir() else None)
    current.answer({"store": store, "findings": findings})
    current.say(f"store {text.sanitise(str(store))}")
    for finding in findings:
        style, word = ("green", "ok") if finding.ok else ("red", "missing")
        mark = text.paint(f"{word:>7}", "bold", style, colour=current.paints)
        current.say(f"{mark}  {text.sanitise(finding.name)}: {text.sanitise(finding.message)}")
        for detail in finding.details:
            current.say(f"         {text.sanitise(detail)}")
        if not finding.ok and finding.hint:
            current.say(f"         hint: {text.sanitise(finding.hint)}")
    if not all(finding.ok for finding in findings):
        click.get_current_context().exit(HostError.exit_code)
