"""`dolmen system install`: a system to a disk, or packages over the running system's image.

What is meant shows in the words: a path ("/dev/sda", "./vm.raw") is a disk, all else a package.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

#: Options whose next word is their value, not a disk.
_VALUED = frozenset({"-C", "--dir", "--store", "--color", "--seed", "--sysroot", "--os"})


class _Either(click.Command):
    """Becomes one of two commands as soon as its words are known."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the command that is meant."""
        meant = _command("install_disk" if names_disk(args) else "install_packages")
        return meant.make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """What either of them knows, for the manual and for completions."""
        found: dict[tuple[str, ...], click.Parameter] = {}
        for module in ("install_disk", "install_packages"):
            for parameter in _command(module).get_params(ctx):
                found.setdefault(tuple(parameter.opts), parameter)
        return list(found.values())


def _command(module: str) -> click.Command:
    found = import_module(f"dolmen.cli.verbs.system.{module}").command
    assert isinstance(found, click.Command)
    return found


def names_disk(words: list[str]) -> bool:
    """Whether one of the words is a path that is no option's value."""
    before = ""
    for word in words:
        is_path = word.startswith(("/", "./", "../")) and not word.endswith(".deb")
        if is_path and before not in _VALUED:
            return True
        before = word
    return False


command = _Either(
    "install",
    help="Write the system to a disk (a path), or lay packages over the image (their names).",
    epilog="""\b
Examples:
  dolmen system install /dev/sdX
  dolmen system install ./vm.raw --yes
  dolmen system install htop nginx/bookworm-backports""",
)
