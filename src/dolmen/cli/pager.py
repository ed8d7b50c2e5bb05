"""Long results on a terminal go through a pager, as git's do; elsewhere they are just written."""

from __future__ import annotations

import os
import sys

from dolmen.cli import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dolmen.cli.session import Session

#: As git sets it: quit if it fits one screen, keep colours, leave the screen as it is.
_LESS = "FRX"


def show(lines: Iterable[str], session: Session) -> None:
    """Print the lines of a result; paged where standard output is a terminal that they overflow.

    DOLMEN_PAGER wins over PAGER over less(1); an empty value or `cat` means none.
    """
    if session.json or session.quiet:
        return
    if not text.is_terminal(sys.stdout):
        text.write_lines(sys.stdout, lines)
        return
    import shutil

    every = list(lines)
    command = pager(dict(os.environ))
    if not command or len(every) < shutil.get_terminal_size().lines:
        text.write_lines(sys.stdout, every)
        return
    _page(every, command)


def pager(environ: dict[str, str]) -> list[str]:
    """The pager's command line, empty for none."""
    import shlex
    import shutil

    chosen = next((environ[n] for n in ("DOLMEN_PAGER", "PAGER") if n in environ), "less")
    try:
        command = shlex.split(chosen)
    except ValueError:
        return []
    if not command or command == ["cat"] or shutil.which(command[0]) is None:
        return []
    return command


def _page(lines: Iterable[str], command: list[str]) -> None:
    """Become the pager, with a child that writes into it: the terminal has one reader, ours."""
    import signal

    sys.stdout.flush()
    reading, writing = os.pipe()
    if os.fork() == 0:
        code = 0
        try:
            os.close(reading)
            encoding = sys.stdout.encoding or "ascii"
            with open(writing, "w", encoding=encoding, errors="replace") as stream:
                text.write_lines(stream, lines)
        except OSError:
            code = 1  # the reader was quit before the end
        finally:
            os._exit(code)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    os.environ.setdefault("LESS", _LESS)
    os.environ.setdefault("LV", "-c")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)
