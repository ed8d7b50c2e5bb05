"""`dolmen sync`."""

from __future__ import annotations

import click

from dolmen.cli.options import group_options, selection, session, verb
from dolmen.support.errors import UsageError


@verb(
    examples="""
        dolmen sync                     (after git pull)
        dolmen sync --locked            (in CI: fail with code 9 if the lock is stale)
        dolmen sync --frozen            (do not look at dolmen.toml)
        dolmen sync --group dev         (from now on with the packages of [groups.dev])
    """
)
@click.option("--locked", is_flag=True, help="Fail if the lock does not answer dolmen.toml.")
@click.option("--frozen", is_flag=True, help="Take the lock as it is, whatever dolmen.toml says.")
@group_options
def command(locked: bool, frozen: bool, groups: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Make what dolmen.lock says; never solve.

    Which groups of packages the environment has beside the packages that are everybody's is
    remembered; --group and --no-group change it.
    """
    from dolmen.cli.outcomes import show
    from dolmen.environment import is_known, sync

    if locked and frozen:
        raise UsageError("--locked and --frozen exclude each other", hint="dolmen sync --help")
    current = session()
    environment, backend = current.environment(), current.backend()
    outcome = sync(
        environment,
        backend=backend,
        command="sync",
        mode="locked" if locked else "frozen" if frozen else "warn",
        # Launchers that came with a copy of the directory are not ours.
        groups=selection(groups, without),
        anew=environment.state.exists() and not is_known(environment, backend),
        emit=current.emit,
    )
    current.close()
    show(outcome, current)
