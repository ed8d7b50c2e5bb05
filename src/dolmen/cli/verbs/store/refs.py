"""`dolmen store refs`."""

from __future__ import annotations

import click

from dolmen.cli import pager, storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo refs
        dolmen store refs --list debian/
        dolmen store refs --create=v1 main
        dolmen store refs --delete v1
    """
)
@click.option("--create", metavar="REF", help="Name a commit.")
@click.option("--force", is_flag=True, help="With --create: even if the ref names another.")
@click.option("--delete", is_flag=True, help="Take away a ref, or all below a prefix.")
@click.option("--list", "whole", is_flag=True, help="Below a prefix: whole names.")
@click.option("-A", "--alias", is_flag=True, help="Aliases: refs that name refs.")
@click.option("-r", "--revision", is_flag=True, help="With the commits.")
@click.argument("names", metavar="[PREFIX|COMMIT]...", nargs=-1)
def command(
    names: tuple[str, ...],
    create: str | None,
    force: bool,
    delete: bool,
    whole: bool,
    alias: bool,
    revision: bool,
) -> None:
    """List refs, all or those below a prefix; create and delete them."""
    from dolmen.store.history import references
    from dolmen.support.errors import UsageError

    if (delete and not names) or (create is not None and len(names) != 1):
        raise UsageError(
            "At least one PREFIX is required" if delete else "name the commit",
            hint="dolmen store refs --help",
        )
    history = storing.opened()
    current = session()
    if create is not None:
        checksum = references.create(history, create, names[0], force=force, alias=alias)
        current.answer({create: checksum})
        return
    if delete:
        gone = [name for prefix in names for name in references.delete(history, prefix)]
        current.answer(gone)
        return
    found: dict[str, str] = {}
    for prefix in names or (None,):
        for name, value in references.refs(history, prefix, aliases=alias).items():
            short = prefix is not None and not whole and name.startswith(f"{prefix}/")
            found[name[len(prefix) + 1 :] if short and prefix else name] = value
    current.answer(found)
    separator = " -> " if alias else "\t"
    lines = (
        text.sanitise(f"{name}{separator}{value}" if alias or revision else name)
        for name, value in found.items()
    )
    pager.show(lines, current)
