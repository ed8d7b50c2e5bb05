"""What the two verbs that write disks share: their options, and how the result looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dolmen.cli import text
from dolmen.cli.options import session
from dolmen.cli.session import Session

if TYPE_CHECKING:
    from dolmen.system.disk.writing import DiskSummary

F = TypeVar("F", bound=Callable[..., Any])


class Size(click.ParamType):
    """A size such as 500M or 8G, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; a number of bytes passes through."""
        from dolmen.support.quantities import parse_size

        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def seed_option(function: F) -> F:
    """Add --seed."""
    return click.option(
        "--seed",
        default="",
        metavar="TEXT",
        help="Other UUIDs from the same image; the same seed gives the same bytes.",
    )(function)


def directory(current: Session) -> Path:
    """The directory that declares the system: --dir, or the nearest one with a manifest."""
    return current.environment().directory


def show(summary: DiskSummary) -> None:
    """Print what was written."""
    current = session()
    current.close()
    current.answer(
        {
            "target": summary.target,
            "form": summary.form,
            "size": summary.size,
            "written": summary.written,
            "commit": summary.commit,
            "kernel": summary.kernel,
            "root_uuid": summary.root_uuid,
            "boot_uuid": summary.boot_uuid,
            "esp_uuid": summary.esp_uuid,
            "partitions": [
                {"name": part.name, "start": part.start, "size": part.size}
                for part in summary.partitions
            ],
        }
    )
    current.say(
        f"{summary.target}: {text.size(summary.size)}, kernel {summary.kernel},"
        f" commit {summary.commit[:12]}"
    )
