"""`dolmen store refs`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def refs(
    current: Session,
    repository: Repository,
    *,
    names: tuple[str, ...],
    create: str | None,
    force: bool,
    delete: bool,
    whole: bool,
    alias: bool,
    collections: bool,
    revision: bool,
) -> None:
    """List refs, all or those below a prefix; create and delete them."""
    if delete or create is not None:
        _change(current, repository, names, create, force, delete, alias, collections)
        return
    from dolmen.cli import pager, text
    from dolmen.store.repo import refs as reading

    lines = []
    if collections:
        rows = []
        for prefix in names or (None,):
            for (owner, name), value in reading.collections(repository, prefix).items():
                rows.append({"collection": owner, "ref": name, "commit": value})
                lines.append(f"({owner}, {name})" + (f"\t{value}" if revision else ""))
        current.answer(rows)
    else:
        found: dict[str, str] = {}
        for prefix in names or (None,):
            listed = reading.listed(repository, prefix, aliases=alias)
            short = prefix is not None and not whole and not alias
            for name, value in listed.items():
                found[_below(prefix or "", name) if short else name] = value
        current.answer(found)
        separator = " -> " if alias else "\t"
        for name, value in found.items():
            lines.append(f"{name}{separator}{value}" if alias or revision else name)
    pager.show([text.sanitise(line) for line in lines], current)


def _below(prefix: str, name: str) -> str:
    """A ref's name without the prefix that was asked for, the remote before it left there."""
    remote, colon, rest = name.rpartition(":")
    head = f"{prefix.rpartition(':')[2].rstrip('/')}/"
    return remote + colon + rest.removeprefix(head)


def _change(
    current: Session,
    repository: Repository,
    names: tuple[str, ...],
    create: str | None,
    force: bool,
    delete: bool,
    alias: bool,
    collections: bool,
) -> None:
    from pathlib import Path

    from dolmen.store.history import references
    from dolmen.store.history.repository import History
    from dolmen.support.errors import UsageError

    if (delete and not names) or (create is not None and len(names) != 1):
        raise UsageError(
            "At least one PREFIX is required when deleting refs"
            if delete
            else "You must specify only 1 existing ref when creating a new ref",
            hint="dolmen store refs --help",
        )
    history = History.open(Path(repository.path))
    if create is not None:
        way = references.create_in_collection if collections else references.create
        checksum = way(history, create, names[0], force=force, alias=alias)
        current.answer({create: checksum})
        return
    take = references.delete_collection if collections else references.delete
    current.answer([name for prefix in names for name in take(history, prefix)])


VERB = Verb(
    refs,
    examples="""
        dolmen store --repo=repo refs
        dolmen store refs --list debian/
        dolmen store refs --create=v1 main
        dolmen store refs --delete v1
    """,
    options=(
        Option("--create", "create", "Name a commit.", metavar="REF"),
        Option("--force", "force", "With --create: even if the ref names another."),
        Option("--delete", "delete", "Take away a ref, or all below a prefix."),
        Option("--list", "whole", "Below a prefix: whole names."),
        Option("-A --alias", "alias", "Aliases: refs that name refs."),
        Option("-c --collections", "collections", "Refs of collections: (COLLECTION, REF)."),
        Option("-r --revision", "revision", "With the commits."),
    ),
    arguments=(Argument("names", "[PREFIX|COMMIT]...", "*"),),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
