"""The last step of `run` and `shell`: become the launcher, as the sh front does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from dolmen.cli.session import Session
from dolmen.support.errors import CommandError, DeclarationError, HostError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Entry:
    """What `run` and `shell` were asked for."""

    argv: tuple[str, ...]
    packages: tuple[str, ...]
    suite: str | None
    pure: bool
    network: bool
    locked: bool
    frozen: bool
    refresh: bool
    generation: str | None = None
    auto: bool = False
    is_run: bool = False


def options(function: F) -> F:
    """Add the options that `run` and `shell` share."""
    for option in reversed(
        [
            click.option(
                "-p",
                "--package",
                "packages",
                metavar="PACKAGE",
                multiple=True,
                help="Instead of the directory's environment: these packages (A,B), ad hoc.",
            ),
            click.option(
                "--suite", metavar="SUITE", help="The suite for -p (default: the host's)."
            ),
            click.option("--refresh", is_flag=True, help="With -p: solve again."),
            click.option(
                "--pure", is_flag=True, help="Share nothing but the working directory; no network."
            ),
            click.option("--network", is_flag=True, help="With --pure: share the network."),
            click.option("--locked", is_flag=True, help="Fail if the lock is stale."),
            click.option("--frozen", is_flag=True, help="Enter what is live; check nothing."),
            click.option(
                "--generation",
                metavar="N",
                help="Enter generation N (a number, a name, or -) without making it live.",
            ),
        ]
    ):
        function = option(function)
    return function


def enter(session: Session, entry: Entry) -> NoReturn:
    """Make the environment ready and become its launcher; does not return."""
    from dolmen.environment import ad_hoc, find_environment, prepare
    from dolmen.environment.commands import has_command
    from dolmen.environment.missing import is_extra
    from dolmen.model import parse_spec

    if entry.locked and entry.frozen:
        raise UsageError("--locked and --frozen exclude each other")
    backend = session.backend()
    if entry.generation is not None:
        if entry.packages or entry.locked or entry.frozen or entry.suite or entry.refresh:
            raise UsageError("--generation goes with no other choice of what to enter")
        from dolmen.environment.visiting import visit

        launcher = visit(
            session.environment(), entry.generation, backend=backend, emit=session.emit
        )
        session.close()
        _launch(launcher, entry)
    if entry.packages:
        if session.directory is not None or entry.locked or entry.frozen:
            raise UsageError("-p makes an environment of its own: no --dir, --locked, --frozen")
        environment = ad_hoc(
            [parse_spec(name) for package in entry.packages for name in package.split(",")],
            backend=backend,
            suite=entry.suite,
            refresh=True if entry.refresh else None,
            emit=session.emit,
        )
        mode = "frozen"
    else:
        if entry.suite is not None or entry.refresh:
            raise UsageError("--suite and --refresh go with -p", hint="dolmen install --refresh")
        if entry.auto and session.directory is None:
            try:
                find_environment()
            except DeclarationError as error:
                if error.reason != "no-environment":
                    raise
                _launch(_on_the_fly(session, entry, None), entry)
        environment = session.environment()
        mode = "locked" if entry.locked else "frozen" if entry.frozen else "warn"
    launcher = prepare(environment, backend=backend, command="sync", mode=mode, emit=session.emit)
    if _is_script(launcher, entry):
        session.close()
        _launch(launcher, entry)
    if (
        entry.argv
        and not has_command(launcher.parent / "tree", entry.argv[0])
        and not is_extra(launcher, entry.argv[0], "aliases")
    ):
        text = None if entry.packages else environment.manifest_text()
        launcher = _on_the_fly(session, entry, text)
    session.close()
    _launch(launcher, entry)


def _on_the_fly(session: Session, entry: Entry, manifest_text: str | None) -> Path:
    """With --auto: the launcher of an ad-hoc environment that has the command.

    Raises CommandError ("no-command") with the package to install, if it is clear which.
    """
    from dolmen.environment import ad_hoc, host_suite, prepare
    from dolmen.environment.missing import packages_with
    from dolmen.model import Manifest, parse_manifest, parse_spec

    command, backend = entry.argv[0], session.backend()
    if entry.auto:
        backend.make_store()
    if manifest_text is None:
        manifest = Manifest(entry.suite or host_suite())
    else:
        manifest = parse_manifest(manifest_text)
    packages = packages_with(
        command, manifest, backend=backend, fetching=entry.auto, emit=session.emit
    )
    if entry.auto and len(packages) == 1:
        specs = [parse_spec(packages[0])]
        environment = ad_hoc(specs, backend=backend, suite=manifest.suite, emit=session.emit)
        return prepare(
            environment, backend=backend, command="sync", mode="frozen", emit=session.emit
        )
    known = f"; {', '.join(packages[:8])} would bring it" if packages else ""
    if entry.packages:
        hint = f"dolmen run -p {packages[0]} -- {command}" if packages else "dolmen run --help"
    elif len(packages) == 1:
        hint = f"dolmen install {packages[0]}, or for once: dolmen run --auto {command}"
    else:
        hint = f"dolmen which {command}"
    raise CommandError(f"there is no command {command!r} in this environment{known}", hint=hint)


def _is_script(launcher: Path, entry: Entry) -> bool:
    from dolmen.environment.missing import is_extra

    return entry.is_run and bool(entry.argv) and is_extra(launcher, entry.argv[0], "scripts")


def _launch(launcher: Path, entry: Entry) -> NoReturn:
    """Become the launcher, or with the name of a script that script, which becomes the launcher."""
    argv = entry.argv
    if _is_script(launcher, entry):
        launcher, argv = launcher.parent / "scripts" / argv[0], argv[1:]
    arguments = [str(launcher)]
    arguments += ["--pure"] if entry.pure else []
    arguments += ["--network"] if entry.network else []
    _become([*arguments, "--", *argv])


def _become(argv: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these two, and what is ignored stays ignored across exec(3): `| head` would
    # then leave a command running that should have died of SIGPIPE.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(argv[0], list(argv))
    except OSError as error:
        raise HostError(
            f"cannot start the launcher: {error.strerror}",
            reason="no-launcher",
            context=argv[0],
            hint="dolmen sync",
        ) from error
