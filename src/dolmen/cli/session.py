"""What the global options of one command line said, and what follows from them."""

from __future__ import annotations

import os
import sys

from dolmen.cli import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from dolmen.cli.progress import Listener
    from dolmen.environment.backend import Backend
    from dolmen.environment.layout import Environment
    from dolmen.support.events import Event


class Session:
    """One run of the command; filled while the options are parsed, read by the verbs.

    No dataclass: importing that module takes longer than `dolmen store cat`.
    """

    def __init__(self, *, store: Path | None = None, directory: Path | None = None) -> None:
        self.store = store
        self.directory = directory
        self.json = False
        self.json_events = False
        self.quiet = False
        self.progress = True
        self.colour = "auto"
        self._listener: Listener | None = None

    def environment(self) -> Environment:
        """The environment that `--dir` names, or the nearest one from here upwards."""
        from dolmen.environment import find_environment, open_environment

        if self.directory is not None:
            return open_environment(self.directory)
        return find_environment()

    def backend(self) -> Backend:
        """The rooms below, on the store that was named."""
        from dolmen.environment.rooms import Rooms

        return Rooms(self.store)

    def emit(self, event: Event) -> None:
        """Show an event; the listener, one for the whole run, is made for the first."""
        if self._listener is None:
            if sys.flags.no_site:
                # front.sh starts Python without Debian's packages for what only looks; bars are
                # drawn by one of them.
                import site

                site.main()
            from dolmen.cli.progress import Listener

            self._listener = Listener(
                quiet=self.quiet or (self.json and not self.json_events),
                bar=self.progress,
                as_json=self.json_events,
                colour=text.wants_colour(sys.stderr, self.colour, dict(os.environ)),
            )
        self._listener(event)

    @property
    def paints(self) -> bool:
        """Whether results on standard output are coloured."""
        return text.wants_colour(sys.stdout, self.colour, dict(os.environ))

    def close(self) -> None:
        """Take progress bars off the terminal."""
        if self._listener is not None:
            self._listener.close()

    def say(self, line: str = "") -> None:
        """Print one line of the result, unless --quiet or --json forbids it."""
        if not self.quiet and not self.json:
            text.write_line(sys.stdout, line)

    def answer(self, value: object) -> None:
        """Print the result as one line of JSON, if --json was given."""
        if self.json:
            import json

            from dolmen.cli.plain import plain

            text.write_line(sys.stdout, json.dumps(plain(value), ensure_ascii=True))
