"""Generate the man page and the shells' completions from the command line's own definitions.

Usage: /usr/bin/python3 scripts/generate.py DIRECTORY (laid out like /usr/share).
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))
sys.dont_write_bytecode = True

import click  # noqa: E402

from dolmen import __version__  # noqa: E402
from dolmen.cli import completing  # noqa: E402
from dolmen.cli.main import dolmen  # noqa: E402
from dolmen.support import errors  # noqa: E402

PLACES = {
    "bash-completion/completions/dolmen": "bash",
    "zsh/vendor-completions/_dolmen": "zsh",
    "fish/vendor_completions.d/dolmen.fish": "fish",
}
#: What the sh front prints or runs without Python (`dolmen hook`, completions), beside each other.
PARTS = ("check.bash", "hook.bash", "hook.zsh", "hook.fish", "direnv.bash", "values.sh")


def roff(text: str) -> str:
    """Text for a man page: nothing in it is a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", text)


def bold_code(text: str) -> str:
    """Roff of a text whose `code` becomes bold."""
    parts = re.split(r"`([^`]*)`", text)
    return "".join(f"\\fB{roff(p)}\\fR" if n % 2 else roff(p) for n, p in enumerate(parts))


def paragraphs(help_text: str) -> Iterator[str]:
    """A help text as click reads it: blank lines part paragraphs, \\b keeps lines as they are."""
    for paragraph in inspect.cleandoc(help_text).split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            kept = paragraph.split("\b", 1)[1].strip("\n")
            yield f".PP\n.nf\n{roff(kept)}\n.fi"
        else:
            yield f".PP\n{bold_code(' '.join(paragraph.split()))}"


def options(context: click.Context) -> Iterator[str]:
    """The options of one command, as a list of terms; those that all verbs know only once."""
    general = {tuple(parameter.opts) for parameter in dolmen.get_params(context)}
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if context.parent and tuple(parameter.opts) in general | {("-h", "--help")}:
            continue
        if record is not None:
            yield f".TP\n\\fB{roff(record[0])}\\fR\n{bold_code(record[1]) or roff('(no help)')}"


def commands() -> Iterator[tuple[click.Context, click.Command]]:
    """Every verb with the context it is typed in."""
    top = click.Context(dolmen, info_name="dolmen")
    for name in dolmen.list_commands(top):
        command = dolmen.get_command(top, name)
        assert command is not None, name
        yield click.Context(command, info_name=name, parent=top), command
        if isinstance(command, click.Group):
            for part in command.list_commands(top):
                inner = command.get_command(top, part)
                assert inner is not None, part
                yield click.Context(inner, info_name=f"{name} {part}", parent=top), inner


def exit_codes() -> list[tuple[int, str]]:
    """Exit codes and what they say, from the classes of errors."""
    classes = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.DolmenError)
    ]
    found = [(c.exit_code, (c.__doc__ or "").split("\n")[0]) for c in classes]
    found.append((0, "It worked."))
    found.append((130, "Interrupted."))
    return sorted(found)


def man_page() -> str:
    """dolmen(1)."""
    top = click.Context(dolmen, info_name="dolmen")
    lines = [
        f'.TH DOLMEN 1 "" "Dolmen {__version__}" "User Commands"',
        ".SH NAME",
        "dolmen \\- an immutable, declarative, reproducible Debian",
        ".SH SYNOPSIS",
        f"\\fBdolmen\\fR {roff(' '.join(dolmen.collect_usage_pieces(top)))}",
        ".SH DESCRIPTION",
        *paragraphs(dolmen.help or ""),
        ".SH OPTIONS",
        *options(top),
        ".SH COMMANDS",
    ]
    for context, command in commands():
        usage = " ".join(command.collect_usage_pieces(context))
        lines.append(f".SS \\fBdolmen {roff(context.info_name or '')}\\fR {roff(usage)}")
        lines += [*paragraphs(command.help or ""), *options(context)]
        lines += paragraphs(command.epilog or "")
    lines.append(".SH EXIT STATUS")
    lines += [f".TP\n\\fB{code}\\fR\n{roff(text)}" for code, text in exit_codes()]
    lines.append(".PP\n\\fBdolmen run\\fR and \\fBdolmen shell\\fR pass on their command's own.")
    lines += [
        ".SH ENVIRONMENT",
        ".TP\n\\fBDOLMEN_STORE\\fR\nThe store's directory.",
        ".TP\n\\fBDOLMEN_CONFIG\\fR\nThe file with your settings (see \\fBdolmen config\\fR).",
        ".TP\n\\fBNO_COLOR\\fR\nNo colours, whatever its value.",
        ".SH FILES",
        ".TP\n\\fIdolmen.toml\\fR, \\fIdolmen.lock\\fR\nThe manifest and the lock.",
        ".TP\n\\fI/var/lib/dolmen\\fR, \\fI~/.local/share/dolmen\\fR\n"
        "The store of root, and of an ordinary user.",
        ".SH SEE ALSO",
        "apt(8), bwrap(1), ostree(1), sources.list(5)",
    ]
    return "\n".join(lines) + "\n"


def generate(target: Path) -> None:
    """Write all files below `target`, which is laid out like /usr/share."""
    for place, shell in PLACES.items():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(completing.render(shell))
    parts = target / "dolmen"
    parts.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        shutil.copyfile(ROOT / "src/dolmen/data" / name, parts / name)
    path = target / "man/man1/dolmen.1"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(man_page())


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
