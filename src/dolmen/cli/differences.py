"""A difference as people read it: on a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dolmen.cli import table, text
from dolmen.environment.differing import (
    Difference,
    FileDifference,
    PackageDifference,
    SourceChanges,
)
from dolmen.model.changelog import ChangelogEntry

_SIGNS = {"added": "+", "removed": "-", "content": "~", "mode": "~", "kind": "~"}
_STYLES = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}
#: Sizes below this are noise, as in nix's diff-closures.
_NOISE = 8192
_MAX_ENTRIES = 30


def lines(
    found: Difference, *, files: bool, conf: bool, patch: bool, short: bool, colour: bool
) -> Iterator[str]:
    """For a terminal."""

    def heading(words: str) -> str:
        return text.paint(text.sanitise(words), "bold", colour=colour)

    yield heading(f"{found.before.label} → {found.after.label}: {summary(found)}")
    yield from table.rows(
        [_row(one, found.after.lock.architecture) for one in found.packages],
        right=(3,),
        style=lambda column, cell: (
            text.paint(cell, "bold", _STYLES.get(cell[:1], "dim"), colour=colour)
            if column == 0
            else cell
        ),
    )
    if found.cves:
        yield from table.wrapped(f"CVEs in the changelogs: {', '.join(found.cves)}")
    if found.undone_cves:
        yield from table.wrapped(f"CVEs of changes undone: {', '.join(found.undone_cves)}")
    if not short:
        for source in found.sources:
            yield from _changelog(source, heading)
    if found.files is None:
        yield "Files are not compared: both must be generations whose images are in the store"
        return
    yield f"Files: {count_files(found.files)}"
    for one in found.files:
        configuration = one.path.startswith("/etc/")
        if files or patch or configuration:
            sign = _SIGNS[one.what]
            mark = text.paint(sign, "bold", _STYLES[sign], colour=colour)
            note = "  (conffile)" if one.conffile else ""
            note += "  (another kind of file)" if one.what == "kind" else ""
            yield f"{mark} {text.sanitise(one.path)}{note}"
        if patch or (conf and configuration):
            for line in one.patch:
                style = _STYLES.get(line[:1])
                shown = text.sanitise(line)
                yield text.paint(shown, style, colour=colour) if style else shown


def markdown(found: Difference, *, files: bool) -> Iterator[str]:
    """For a pull request: a table, then what is long folded away."""
    yield f"### {_cell(found.before.label)} → {_cell(found.after.label)}: {summary(found)}"
    if found.packages:
        native = found.after.lock.architecture
        yield ""
        yield "| | package | before | after | size |"
        yield "|---|---|---|---|---:|"
        for one in found.packages:
            sign, name, _, size = _row(one, native)
            before, after = one.change.before or "", one.change.after or ""
            bold = f"**{_cell(name)}**" if one.change.requested else _cell(name)
            yield f"| {sign} | {bold} | {_cell(before)} | {_cell(after)} | {size} |"
    if found.cves:
        yield ""
        yield f"**CVEs in the changelogs:** {', '.join(found.cves)}"
    if found.undone_cves:
        yield ""
        yield f"**CVEs of changes undone:** {', '.join(found.undone_cves)}"
    for source in found.sources:
        if source.entries or source.news:
            head = f"{source.source} {source.before} → {source.after}"
            yield from _folded(head, list(_changelog(source, lambda words: words))[1:])
    if found.files is not None:
        shown = [one for one in found.files if files or one.path.startswith("/etc/")]
        listed = [f"{_SIGNS[one.what]} {text.sanitise(one.path)}" for one in shown]
        head = "Files" if files else "Configuration"
        if listed:
            yield from _folded(f"{head}: {count_files(shown)}", listed)
        patches = [text.sanitise(line) for one in shown for line in one.patch]
        if patches:
            yield from _folded("Changes of text", patches, "diff")


def summary(found: Difference) -> str:
    """`2 added, 1 changed; +3.1 MiB`."""
    changes = found.changes
    counts = (
        (len(changes.added), "added"),
        (len(changes.removed), "removed"),
        (len(changes.changed), "changed"),
    )
    parts = ", ".join(f"{number} {word}" for number, word in counts if number)
    if not parts:
        return "the same packages"
    return f"{parts}; {_delta(changes.disk)}" if changes.disk else parts


def count_files(found: Sequence[FileDifference]) -> str:
    """`12 added, 3 changed`."""
    words = {"added": 0, "removed": 0, "changed": 0}
    for one in found:
        words[one.what if one.what in words else "changed"] += 1
    return ", ".join(f"{count} {word}" for word, count in words.items() if count) or "no change"


def _row(one: PackageDifference, native: str) -> list[str]:
    change = one.change
    sign = "+" if change.before is None else "-" if change.after is None else "~"
    name = change.name
    if change.architecture not in ("all", native):
        name = f"{name}:{change.architecture}"
    versions = " → ".join(v for v in (change.before, change.after) if v is not None)
    size = _delta(one.size) if abs(one.size) >= _NOISE else ""
    return [sign, name, versions, size]


def _changelog(source: SourceChanges, heading: object) -> Iterator[str]:
    assert callable(heading)
    what = " (undone)" if source.undone else ""
    yield str(heading(f"{source.source} {source.before} → {source.after}{what}"))
    for entry in source.news:
        yield from _entry(entry, "NEWS ")
    for entry in source.entries[:_MAX_ENTRIES]:
        yield from _entry(entry, "")
    if len(source.entries) > _MAX_ENTRIES:
        yield f"  and {len(source.entries) - _MAX_ENTRIES} more versions"
    if not source.entries and not source.news:
        yield "  (its changelog has no entry in between)"


def _entry(entry: ChangelogEntry, prefix: str) -> Iterator[str]:
    urgency = f"; urgency {entry.urgency}" if entry.urgency not in ("", "low", "medium") else ""
    yield text.sanitise(f"  {prefix}{entry.version} ({entry.suites}{urgency})")
    for line in entry.lines:
        yield text.sanitise(f"    {line}") if line else ""


def _delta(size: int) -> str:
    return f"+{text.size(size)}" if size > 0 else text.size(size)


def _cell(words: str) -> str:
    """Text of packages within Markdown: nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", text.sanitise(words).replace("\n", " "))


def _folded(head: str, body: Sequence[str], language: str = "") -> Iterator[str]:
    longest = max((len(run) for line in body for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield ""
    yield f"<details><summary>{_html(head)}</summary>"
    yield ""
    yield f"{fence}{language}"
    yield from body
    yield fence
    yield ""
    yield "</details>"


def _html(words: str) -> str:
    import html

    return html.escape(text.sanitise(words))
