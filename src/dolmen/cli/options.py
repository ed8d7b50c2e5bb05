"""Options that every verb knows; they may stand before or after the verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dolmen.cli.session import Session

if TYPE_CHECKING:
    from dolmen.environment.inspect.view import View
    from dolmen.environment.selecting import Selection

F = TypeVar("F", bound=Callable[..., Any])


def session() -> Session:
    """The session of the command line that is being run."""
    found = click.get_current_context().find_root().obj
    assert isinstance(found, Session)
    return found


def looked_at(current: Session, suite: str | None) -> View:
    """What a question is about: the environment here, or else a suite's archive."""
    from dolmen.environment.inspect.view import view
    from dolmen.support.errors import DeclarationError

    environment = None
    if suite is None:
        try:
            environment = current.environment()
        except DeclarationError as error:
            if error.reason != "no-environment" or current.directory is not None:
                raise
    return view(environment, backend=current.backend(), suite=suite)


def group_options(function: F) -> F:
    """Add --group and --no-group, as `groups` and `without`."""
    for option in (
        click.option(
            "--no-group",
            "without",
            metavar="GROUP",
            multiple=True,
            help="Without the packages of [groups.GROUP] from now on.",
        ),
        click.option(
            "--group",
            "groups",
            metavar="GROUP",
            multiple=True,
            help="With the packages of [groups.GROUP] from now on.",
        ),
    ):
        function = option(function)
    return function


def selection(groups: tuple[str, ...], without: tuple[str, ...]) -> Selection | None:
    """The change of groups that was asked for; None where none was."""
    from dolmen.environment.selecting import Selection

    return Selection(groups, without) if groups or without else None


def _setter(
    name: str, convert: Callable[[Any], Any] = lambda value: value
) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            root = ctx.find_root()
            if root.obj is None:
                root.obj = Session()
            setattr(root.obj, name, convert(value))

    return callback


def common(function: F) -> F:
    """Add the options that every verb knows."""
    options = [
        click.option(
            "-C",
            "--dir",
            metavar="DIR",
            callback=_setter("directory", Path),
            expose_value=False,
            help="The environment's directory (default: the nearest with a dolmen.toml).",
        ),
        click.option(
            "--store",
            metavar="DIR",
            callback=_setter("store", Path),
            expose_value=False,
            help="The store (default: DOLMEN_STORE, or the user's own).",
        ),
        click.option(
            "--json",
            is_flag=True,
            callback=_setter("json"),
            expose_value=False,
            help="Print the result as one line of JSON.",
        ),
        click.option(
            "--json-events",
            is_flag=True,
            callback=_setter("json_events"),
            expose_value=False,
            help="Print progress as lines of JSON on standard error.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            callback=_setter("quiet"),
            expose_value=False,
            help="Print errors only.",
        ),
        click.option(
            "--no-progress",
            is_flag=True,
            callback=_setter("progress", lambda value: not value),
            expose_value=False,
            help="Plain lines instead of bars.",
        ),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            callback=_setter("colour"),
            expose_value=False,
            help="When to colour (auto heeds NO_COLOR).",
        ),
    ]
    own = getattr(function, "__click_params__", [])
    function.__click_params__ = []  # type: ignore[attr-defined]
    for option in reversed(options):
        function = option(function)
    # click shows them last to first: a verb's own options belong on top.
    function.__click_params__ += own  # type: ignore[attr-defined]
    return function


def group(*, examples: str, **settings: Any) -> Callable[[Callable[..., None]], click.Group]:
    """The same for a verb with verbs of its own; alone it does what the function does."""

    def decorate(function: Callable[..., None]) -> click.Group:
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        return click.group(
            context_settings={"help_option_names": ["-h", "--help"], **settings},
            epilog=f"\b\nExamples:\n{lines}",
            invoke_without_command=True,
        )(common(function))

    return decorate


def verb(*, examples: str, **settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command of its module, with examples at the end of its help."""

    def decorate(function: Callable[..., None]) -> click.Command:
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        return click.command(
            context_settings={"help_option_names": ["-h", "--help"], **settings},
            epilog=f"\b\nExamples:\n{lines}",
        )(common(function))

    return decorate
