"""`dolmen store show`."""

from __future__ import annotations

import sys

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo show main
        dolmen store show main^ --json
        dolmen store show --print-metadata-key=version main
    """
)
@click.option("--raw", is_flag=True, help="Print what is stored, as GVariant text.")
@click.option("--print-related", is_flag=True, help="Print the commits that it says are related.")
@click.option("--print-metadata-key", "key", metavar="KEY", help="Print one value.")
@click.option("--print-detached-metadata-key", "detached", metavar="KEY", help="Print one value.")
@click.option("-B", "--no-byteswap", is_flag=True, help="Print numbers as they are stored.")
@click.argument("revision", metavar="COMMIT")
def command(
    revision: str,
    raw: bool,
    print_related: bool,
    key: str | None,
    detached: str | None,
    no_byteswap: bool,
) -> None:
    """Show one commit, or something of its metadata."""
    from dolmen.store.history import revisions
    from dolmen.support.errors import StoreError

    history = storing.opened()
    checksum = revisions.resolve(history, revision)
    current = session()
    wanted = key or detached
    if wanted is not None:
        found = revisions.metadata(history, checksum, detached=detached is not None)
        if wanted not in found:
            raise StoreError(
                f"No such metadata key '{wanted}'",
                reason="no-metadata",
                hint=f"dolmen store show --raw {checksum}",
            )
        shown = revisions.metadata_text(found[wanted], swap=not no_byteswap)
        current.answer({"key": wanted, "value": shown})
        current.say(shown)
    elif print_related:
        pairs = revisions.related(history, checksum)
        current.answer(dict(pairs))
        for name, target in pairs:
            current.say(f"{name} {target}")
    elif raw:
        current.say(f"commit {checksum}")
        current.say(revisions.raw(history, checksum))
    else:
        commit = revisions.load(history, checksum)
        texts = {
            name: revisions.metadata_text(value)
            for name, value in revisions.metadata(history, checksum).items()
        }
        current.answer({"commit": commit, "metadata": texts} if current.json else None)
        for line in storing.commit_lines(commit):
            current.say(line)
    sys.stdout.flush()
