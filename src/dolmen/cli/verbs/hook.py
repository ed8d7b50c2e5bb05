"""`dolmen hook`."""

from __future__ import annotations

import sys
from importlib.resources import files

import click

from dolmen.cli.options import verb
from dolmen.support.errors import UsageError

#: Shell -> its files in data/; the sh front prints the same, without Python.
PARTS = {
    "bash": ("check.bash", "hook.bash"),
    "zsh": ("hook.zsh",),
    "fish": ("hook.fish",),
    "direnv": ("check.bash", "direnv.bash"),
}
PROMPT = {"bash": "_dolmen_prompt=yes", "zsh": "_dolmen_prompt=yes", "fish": "_dolmen_wrap_prompt"}


@verb(
    examples="""
        eval "$(dolmen hook bash)"              (in ~/.bashrc)
        eval "$(dolmen hook zsh --prompt)"      (in ~/.zshrc)
        dolmen hook fish | source               (in ~/.config/fish/config.fish)
        dolmen hook direnv >~/.config/direnv/lib/dolmen.sh
    """
)
@click.argument("shell", metavar="bash|zsh|fish|direnv", type=click.Choice(list(PARTS)))
@click.option("--prompt", is_flag=True, help="Show the environment's name before the prompt.")
def command(shell: str, prompt: bool) -> None:
    """Print the prompt hook of a shell, for its start-up file; or the library for direnv.

    With it, an environment's commands are on PATH inside its directory and below, and nowhere else.
    A directory must be allowed first: dolmen allow. For direnv, write `use dolmen` in an .envrc.
    """
    data = files("dolmen").joinpath("data")
    text = "".join(data.joinpath(name).read_text(encoding="utf-8") for name in PARTS[shell])
    if prompt:
        if shell not in PROMPT:
            raise UsageError("direnv shows no prompt", hint="dolmen hook direnv")
        text += PROMPT[shell] + "\n"
    sys.stdout.write(text)
