"""`dolmen try`."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from dolmen.cli.options import session, verb
from dolmen.support.errors import UsageError


@verb(
    examples="""
        dolmen try                      (a shell in which apt and dpkg work)
        dolmen try -- apt-get install -y nginx-light
        dolmen try --name gcc14         (a second one, beside it)
        dolmen try --list
        dolmen keep                     (what was tried becomes a generation)
        dolmen drop                     (it never happened)
        dolmen try --commit -s "nginx, before the upgrade"
        dolmen try --resume trial/web/trial --name again
        dolmen try --export web.tar     (a file for another machine)
        dolmen try --import web.tar
    """,
    allow_interspersed_args=False,
)
@click.option("-n", "--name", metavar="TRIAL", help="Which trial (default: trial).")
@click.option("--pure", is_flag=True, help="Share the working directory, not the home.")
@click.option("--list", "listing", is_flag=True, help="List the trials and what they changed.")
@click.option("--commit", "committing", is_flag=True, help="Commit its files to a branch.")
@click.option("-b", "--branch", metavar="REF", help="Which (default: trial/DIRECTORY/TRIAL).")
@click.option("-s", "--subject", metavar="TEXT", help="With --commit: one line that says why.")
@click.option("--timestamp", metavar="TIME", help="With --commit: its date (default: now).")
@click.option("--resume", metavar="COMMIT", help="Make a trial of what was committed.")
@click.option("--export", metavar="FILE", help="Commit it, and write all of it into a tar.")
@click.option("--import", "source", metavar="FILE", help="Make a trial of such a tar.")
@click.argument("argv", metavar="[COMMAND [ARGUMENT…]]", nargs=-1, type=click.UNPROCESSED)
def command(
    argv: tuple[str, ...], name: str | None, pure: bool, listing: bool, **moving: Any
) -> None:
    """Enter a writable layer over the environment: a shell as (seeming) root, with apt and dpkg.

    The environment is not changed, whatever happens there; the layer stays until `dolmen keep` or
    `dolmen drop`, also over logout and reboot. Home and working directory are yours, for reading
    and writing; so is the network. No service is started.

    --commit keeps the files of a trial as a commit of the store, where `dolmen store` shows,
    compares, exports and pushes it; --resume goes on from there, here or wherever it was pushed to.
    These are files only: processes are not frozen, what runs in a trial must end first.
    """
    from dolmen.environment import prepare
    from dolmen.environment.trials import DEFAULT
    from dolmen.environment.trying import begin, entrance
    from dolmen.support.events import Notice

    current = session()
    environment, backend = current.environment(), current.backend()
    if listing:
        if argv or name or pure:
            raise UsageError("--list goes with nothing else", hint="dolmen try --list")
        from dolmen.cli.trials import show_list

        show_list(environment, current)
        return
    if any(moving.values()):
        from dolmen.cli.trials import move

        if argv or pure:
            raise UsageError("this goes with no command", hint="dolmen try --help")
        move(environment, current, name, moving)
        return
    prepare(environment, backend=backend, command="sync", emit=current.emit)
    trial = begin(environment, name or DEFAULT, backend=backend, emit=current.emit)
    chosen = "" if trial.name == DEFAULT else f" --name {trial.name}"
    if not argv:
        current.emit(
            Notice(
                f"trial {trial.name} on generation {trial.generation}; afterwards: "
                f"dolmen keep{chosen}, or dolmen drop{chosen}"
            )
        )
    line, fd = entrance(environment, trial, argv, backend=backend, pure=pure, emit=current.emit)
    current.close()
    _become(line, fd)


def _become(argv: list[str], held: int) -> NoReturn:
    import os
    import signal
    import sys

    from dolmen.support.errors import HostError
    from dolmen.support.run import CLEAN_ENVIRONMENT

    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, and so by its successor
        signal.signal(number, signal.SIG_DFL)
    os.set_inheritable(held, True)
    try:
        os.execvpe(argv[0], argv, dict(CLEAN_ENVIRONMENT))
    except OSError as error:
        raise HostError(
            f"cannot start {argv[0]}: {error.strerror}",
            reason="program-missing",
            hint="dolmen doctor",
        ) from error
