"""Where the command starts: verbs are found by name and imported only when they are used."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

import click
from click.utils import PacifyFlushWrapper

from dolmen import __version__
from dolmen.cli.lazy import LazyGroup
from dolmen.cli.options import common
from dolmen.cli.session import Session
from dolmen.support.errors import DolmenError

#: Verb -> (module below cli.verbs, one line for `dolmen --help`), in the order of that help. The
#: lines stand here so that `--help` imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write a fresh dolmen.toml"),
    "install": ("install", "Add packages, solve, build, make a new generation"),
    "remove": ("remove", "Take packages out again"),
    "update": ("update", "Take the newest versions that dolmen.toml allows"),
    "upgrade": ("upgrade", "Move to another suite"),
    "lock": ("lock", "Solve again, or check that the lock answers the manifest"),
    "sync": ("sync", "Make what the lock says; never solve"),
    "run": ("run", "Run a command in the environment"),
    "shell": ("shell", "Enter the environment, or one made of packages named here"),
    "try": ("trying", "Enter a writable layer in which apt and dpkg work"),
    "keep": ("keep", "Make a generation of what was tried"),
    "drop": ("drop", "Throw away what was tried"),
    "verify": ("verify", "Build again from nothing and compare"),
    "fsck": ("fsck", "Check that the store and all environments are whole"),
    "repair": ("repair", "Mend what fsck finds, byte for byte"),
    "generations": ("generations", "List what the environment was before; names and pins"),
    "switch": ("switch", "Make another generation the live one"),
    "rollback": ("rollback", "Go back to what was live before"),
    "history": ("history", "Tell what was live when, by whom and by which command"),
    "diff": ("diff", "Compare generations: packages, files, configuration, changelogs"),
    "gc": ("gc", "Free the room that nobody needs"),
    "du": ("du", "Say how much room environments take"),
    "roots": ("roots", "List the directories that keep images in the store"),
    "config": ("config", "Read and change your settings"),
    "allow": ("allow", "Let the prompt hook and direnv load a directory"),
    "deny": ("deny", "Take that back"),
    "hook": ("hook", "Print the prompt hook of a shell, or direnv's library"),
    "completion": ("completion", "Print the completions of a shell"),
    "list": ("list", "List the environment's packages"),
    "show": ("show", "Show all about a package"),
    "search": ("search", "Search the archive by name and description"),
    "which": ("which", "Say which package brings a file or a command"),
    "why": ("why", "Say why a package is here"),
    "why-not": ("why_not", "Say what keeps a package out"),
    "tree": ("tree", "Show the tree of dependencies"),
    "schema": ("schema", "Print the JSON schema of dolmen.toml"),
    "store": ("store", "Keep trees as history: what ostree does, on any repository"),
    "system": ("system", "Build systems that boot, and change them all or nothing"),
    "doctor": ("doctor", "Try what Dolmen needs from this host"),
}

_PIPE_BROKEN = 128 + signal.SIGPIPE
_INTERRUPTED = 128 + signal.SIGINT


@click.group(
    cls=LazyGroup,
    package="dolmen.cli.verbs",
    table=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`dolmen COMMAND --help` has examples.",
)
@click.version_option(__version__, prog_name="dolmen", message="%(prog)s %(version)s")
@common
def dolmen() -> None:
    """An immutable, declarative, reproducible Debian.

    One declaration of Debian packages becomes one image, and commands run in it.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing escapes but SystemExit on signals."""
    from dolmen.cli import failure

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: `dolmen sync >&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    session = Session()
    received: list[int] = []
    try:
        with _signals(received):
            # What `ctx.exit()` said comes back as a value, nothing as None.
            code = dolmen.main(
                args=list(sys.argv[1:] if arguments is None else arguments),
                prog_name="dolmen",
                obj=session,
                standalone_mode=False,
            )
            session.close()
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        return failure.report(failure.from_click(error), session)
    except DolmenError as error:
        return failure.report(error, session)
    except BrokenPipeError:
        return _unheard()
    except SystemExit:
        # Click takes a closed pipe for itself, and would end with 1.
        if isinstance(sys.stdout, PacifyFlushWrapper):
            return _unheard()
        raise
    except (KeyboardInterrupt, click.Abort):
        session.close()
        return _INTERRUPTED
    except OSError as error:
        return failure.report(failure.from_os(error), session)
    except Exception as error:
        if received:  # whoever was interrupted made something else of it, as PyGObject does
            session.close()
            return 128 + received[-1]
        if os.environ.get("DOLMEN_DEBUG"):
            session.close()
            raise
        return failure.report(failure.from_unknown(error), session)
    finally:
        session.close()


def _unheard() -> int:
    """Nobody reads what we write; what is left in the buffer must not be tried again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_BROKEN


@contextlib.contextmanager
def _signals(received: list[int]) -> Iterator[None]:
    """Let signals unwind the stack, so that children and scratch files go with us; note them."""

    def leave(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            with contextlib.suppress(ValueError):  # not in the main thread
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
