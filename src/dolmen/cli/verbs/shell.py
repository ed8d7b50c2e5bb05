"""`dolmen shell`."""

from __future__ import annotations

import click

from dolmen.cli.entering import Entry, enter, options
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen shell
        dolmen shell --dir web --pure
        dolmen shell --generation 3         (look at an older one; nothing is switched)
        dolmen shell -p cowsay -p jq
        dolmen shell -p python3 --suite trixie -- python3 --version
    """,
    allow_interspersed_args=False,
)
@options
@click.argument("argv", metavar="[COMMAND [ARGUMENT…]]", nargs=-1, type=click.UNPROCESSED)
def command(
    argv: tuple[str, ...],
    packages: tuple[str, ...],
    suite: str | None,
    refresh: bool,
    pure: bool,
    network: bool,
    locked: bool,
    frozen: bool,
    generation: str | None,
) -> None:
    """Enter the environment with your own shell; its exit code becomes ours.

    With -p an environment is made of the packages named, in the store: nothing is left in the
    working directory, and the second time it is entered at once.
    """
    enter(
        session(), Entry(argv, packages, suite, pure, network, locked, frozen, refresh, generation)
    )
