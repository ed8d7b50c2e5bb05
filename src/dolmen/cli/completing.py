"""Completions for bash, zsh and fish, written from the command line's own definitions.

Verbs, options and choices stand in the scripts, so that most of what is typed starts no process;
names of packages, generations and commands come from `dolmen __values` (data/values.sh), which is
plain sh. The scripts are data/completion.{bash,zsh,fish} with a table of verbs put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import click

from dolmen.sandbox.quoting import quote

#: The word that a verb's help shows for a value -> what data/values.sh or the shell offers.
KINDS = {
    "PACKAGE": "package",
    "PKG": "package",
    "N": "generation",
    "A": "generation",
    "B": "generation",
    "GENERATION": "generation",
    "TRIAL": "trial",
    "GROUP": "group",
    "SUITE": "suite",
    "COMMAND": "command",
    "DIR": "directory",
    "FILE": "file",
}
#: Verbs that speak of what is in the environment, not of what could be.
NARROWER = {
    "remove": "requested",
    "update": "installed",
    "show": "installed",
    "why": "installed",
    "tree": "installed",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its spellings, its help, and what its value is ("" for a flag)."""

    names: tuple[str, ...]
    help: str
    kind: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb; `kind` is that of its arguments, "" where it has none."""

    name: str
    help: str
    options: tuple[Option, ...]
    kind: str
    passes_on: bool


def render(shell: str) -> str:
    """The whole script of a shell."""
    verbs, general = tuple(table()), tuple(general_options())
    text = files("dolmen").joinpath(f"data/completion.{shell}").read_text(encoding="utf-8")
    rows = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](verbs, general)
    return text.replace("@TABLE@\n", "".join(f"{row}\n" for row in rows))


def table() -> Iterator[Verb]:
    """Every verb, with its own options and those that all know."""
    from dolmen.cli.main import VERBS, dolmen

    top = click.Context(dolmen, info_name="dolmen")
    for name, (_, line) in VERBS.items():
        command = dolmen.get_command(top, name)
        assert command is not None, name
        context = click.Context(command, info_name=name, parent=top)
        kinds = [
            kind(parameter, name)
            for parameter in command.get_params(context)
            if isinstance(parameter, click.Argument)
        ]
        if isinstance(command, click.Group):
            kinds = ["=" + " ".join(command.list_commands(context))]
        yield Verb(
            name,
            line,
            tuple(_options(command.get_params(context), name)),
            next((k for k in kinds if k), ""),
            not command.context_settings.get("allow_interspersed_args", True),
        )


def general_options() -> Iterator[Option]:
    """The options that stand before a verb."""
    from dolmen.cli.main import dolmen

    top = click.Context(dolmen, info_name="dolmen")
    return _options(dolmen.get_params(top), "")


def kind(parameter: click.Parameter, verb: str) -> str:
    """What a parameter's value is: a kind, or `=a b c` for a choice of these words."""
    if isinstance(parameter.type, click.Choice):
        return "=" + " ".join(parameter.type.choices)
    if isinstance(parameter.type, click.Path):
        return "file" if parameter.type.file_okay else "directory"
    words = re.findall(r"[A-Z]+", getattr(parameter, "metavar", None) or "")
    found = next((KINDS[word] for word in words if word in KINDS), "")
    if found == "package" and isinstance(parameter, click.Argument):
        return NARROWER.get(verb, found)
    return found


def _options(parameters: Iterable[click.Parameter], verb: str) -> Iterator[Option]:
    for parameter in parameters:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            names = (*parameter.opts, *parameter.secondary_opts)
            flag = parameter.is_flag or parameter.count
            value = "" if flag else kind(parameter, verb) or "any"
            yield Option(names, " ".join((parameter.help or "").split()), value)


def _bash(verbs: Sequence[Verb], general: Sequence[Option]) -> Iterator[str]:
    yield f"_dolmen_verbs={quote(' '.join(verb.name for verb in verbs))}"
    yield "_dolmen_table() {"
    yield "    case $1 in"
    rows = [("''", general, "", False)]
    rows += [(verb.name, verb.options, verb.kind, verb.passes_on) for verb in verbs]
    for name, options, argument, passes_on in rows:
        words = " ".join(word for option in options for word in option.names)
        values = "".join(
            f"{word}:{option.kind}\n" for option in options if option.kind for word in option.names
        )
        yield f"    {name})"
        yield f"        options={quote(words)}"
        yield f"        values={quote(values)}"
        yield f"        argument={quote(argument)} passes_on={'yes' if passes_on else ''}"
        yield "        ;;"
    yield "    esac"
    yield "}"


def _zsh(verbs: Sequence[Verb], general: Sequence[Option]) -> Iterator[str]:
    yield "_dolmen_verbs=("
    for verb in verbs:
        yield "    " + quote(f"{verb.name}:{verb.help}")
    yield ")"
    yield "_dolmen_table() {"
    yield "    case $1 in"
    for name, options in (("''", general), *((verb.name, verb.options) for verb in verbs)):
        yield f"    ({name})"
        yield "        specs=("
        for option in options:
            for word in option.names:
                text = re.sub(r"([\[\]:\\])", r"\\\1", option.help)
                value = f":value:{_zsh_action(option.kind)}" if option.kind else ""
                equals = "=" if option.kind and word.startswith("--") else ""
                yield "            " + quote(f"*{word}{equals}[{text}]{value}")
        yield "        )"
        yield "        ;;"
    yield "    esac"
    yield "}"
    yield "_dolmen_arguments() {"
    yield "    case $1 in"
    for verb in verbs:
        if verb.passes_on:
            yield f"    ({verb.name}) rest='(-):command: _dolmen_values command' passes_on=yes ;;"
        elif verb.kind:
            yield f"    ({verb.name}) rest={quote('*:value:' + _zsh_action(verb.kind))} ;;"
    yield "    esac"
    yield "}"


def _zsh_action(kind: str) -> str:
    if kind.startswith("="):
        return f"({kind[1:]})"
    plain = {"directory": "_files -/", "file": "_files", "any": " "}
    # A leading blank: _arguments puts no words of its own between.
    return plain.get(kind) or f" _dolmen_values {kind}"


def _fish(verbs: Sequence[Verb], general: Sequence[Option]) -> Iterator[str]:
    for verb in verbs:
        yield _fish_line("_dolmen_at ''", (), verb.name, verb.help, "")
    for option in general:
        yield _fish_line("_dolmen_at ''", option.names, "", option.help, option.kind)
    for verb in verbs:
        at = f"_dolmen_at {verb.name}"
        for option in verb.options:
            yield _fish_line(at, option.names, "", option.help, option.kind)
        if verb.passes_on:
            yield f"complete -c dolmen -n {_fish_quote(at)} -xa '(_dolmen_passed_on)'"
        elif verb.kind:
            yield _fish_line(at, (), "", "", verb.kind)


def _fish_line(at: str, names: Sequence[str], words: str, text: str, kind: str) -> str:
    parts = ["complete -c dolmen", "-n", _fish_quote(at)]
    for name in names:
        parts += ["-l" if name.startswith("--") else "-s", name.lstrip("-")]
    if words:
        parts += ["-a", _fish_quote(words)]
    elif kind.startswith("="):
        parts += ["-x", "-a", _fish_quote(kind[1:])]
    elif kind == "directory":
        parts += ["-x", "-a", "'(__fish_complete_directories)'"]
    elif kind == "file":
        parts += ["-r", "-F"]
    elif kind == "any":
        parts.append("-x")
    elif kind:
        parts += ["-x", "-a", _fish_quote(f"(_dolmen_values {kind})")]
    if text:
        parts += ["-d", _fish_quote(text)]
    return " ".join(parts)


def _fish_quote(text: str) -> str:
    """One word of fish: between single quotes it knows only \\' and \\\\."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
