"""The listener that shows events: lines that stay, and a bar while there is a terminal to draw on.

rich is imported only when a phase on a terminal has lasted long enough to make a person wonder: it
costs more than most commands take.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from typing import TYPE_CHECKING

from dolmen.cli import text
from dolmen.support.clock import monotonic
from dolmen.support.events import (
    Event,
    Notice,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
    SlowScript,
    Waiting,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE = 0.3
_VERBS = {
    Phase.UPDATE: "Updating",
    Phase.INDEX: "Indexing",
    Phase.CONTENTS: "Indexing file names",
    Phase.DESCRIPTIONS: "Fetching descriptions",
    Phase.SOLVE: "Resolving",
    Phase.FETCH: "Fetching",
    Phase.IMPORT: "Importing",
    Phase.COMPOSE: "Composing",
    Phase.CONFIGURE: "Configuring",
    Phase.INITRAMFS: "Making initramfs",
    Phase.FINISH: "Finishing system",
    Phase.COMMIT: "Committing",
    Phase.REALISE: "Realising",
    Phase.VERIFY: "Verifying",
    Phase.COLLECT: "Collecting",
    Phase.CHECK: "Checking",
    Phase.PULL: "Pulling",
    Phase.DEPLOY: "Deploying",
    Phase.WRITE: "Writing",
}
_NOUNS = {
    Phase.UPDATE: "suite",
    Phase.COMMIT: "image",
    Phase.REALISE: "image",
    Phase.COLLECT: "thing",
    Phase.CHECK: "object",
    Phase.PULL: "object",
    Phase.DEPLOY: "deployment",
    Phase.WRITE: "disk",
}
#: Told only when they took a while; a user thinks of packages, not of these.
_INNER = (Phase.COMPOSE, Phase.COMMIT, Phase.REALISE, Phase.COLLECT, Phase.DEPLOY)
_WHILE = 0.5
_STYLES = {"note": "cyan", "hint": "cyan", "warning": "yellow"}


class Listener:
    """Shows events on standard error; safe to call from any thread.

    `quiet` shows nothing but warnings; `as_json` writes each event as a line of JSON instead.
    """

    def __init__(self, *, quiet: bool, bar: bool, as_json: bool, colour: bool) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._colour = colour
        self._bar_allowed = bar and not quiet and not as_json and text.is_terminal(sys.stderr)
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._tasks: dict[Phase, TaskID] = {}
        self._started: dict[Phase, float] = {}
        self._totals: dict[Phase, int] = {}

    def __call__(self, event: Event) -> None:
        """Show one event. A terminal that went away does not stop the work."""
        with self._lock, contextlib.suppress(OSError):
            if self._as_json:
                self._write_json(event)
            else:
                self._show(event)

    def close(self) -> None:
        """Take the bars off the terminal, for good."""
        with self._lock:
            self._bar_allowed = False
            self._clear()

    def _clear(self) -> None:
        if self._progress is not None:
            with contextlib.suppress(OSError):
                self._progress.stop()
            self._progress = None
            self._tasks.clear()

    def _show(self, event: Event) -> None:
        match event:
            case Notice():
                self._notice(event)
            case _ if self._quiet:
                pass
            case PhaseStarted(phase=phase, total=total):
                self._started[phase] = monotonic()
                self._totals[phase] = total
                self._draw(phase, 0, total, "", "")
            case PhaseProgress():
                self._progressed(event)
            case PhaseFinished():
                self._finish(event)
            case SlowScript(package=package, seconds=duration):
                took = f"  {text.sanitise(package)} took {text.seconds(duration)} to configure"
                self._line(text.paint(took, "dim", colour=self._colour))
            case Waiting(what=what):
                self._line(f"Waiting for {text.sanitise(what)}: another process is at work on it")

    def _progressed(self, event: PhaseProgress) -> None:
        total = event.total or self._totals.get(event.phase, 0)
        if event.bytes_total:
            amount = f"{text.size(event.bytes_done)} of {text.size(event.bytes_total)}"
            self._draw(event.phase, event.bytes_done, event.bytes_total, amount, event.item)
        else:
            amount = f"{event.done} of {total}" if total else str(event.done or "")
            self._draw(event.phase, event.done, total, amount, event.item)

    def _notice(self, event: Notice) -> None:
        if self._quiet and event.level != "warning":
            return
        label = text.paint(
            f"{event.level}:", "bold", _STYLES.get(event.level, "cyan"), colour=self._colour
        )
        self._line(f"{label} {text.sanitise(event.message)}")

    def _finish(self, event: PhaseFinished) -> None:
        self._started.pop(event.phase, None)
        if self._progress is not None and event.phase in self._tasks:
            self._progress.remove_task(self._tasks.pop(event.phase))
            if not self._tasks:
                self._clear()
        line = phase_line(event)
        if line:
            self._line(line)

    def _line(self, line: str) -> None:
        if self._progress is not None:
            from rich.text import Text

            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)
        else:
            text.write_line(sys.stderr, line)

    def _draw(self, phase: Phase, done: int, total: int, amount: str, item: str) -> None:
        if not self._bar_allowed:
            return
        now = monotonic()
        if self._progress is None:
            # Nothing is drawn for quick phases, so nothing flickers and rich stays unimported.
            if now - self._started.setdefault(phase, now) < _PATIENCE:
                if done == 0:
                    self._arm()
                return
            self._progress = _bars(colour=self._colour)
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(
                _VERBS[phase], total=total or None, amount="", item=""
            )
        self._progress.update(
            self._tasks[phase],
            completed=done,
            total=total or None,
            amount=amount,
            item=text.sanitise(item)[:40],
        )

    def _arm(self) -> None:
        """Look again a little later, for phases that report nothing until they end (a solve)."""
        timer = threading.Timer(_PATIENCE, self._look)
        timer.daemon = True
        timer.start()

    def _look(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._progress is None and self._started:
                phase = next(reversed(self._started))
                self._draw(phase, 0, self._totals.get(phase, 0), "", "")

    def _write_json(self, event: Event) -> None:
        from dolmen.cli.plain import plain

        value = {"event": type(event).__name__, **plain(event)}
        text.write_line(sys.stderr, json.dumps(value, ensure_ascii=True))


def phase_line(event: PhaseFinished) -> str:
    """The line that stays after a phase: `Fetched 12 packages (8.1 MiB) in 1.2 s`.

    Empty where it is no news: all was there already, or an inner step was quick.
    """
    fresh = event.count - event.cached
    if event.count and fresh <= 0:
        return ""
    if event.phase in _INNER and event.seconds < _WHILE:
        return ""
    what = text.count(fresh, _NOUNS.get(event.phase, "package"))
    line = f"{event.phase.value} {what}" if event.count else event.phase.value
    if event.size:
        line += f" ({text.size(event.size)})"
    line += f" in {text.seconds(event.seconds)}"
    if event.cached:
        line += f", {event.cached} were there already"
    return line


def _bars(*, colour: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    progress = Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[item]}", markup=False),
        console=Console(file=sys.stderr, no_color=not colour),
        transient=True,
        refresh_per_second=8,
    )
    progress.start()
    return progress
