"""`dolmen store prune`."""

from __future__ import annotations

from dolmen.cli.reading import Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def prune(
    current: Session,
    repository: Repository,
    *,
    refs_only: bool,
    depth: int,
    no_prune: bool,
    delete_commit: str | None,
    keep_younger_than: str | None,
    only: list[str],
    retain: list[str],
    commit_only: bool,
    deltas_only: bool,
) -> None:
    """Delete the objects that nothing needs. The store's own repository is for `dolmen gc`."""
    from dolmen.store.repo import pruning
    from dolmen.store.repo.sizes import format_size
    from dolmen.support.errors import UsageError

    if delete_commit is not None and no_prune:
        raise UsageError(
            "Cannot specify both --delete-commit and --no-prune", hint="dolmen store prune --help"
        )
    if deltas_only and delete_commit is None:
        raise UsageError(
            "--static-deltas-only requires --delete-commit", hint="dolmen store prune --help"
        )
    since = None
    if keep_younger_than is not None:
        from dolmen.support.dates import seconds

        since = seconds(keep_younger_than)
    rules = pruning.Rules(
        refs_only=refs_only,
        depth=depth,
        younger_than=since,
        only=only,
        retain=_depths(retain),
        commits_only=commit_only,
    )
    done = pruning.prune(
        repository, rules, dry_run=no_prune, delete_commit=delete_commit, deltas_only=deltas_only
    )
    current.answer(done.value())
    current.say(f"Total {'(commit only) ' if commit_only else ''}objects: {done.total}")
    if not done.pruned:
        current.say("No unreachable objects")
    elif no_prune:
        current.say(f"Would delete: {done.pruned} objects, freeing {format_size(done.freed)}")
    else:
        current.say(f"Deleted {done.pruned} objects, {format_size(done.freed)} freed")


def _depths(given: list[str]) -> dict[str, int]:
    from dolmen.support.errors import UsageError

    found = {}
    for words in given:
        name, equals, number = words.partition("=")
        if not equals:
            raise UsageError(
                f"Invalid value {words}, must specify BRANCH=DEPTH",
                hint="--retain-branch-depth=main=3",
            )
        if number != "-1" and not number.isdecimal():
            raise UsageError(f"Invalid depth {number}", hint="--retain-branch-depth=main=3")
        found[name] = int(number)
    return found


VERB = Verb(
    prune,
    examples="""
        dolmen store --repo=repo prune --refs-only
        dolmen store --repo=repo prune --refs-only --depth=2 --no-prune
        dolmen store --repo=repo prune --keep-younger-than='2 weeks ago'
    """,
    options=(
        Option("--refs-only", "refs_only", "Commits count only if a ref leads to them."),
        Option(
            "--depth", "depth", "Parents to keep; -1 for all.", metavar="N", convert=int, default=-1
        ),
        Option("--no-prune", "no_prune", "Only say what would go."),
        Option("--delete-commit", "delete_commit", "This commit first.", metavar="COMMIT"),
        Option(
            "--keep-younger-than",
            "keep_younger_than",
            "Parents from then on stay, older ones go.",
            metavar="TIME",
        ),
        Option("--only-branch", "only", "Shorten no other.", metavar="REF", many=True),
        Option(
            "--retain-branch-depth", "retain", "A depth of its own.", metavar="REF=N", many=True
        ),
        Option("--commit-only", "commit_only", "Look at commits only, and delete no other."),
        Option(
            "--static-deltas-only", "deltas_only", "With --delete-commit: only the deltas to it."
        ),
    ),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
