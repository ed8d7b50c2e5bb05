"""`dolmen store rev-parse`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def rev_parse(
    current: Session, repository: Repository, *, revisions: tuple[str, ...], single: bool
) -> None:
    """Print the checksum that each name stands for."""
    from dolmen.store.repo.commits import resolve, sole

    if bool(revisions) == single:
        from dolmen.support.errors import UsageError

        words = "Cannot specify arguments with --single" if single else "REV must be specified"
        raise UsageError(words, hint="dolmen store rev-parse --help")
    found = [sole(repository)] if single else [resolve(repository, name) for name in revisions]
    current.answer(found)
    for checksum in found:
        current.say(checksum)


VERB = Verb(
    rev_parse,
    examples="""
        dolmen store --repo=repo rev-parse main
        dolmen store rev-parse main~2 9b752
        dolmen store rev-parse 'main@{2 weeks ago}'
    """,
    options=(Option("-S --single", "single", "The only commit that there is."),),
    arguments=(Argument("revisions", "COMMIT...", "*"),),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
