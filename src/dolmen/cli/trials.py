"""How trials, and what became of them, look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dolmen.cli import text
from dolmen.cli.outcomes import change_lines, lines, outcome_value
from dolmen.cli.session import Session
from dolmen.environment.changes import Changes
from dolmen.environment.keeping import Kept
from dolmen.environment.layers import FileChange, LayerChanges
from dolmen.environment.layout import Environment

_MAX_FILES = 10
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def show_list(environment: Environment, session: Session) -> None:
    """One line a trial: where it began, what it changed, whether somebody is in it."""
    from dolmen.cli import pager, table
    from dolmen.environment import layers, trials
    from dolmen.support.errors import DolmenError

    values: list[dict[str, object]] = []
    rows: list[list[str]] = []
    for name in trials.names(environment):
        try:
            trial = trials.find(environment, name)
            found = layers.changes(trial)
        except (DolmenError, OSError) as error:
            values.append({"name": name, "error": str(error)})
            rows.append([name, "", "", "", str(error)])
            continue
        running = trials.is_running(environment, name)
        values.append(
            {
                "name": name,
                "created": trial.created,
                "generation": trial.generation,
                "running": running,
                "changes": found,
            }
        )
        rows.append(
            [
                name,
                f"on generation {trial.generation}",
                trial.created.replace("T", " ").removesuffix("Z"),
                counts(found),
                "in use" if running else "",
            ]
        )
    session.answer(values)
    if not rows:
        session.say("No trials here. Begin one: dolmen try")
        return
    pager.show(table.rows(rows), session)


def counts(found: LayerChanges) -> str:
    """ "+2 -1 ~3 packages, 4 files"."""
    kinds = (("+", found.added), ("-", found.removed), ("~", found.changed))
    packages = " ".join(f"{sign}{len(changes)}" for sign, changes in kinds if changes)
    parts = [f"{packages} packages"] if packages else []
    parts += [text.count(len(found.files), "file")] if found.files else []
    return ", ".join(parts) or "nothing yet"


def show_kept(kept: Kept, session: Session) -> None:
    """Print what became a generation, and what did not."""
    session.answer(
        {
            "trial": kept.trial,
            "as_is": kept.as_is,
            "dropped": kept.dropped,
            "changes": kept.changes,
            "left_out": kept.left_out,
            **outcome_value(kept.outcome),
        }
    )
    for line in _kept_lines(kept, session.paints):
        session.say(line)


def _kept_lines(kept: Kept, colour: bool) -> Iterable[str]:
    if kept.as_is:
        found = kept.changes
        yield from change_lines(Changes(found.added, found.removed, found.changed), colour=colour)
        yield from _file_lines(found.files)
        yield lines(kept.outcome, colour=False)[-1]
        if not kept.outcome.dry_run:
            yield "It was modified by hand: dolmen.lock alone does not give this image"
        return
    yield from lines(kept.outcome, colour=colour)
    if kept.outcome.dry_run and kept.changes.files:
        yield "Files beside the packages; those that their scripts make will be made again:"
        yield from _file_lines(kept.changes.files)
    elif kept.left_out:
        chosen = f" --name {kept.trial}" if kept.trial != "trial" else ""
        yield f"Not part of it, as no package brings them ({len(kept.left_out)}):"
        yield from _file_lines(kept.left_out)
        yield f"The trial is still there; when you need nothing more of it: dolmen drop{chosen}"


def _file_lines(files: tuple[FileChange, ...]) -> Iterable[str]:
    for file in files[:_MAX_FILES]:
        note = "  (configuration)" if file.conffile else ""
        yield f"  {_SIGNS[file.what]} {text.sanitise(file.path)}{note}"
    if len(files) > _MAX_FILES:
        yield f"  and {len(files) - _MAX_FILES} more files"


def move(
    environment: Environment, session: Session, name: str | None, wanted: Mapping[str, Any]
) -> None:
    """`dolmen try` with --commit, --resume, --export or --import: trials as commits."""
    from dolmen.cli.storing import seconds
    from dolmen.environment import carrying, prepare
    from dolmen.support.errors import UsageError

    backend = session.backend()
    ways = [key for key in ("committing", "resume", "export", "source") if wanted[key]]
    if len(ways) != 1 or (wanted["subject"] and ways[0] not in ("committing", "export")):
        raise UsageError(
            "one of --commit, --resume, --export and --import; --branch and --subject go with it",
            hint="dolmen try --help",
        )
    if ways[0] in ("committing", "export"):
        done = carrying.commit_trial(
            environment,
            name,
            backend=backend,
            branch=wanted["branch"],
            subject=wanted["subject"],
            timestamp=None if wanted["timestamp"] is None else seconds(wanted["timestamp"]),
            emit=session.emit,
        )
        value = {"trial": done.trial, "branch": done.branch, "checksum": done.checksum}
        if ways[0] == "export":
            carrying.write_file(backend, done.branch, Path(wanted["export"]), emit=session.emit)
            value["file"] = wanted["export"]
        session.close()
        session.answer({**value, "changed": done.changed})
        same = "" if done.changed else " (as it was)"
        session.say(f"{done.branch}: {done.checksum}{same}")
        if ways[0] == "export":
            session.say(text.sanitise(f"written to {wanted['export']}"))
        return
    revision = wanted["resume"]
    if wanted["source"]:
        revision = carrying.read_file(
            backend, Path(wanted["source"]), wanted["branch"], emit=session.emit
        )
    prepare(environment, backend=backend, command="sync", emit=session.emit)
    trial = carrying.resume_trial(environment, revision, name, backend=backend, emit=session.emit)
    session.close()
    session.answer({"trial": trial.name, "commit": revision, "generation": trial.generation})
    chosen = "" if trial.name == "trial" else f" --name {trial.name}"
    session.say(f"trial {trial.name} goes on; enter it: dolmen try{chosen}")
