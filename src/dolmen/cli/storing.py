"""What the verbs of `dolmen store` share: their options, the repository, how a commit looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dolmen.cli.options import common, session
from dolmen.support.dates import seconds as seconds

if TYPE_CHECKING:
    from dolmen.cli.reading import Verb
    from dolmen.store.history.repository import History

F = TypeVar("F", bound=Callable[..., Any])
_REPO = "dolmen.store.repo"


def _remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[_REPO] = Path(value)


def options(function: F) -> F:
    """Add --repo and what every verb knows; there is no environment here, hence no -C/--dir."""
    function = common(function)
    parameters = function.__click_params__  # type: ignore[attr-defined]
    parameters[:] = [option for option in parameters if option.name != "directory"]
    parameters[:] = [option for option in parameters if "--dir" not in option.opts]
    return click.option(
        "--repo",
        metavar="PATH",
        expose_value=False,
        callback=_remember,
        help="The repository (default: the one of the store).",
    )(function)


def store_verb(*, examples: str, **settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command of its module."""

    def decorate(function: Callable[..., None]) -> click.Command:
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        return click.command(
            context_settings={"help_option_names": ["-h", "--help"], **settings},
            epilog=f"\b\nExamples:\n{lines}",
        )(options(function))

    return decorate


def command_of(verb: Verb) -> click.Command:
    """click's command for a verb that is mostly read without click."""

    def function(**given: Any) -> None:
        from dolmen.store.repo.repository import Repository

        verb.function(session(), Repository(repository_path()), **given)

    function.__doc__ = verb.function.__doc__
    for option in reversed(verb.options):
        settings: dict[str, Any] = {"help": option.help}
        if option.metavar:
            settings |= {"metavar": option.metavar, "multiple": option.many}
            if option.choices:
                settings |= {"metavar": None, "type": click.Choice(list(option.choices))}
            elif option.minimum is not None:
                settings["type"] = click.IntRange(option.minimum)
            elif option.convert is int:
                settings["type"] = int
            if option.default is not None:
                settings["default"] = option.default
        else:
            settings["is_flag"] = True
        function = click.option(*option.names, option.key, **settings)(function)
    for argument in reversed(verb.arguments):
        function = click.argument(
            argument.key,
            metavar=argument.metavar,
            nargs=-1 if argument.count in "*+" else 1,
            required=argument.count in "1+",
        )(function)
    return store_verb(examples=verb.examples)(function)


def repository_path() -> Path:
    """Where the repository lies that was named, or that of the store; the store is made for it."""
    named: Path | None = click.get_current_context().meta.get(_REPO)
    if named is not None:
        return named
    from dolmen.store import Store

    return Store.open(session().store).path / "repo"


def named_path() -> Path | None:
    """The repository that --repo named."""
    found: Path | None = click.get_current_context().meta.get(_REPO)
    return found


def opened() -> History:
    """The repository, open."""
    from dolmen.store.history.repository import History

    return History.open(repository_path())


def pair(words: str) -> tuple[str, str]:
    """`KEY=VALUE`."""
    from dolmen.support.errors import UsageError

    key, equals, value = words.partition("=")
    if not equals or not key:
        raise UsageError(
            f"Missing '=' in KEY=VALUE metadata '{words}'", hint="dolmen store commit --help"
        )
    return key, value


def pulling(function: F) -> F:
    """Add what `pull` and `pull-local` have in common; `pulling_values` reads it."""
    for decorate in reversed(
        (
            click.option("--depth", type=int, default=0, metavar="N", help="Parents; -1 for all."),
            click.option("--untrusted", is_flag=True, help="Check every object that comes."),
            click.option(
                "--bareuseronly-files", is_flag=True, help="Refuse what bare-user-only cannot keep."
            ),
            click.option("--commit-metadata-only", is_flag=True, help="Commits without trees."),
            click.option(
                "--require-static-deltas", "need_deltas", is_flag=True, help="Deltas, or fail."
            ),
            click.option("--disable-verify-bindings", is_flag=True, help="Any ref will do."),
            click.option("--per-object-fsync", "sync_each", is_flag=True, help="Sync each object."),
            click.option("--fsync", type=click.BOOL, default=True, metavar="BOOL", help="Sync."),
            click.option("--disable-fsync", is_flag=True, hidden=True),
        )
    ):
        function = decorate(function)
    return function


def pulling_values(given: dict[str, Any]) -> dict[str, Any]:
    """Take out of the options of a verb those of `pulling`, as fields of a pull's manner."""
    names = ("depth", "untrusted", "bareuseronly_files", "commit_metadata_only", "need_deltas")
    found = {name: given.pop(name) for name in (*names, "sync_each")}
    found["verify_bindings"] = not given.pop("disable_verify_bindings")
    syncing, disabled = given.pop("fsync"), given.pop("disable_fsync")
    return {**found, "sync": syncing and not disabled}
