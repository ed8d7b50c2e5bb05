"""A group of verbs of which only the one that is typed gets imported."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """`table`: verb -> (module below `package`, one line of help), in the order of the help.

    The lines stand in the table, so that `--help` imports no verb either.
    """

    def __init__(
        self, *args: Any, package: str, table: Mapping[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        found = self._table.get(cmd_name)
        if found is None:
            return None
        command = import_module(f"{self._package}.{found[0]}").command
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        if not self._table:
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; a misspelt one is answered by the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], self._table, n=1)
            raise click.UsageError(
                f"there is no command {args[0][:40]!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                ctx,
            ) from None
