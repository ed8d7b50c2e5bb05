"""How the outcome of an operation looks: what changed, in one glance."""

from __future__ import annotations

from dolmen.cli import text
from dolmen.cli.session import Session
from dolmen.environment.changes import Change, Changes
from dolmen.environment.operations import Outcome

#: More lines than this are counted, not listed.
_MAX_LINES = 20


def show(outcome: Outcome, session: Session, *, verb: str = "") -> None:
    """Print an outcome as lines, or as JSON."""
    session.answer(outcome_value(outcome))
    for line in lines(outcome, colour=session.paints):
        session.say(line)


def outcome_value(outcome: Outcome) -> dict[str, object]:
    """An outcome as an object for JSON."""
    return {
        "directory": outcome.environment.directory,
        "changed": outcome.changed,
        "dry_run": outcome.dry_run,
        "packages": outcome.packages,
        "generation": outcome.generation,
        "added": outcome.changes.added,
        "removed": outcome.changes.removed,
        "updated": outcome.changes.changed,
        "download": outcome.changes.download,
        "disk": outcome.changes.disk,
        "seconds": round(outcome.seconds, 3),
    }


def lines(outcome: Outcome, *, colour: bool) -> list[str]:
    """An outcome for people."""
    found = _lines(outcome, colour=colour)
    return [*found, "Next: dolmen system build"] if outcome.system else found


def _lines(outcome: Outcome, *, colour: bool) -> list[str]:
    if not (outcome.changed or outcome.dry_run):
        where = f"generation {outcome.generation.number}" if outcome.generation else "the lock"
        return [
            f"Nothing to do: {where} has the {text.count(outcome.packages, 'package')} asked for "
            f"({text.seconds(outcome.seconds)})"
        ]
    found = change_lines(outcome.changes, colour=colour)
    summary = ", ".join(
        f"{number} {word}"
        for number, word in (
            (len(outcome.changes.added), "added"),
            (len(outcome.changes.changed), "changed"),
            (len(outcome.changes.removed), "removed"),
        )
        if number
    )
    parts = [summary] if summary else []
    if outcome.changes.download:
        parts.append(f"{text.size(outcome.changes.download)} of packages")
    if outcome.changes.disk:
        sign = "+" if outcome.changes.disk > 0 else ""
        parts.append(f"{sign}{text.size(outcome.changes.disk)} unpacked")
    head = text.count(outcome.packages, "package")
    if outcome.dry_run:
        head = f"Would be {head}"
    elif outcome.generation is not None:
        head = f"Generation {outcome.generation.number}: {head}"
    tail = f" in {text.seconds(outcome.seconds)}"
    return [*found, f"{head} ({'; '.join(parts)}){tail}" if parts else head + tail]


def change_lines(changes: Changes, *, colour: bool) -> list[str]:
    """`+ package version` for what was asked for, and how many more came or went with it."""
    requested = [c for c in changes.added if c.requested]
    found = [_line("+", "green", c, c.after, colour) for c in requested]
    found += [_line("-", "red", c, c.before, colour) for c in changes.removed if c.requested]
    found += [_line("~", "yellow", c, f"{c.before} → {c.after}", colour) for c in changes.changed]
    if len(found) > _MAX_LINES:
        found = [*found[:_MAX_LINES], f"  and {len(found) - _MAX_LINES} more"]
    others = len(changes.added) - len(requested)
    if others:
        found.append(f"  and {text.count(others, 'package')} that these need")
    return found


def _line(sign: str, style: str, change: Change, version: str | None, colour: bool) -> str:
    mark = text.paint(sign, "bold", style, colour=colour)
    return (
        text.sanitise(f"{change.name} {version}")
        if not mark
        else (f"{mark} {text.sanitise(change.name)} {text.sanitise(version or '')}")
    )
