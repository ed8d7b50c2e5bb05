"""`dolmen repair`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen repair --dry-run     (say what is wrong and what would be tried)
        dolmen repair               (exit code 7 unless all is well at the end)
        dolmen repair --from /mnt/other/store --from https://example.org/repo
        dolmen repair --forget      (if all is well: delete what was replaced)
    """
)
@click.option(
    "--from",
    "peers",
    metavar="PEER",
    multiple=True,
    help="A store or repository (a path, or the address of a served one) that may have it.",
)
@click.option("--forget", is_flag=True, help="Delete what earlier repairs put aside.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be tried; change nothing.")
@click.pass_context
def command(context: click.Context, dry_run: bool, peers: tuple[str, ...], forget: bool) -> None:
    """Mend what `fsck` finds, byte for byte: from realised trees, peers, .debs and locks.

    .debs come from the store or are fetched by their SHA-256; images are built again and must give
    the same. Peers are asked first: those of --from, then those of the setting `peers`; nothing
    of theirs is believed unless it hashes to the very name. What is replaced goes to the store's
    quarantine directory, until `gc` removes it (the setting gc.quarantine) or --forget; what cannot
    be replaced stays as it is, and is named with the reason. May be interrupted at any time and
    begun again.
    """
    from dolmen.environment.checking import Report, damaged, line
    from dolmen.environment.peering import named_peers
    from dolmen.environment.repairing import forget as forget_replaced
    from dolmen.environment.repairing import repair
    from dolmen.store import Store
    from dolmen.support.errors import UsageError

    if forget and (dry_run or peers):
        raise UsageError("--forget stands alone", hint="dolmen repair --forget")
    current = session()
    store = Store.open(current.store)
    if forget:
        gone = forget_replaced(store, emit=current.emit)
        current.close()
        current.answer({"forgotten": gone})
        current.say(f"Deleted {text.count(gone, 'quarantine')}" if gone else "Nothing to forget")
        return
    found = repair(store, dry_run=dry_run, peers=named_peers(peers), emit=current.emit)
    current.close()
    current.answer(
        {
            "whole": found.whole,
            "found": found.found,
            "left": found.left,
            "reasons": found.reasons,
            "plan": [{"fault": line(fault), "action": action} for fault, action in found.plan],
            "quarantine": found.quarantine,
        }
    )
    if found.found and not dry_run:
        number = len(found.found) - len(found.left)
        current.say(f"Mended {max(number, 0)} of {text.count(len(found.found), 'fault')}")
        for where in found.quarantine:
            shown = text.sanitise(str(where))
            current.say(
                f"What was replaced lies in {shown}; when you are sure: dolmen repair --forget"
            )
    elif not found.found:
        current.say("All is well: nothing to repair")
    for fault, action in found.plan:
        current.say(text.sanitise(f"{line(fault)}\n  → {action}"))
    if found.left:
        error = damaged(Report(faults=found.left))
        if current.json or dry_run:
            context.exit(error.exit_code)
        error.details = (*error.details, *found.reasons)
        error.hint = "dolmen fsck" if found.reasons else "dolmen repair"
        raise error
