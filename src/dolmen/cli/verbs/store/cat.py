"""`dolmen store cat`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def cat(current: Session, repository: Repository, *, revision: str, paths: tuple[str, ...]) -> None:
    """Print files of a commit, byte for byte; links are followed within the commit."""
    import sys

    from dolmen.store.repo.commits import resolve
    from dolmen.store.repo.tree import Tree

    tree = Tree(repository, resolve(repository, revision))
    entries = [tree.follow(path) for path in paths]
    if current.json:
        import base64

        current.answer(
            {entry.path: base64.b64encode(b"".join(tree.read(entry))).decode() for entry in entries}
        )
        return
    for entry in entries:
        for piece in tree.read(entry):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


VERB = Verb(
    cat,
    examples="""
        dolmen store --repo=repo cat main server/app.sh
        dolmen store cat main^ /etc/passwd /etc/group
    """,
    arguments=(Argument("revision", "COMMIT"), Argument("paths", "PATH...", "+")),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
