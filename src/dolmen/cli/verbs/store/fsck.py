"""`dolmen store fsck`."""

from __future__ import annotations

from dolmen.cli.reading import Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.checking import Checked
    from dolmen.store.repo.repository import Repository


def fsck(
    current: Session,
    repository: Repository,
    *,
    whole: bool,
    delete: bool,
    tombstones: bool,
    bindings: bool,
    back_refs: bool,
) -> None:
    """Check every object of every commit, on all cores; the exit code is 0 only if all is well."""
    from dolmen.store.repo import checking

    wish = checking.Wish(
        delete=delete,
        whole=whole,
        bindings=bindings,
        back_refs=back_refs,
        tombstones=tombstones,
    )
    if repository.owner is not None and (delete or tombstones):
        from pathlib import Path

        from dolmen.support.locking import locked

        lock = Path(repository.owner) / "locks" / "store"
        with locked(lock, shared=True, what="the store", emit=current.emit):
            found = _check(current, repository, wish)
    else:
        found = _check(current, repository, wish)
    _tell(current, found, all_told=whole or delete)


def _check(current: Session, repository: Repository, wish: Any) -> Checked:
    from dolmen.store.repo import checking

    progress = None
    if current.json_events or (current.progress and not current.quiet and not current.json):
        from dolmen.cli import text

        # Bars and events cost more to load than most checks take; elsewhere one line will do.
        if current.json_events or text.is_terminal(text.stderr()):
            progress = _progress(current)
    return checking.fsck(repository, wish, said=current.say, progress=progress)


def _progress(current: Session) -> Any:
    from dolmen.support.clock import monotonic
    from dolmen.support.events import Phase, PhaseFinished, PhaseProgress, PhaseStarted

    start = monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal start
        if not progress.begun:  # type: ignore[attr-defined]
            progress.begun = True  # type: ignore[attr-defined]
            current.emit(PhaseStarted(Phase.CHECK, total))
        current.emit(PhaseProgress(Phase.CHECK, done, total))
        if done == total:
            current.emit(PhaseFinished(Phase.CHECK, total, monotonic() - start))

    progress.begun = False  # type: ignore[attr-defined]
    return progress


def _tell(current: Session, found: Checked, *, all_told: bool) -> None:
    if not found.damages and not found.bad_refs:
        current.say(f"fsck objects ({found.objects}/{found.objects}) 100%")
    for checksum in found.tombstones:
        current.say(f"Adding tombstone for commit {checksum}")
    partial = found.partial + len(found.broken)
    if partial and not found.tombstones:
        current.say(f"{partial} partial commits not verified")
    if found.clean:
        current.answer(found.value())
        current.say(
            f"object fsck of {found.verified} commits completed successfully - no errors found."
        )
        return
    _fail(current, found, all_told)


def _fail(current: Session, found: Checked, all_told: bool) -> None:
    import sys

    from dolmen.cli import text
    from dolmen.support.errors import StoreError

    lines = [damage.line for damage in found.damages]
    lines += found.bad_refs
    missing = [damage for damage in found.damages if damage.missing]
    details: list[str] = []
    if found.damages and (all_told or len(missing) == len(found.damages)):
        message = "Repository corruption encountered"
        lines += [f"Marking commit as partial: {name}" for name in found.marked]
        if current.json:
            details = lines
        else:
            for line in lines:
                text.write_line(sys.stderr, text.sanitise(line))
    elif lines:
        message, details = lines[0], lines[1:]
    else:
        number = found.partial + len(found.broken)
        message = f"{number} partial commits from fsck-detected corruption"
        details = [f"commit {name}" for name in found.broken]
    raise StoreError(
        message,
        reason="object-missing" if len(missing) == len(found.damages) else "object-damaged",
        details=details,
        hint="dolmen store pull-local REPO, from one that has the objects",
    )


VERB = Verb(
    fsck,
    examples="""
        dolmen store fsck
        dolmen store --repo=repo fsck --all
        dolmen store --repo=repo fsck --delete
    """,
    options=(
        Option("-a --all", "whole", "Do not stop at the first fault."),
        Option("--delete", "delete", "Delete damaged objects; a pull brings them again."),
        Option(
            "--add-tombstones", "tombstones", "Commits without their parent leave a mark and go."
        ),
        Option(
            "--verify-bindings", "bindings", "And that commits are for the refs that name them."
        ),
        Option("--verify-back-refs", "back_refs", "And that refs name the commits made for them."),
    ),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
