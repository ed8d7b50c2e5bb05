"""`dolmen completion`."""

from __future__ import annotations

import sys

import click

from dolmen.cli.options import verb


@verb(
    examples="""
        eval "$(dolmen completion bash)"
        dolmen completion zsh >~/.zfunc/_dolmen
        dolmen completion fish >~/.config/fish/completions/dolmen.fish
    """
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completions of a shell. The Debian package and `make install` bring them along."""
    from dolmen.cli.completing import render

    sys.stdout.write(render(shell))
