"""`dolmen system rebase`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import machine
from dolmen.cli.collecting import bound, with_room
from dolmen.cli.options import session
from dolmen.cli.verbs.system.upgrade import show_upgrade
from dolmen.support.errors import UsageError


@machine.machine_verb(
    examples="""
        dolmen system rebase debian/testing        (another branch of the same server)
        dolmen system rebase https://example.org/repo debian/main --key=example.gpg
    """
)
@click.option(
    "--key",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The OpenPGP key that its images are signed with.",
)
@click.option("--no-verify", is_flag=True, help="Take images that nobody signed.")
@click.option("--allow-downgrade", is_flag=True, help="Take an image older than what was here.")
@click.option("--reboot", is_flag=True, help="Restart into it.")
@click.argument("words", metavar="[URL] REF", nargs=-1, required=True)
def command(
    words: tuple[str, ...],
    key: Path | None,
    no_verify: bool,
    allow_downgrade: bool,
    reboot: bool,
) -> None:
    """Take images from another place from now on, beginning with its newest one."""
    from dolmen.system.machine.upgrading import rebase

    if len(words) > 2 or (len(words) == 2 and "://" not in words[0]):
        raise UsageError("rebase takes REF, or URL and REF", hint="dolmen system rebase --help")
    current = session()
    sysroot = machine.opened()
    done = with_room(
        lambda: rebase(
            sysroot,
            words[0] if len(words) == 2 else None,
            words[-1],
            key=key,
            signed=not no_verify,
            store=current.store,
            allow_downgrade=allow_downgrade,
            emit=current.emit,
        )
    )
    bound(done.outcome)
    show_upgrade(done)
    if reboot:
        machine.restart(done.outcome)
