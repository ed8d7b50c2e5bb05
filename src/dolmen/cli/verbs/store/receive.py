"""`dolmen store receive`."""

from __future__ import annotations

import click

from dolmen.cli import storing


@storing.store_verb(
    examples="""
        ssh host dolmen store --repo=/srv/repo receive       (what push does)
        dolmen store --repo=/srv/repo receive --ff-only --only=nightly/
    """
)
@click.option("--ff-only", is_flag=True, help="Refs move forward only, even if the sender insists.")
@click.option("--only", metavar="PREFIX", multiple=True, help="Only refs that begin so may move.")
def command(ff_only: bool, only: tuple[str, ...]) -> None:
    """Take one push, from standard input; `dolmen store push` runs this over ssh.

    For a key that may do nothing else, say it in ~/.ssh/authorized_keys:
    command="dolmen store --repo=/srv/repo receive --ff-only",restrict ssh-ed25519 …
    """
    from dolmen.store.history.receiving import receive
    from dolmen.store.history.wire import Wire
    from dolmen.support.errors import DolmenError

    wire = Wire(0, 1)
    try:
        try:
            history = storing.opened()
        except DolmenError as error:
            wire.send_error(error)
            raise
        receive(history, wire, forcing=not ff_only, only=only)
    except DolmenError as error:
        # The sender has been told, and tells it.
        click.get_current_context().exit(error.exit_code)
