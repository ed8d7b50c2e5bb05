"""Groups of verbs: only the one that is typed gets imported; its options may stand before it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class VerbFirst(click.Group):
    """A group where the options of a verb may stand before it: `store --depth=1 pull origin`.

    As with `ostree`, an option whose value is a word of its own (`--depth 1`) must be one that
    the group itself knows, since the next word would be taken for the verb.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move what stands before the verb behind it, where the verb reads it."""
        valued = {
            name
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and not option.is_flag and not option.count
            for name in option.opts
        }
        place = 0
        while place < len(args) and args[place].startswith("-") and args[place] != "--":
            place += 2 if args[place] in valued else 1
        if 0 < place < len(args) and args[place] in self.list_commands(ctx):
            args = [args[place], *args[:place], *args[place + 1 :]]
        return super().parse_args(ctx, args)


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
