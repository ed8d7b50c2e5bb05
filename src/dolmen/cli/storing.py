"""What the verbs of `dolmen store` share: their options, the repository, how a commit looks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dolmen.cli import text
from dolmen.cli.options import common, session

if TYPE_CHECKING:
    from dolmen.store.history.repository import History
    from dolmen.store.history.revisions import Commit

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


def commit_lines(commit: Commit) -> Iterator[str]:
    """A commit as `ostree log` and `ostree show` print it."""
    from dolmen.support.clock import utc_text

    yield f"commit {commit.checksum}"
    if commit.parent is not None:
        yield f"Parent:  {commit.parent}"
    yield f"ContentChecksum:  {commit.content}"
    yield f"Date:  {utc_text(commit.timestamp)}"
    if commit.version is not None:
        yield f"Version: {text.sanitise(commit.version)}"
    if commit.subject:
        yield ""
        yield f"    {text.sanitise(commit.subject)}"
    else:
        yield "(no subject)"
    yield ""
    if commit.body:
        body = commit.body.split("\n")
        yield from (f"    {text.sanitise(line)}" for line in (body if body[-1] else body[:-1]))
        yield ""


def seconds(words: str) -> int:
    """A time as seconds of UTC: `@N`, or whatever date(1) understands."""
    from dolmen.support.errors import UsageError
    from dolmen.support.run import CLEAN_ENVIRONMENT, run

    exact = re.fullmatch(r"@(\d+)", words)
    if exact:
        return int(exact[1])
    env = {**CLEAN_ENVIRONMENT, **{k: v for k, v in os.environ.items() if k == "TZ"}}
    done = run(["date", f"--date={words}", "+%s"], timeout=10, env=env)
    if not done.ok:
        raise UsageError(f"Could not parse '{words}'", hint="--timestamp='2024-01-31 12:00 +0000'")
    return int(done.stdout)


def pair(words: str) -> tuple[str, str]:
    """`KEY=VALUE`."""
    from dolmen.support.errors import UsageError

    key, equals, value = words.partition("=")
    if not equals or not key:
        raise UsageError(
            f"Missing '=' in KEY=VALUE metadata '{words}'", hint="dolmen store commit --help"
        )
    return key, value
