"""`switch`, `rollback` and what only looks, as mostly typed, without click: that costs more.

Whatever is not understood at once (an option, a mistake, --help) is left to `cli.main`, which
comes to the same result; tests type everything both ways.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dolmen.cli.session import Session
    from dolmen.model import Generation
    from dolmen.support.errors import DolmenError


def quick(arguments: Sequence[str]) -> int | None:
    """The exit code; None where click shall read the arguments."""
    words = list(arguments)
    if words[:1] == ["store"]:
        from dolmen.cli.reading import look

        return look(words[1:])
    directory = None
    if len(words) > 2 and words[0] in ("-C", "--dir"):
        directory, words = words[1], words[2:]
    if words == ["rollback"]:
        reference = None
    elif len(words) == 2 and words[0] == "switch" and _is_plain(words[1]):
        reference = words[1]
    else:
        return None
    import signal
    from pathlib import Path

    from dolmen.cli.session import Session
    from dolmen.support.errors import DolmenError

    session = Session(directory=Path(directory) if directory else None)
    try:
        from dolmen.environment.live import rollback, switch

        environment = session.environment()
        if reference is None:
            generation = rollback(environment, emit=session.emit)
        else:
            generation = switch(environment, reference, emit=session.emit)
        session.close()
        session.say(live_line(generation))
        return 0
    except DolmenError as error:
        return _report(error, session)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OSError as error:
        from dolmen.cli.failure import from_os

        return _report(from_os(error), session)


def _report(error: DolmenError, session: Session) -> int:
    from dolmen.cli.failure import report

    return report(error, session)


def live_line(generation: Generation) -> str:
    """What is said when a generation was made live."""
    name = f" ({generation.name})" if generation.name else ""
    return f"Generation {generation.number}{name} is live ({generation.packages} packages)"


def _is_plain(word: str) -> bool:
    return word == "-" or (word != "" and not word.startswith("-"))
