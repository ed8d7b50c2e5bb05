"""`dolmen run`."""

from __future__ import annotations

import click

from dolmen.cli.entering import Entry, enter, options
from dolmen.cli.options import session, verb
from dolmen.support.errors import UsageError


@verb(
    examples="""
        dolmen run -- python3 -c 'print("hello")'
        dolmen run test -x                  (the script "test" of dolmen.toml)
        dolmen run --dir web -- npm test
        dolmen run --pure -- make           (nothing of the host but this directory)
        dolmen run -p python3,python3-requests -- python3
        dolmen run --auto cowsay hello      (from whichever package brings it)
    """,
    allow_interspersed_args=False,
)
@options
@click.option(
    "--auto", is_flag=True, help="If the command is missing, run it ad hoc from its package."
)
@click.argument("argv", metavar="COMMAND [ARGUMENT…]", nargs=-1, type=click.UNPROCESSED)
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
    auto: bool,
) -> None:
    """Run a script of dolmen.toml or a command in the environment; its exit code becomes ours.

    A script of that name comes first, with further arguments appended and in the directory of
    dolmen.toml; a command of the same name is reached by its path.

    The image is read-only; home, working directory, /tmp, network, terminal and display are the
    host's, unless --pure. Write -- before a command whose own options should not be taken for ours.
    Nothing is ever installed by this: a command that is missing is an error (127) that names its
    package, and with --auto it is run from an environment of its own.
    """
    if not argv:
        raise UsageError("run needs a command", hint="dolmen run -- COMMAND, or: dolmen shell")
    entry = Entry(
        argv,
        packages,
        suite,
        pure,
        network,
        locked,
        frozen,
        refresh,
        generation,
        auto=auto,
        is_run=True,
    )
    enter(session(), entry)
