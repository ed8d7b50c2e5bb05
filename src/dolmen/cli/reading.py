"""Verbs of `dolmen store` that answer before click would be loaded.

Such a verb is declared once, as a `Verb`: `look` reads a command line with it, and
`storing.command_of` makes click's command of it, for help, completions, mistakes and whatever else
`look` does not understand at once. Tests type everything both ways.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from dolmen.cli.session import Session

#: Verb -> module of `cli.verbs.store` whose VERB it is.
READERS = {
    "prune": "prune",
    "export": "export",
    "fsck": "fsck",
    "cat": "cat",
    "checkout": "checkout",
    "commit": "commit",
    "diff": "diff",
    "log": "log",
    "ls": "ls",
    "refs": "refs",
    "rev-parse": "rev_parse",
    "show": "show",
    "summary": "summary",
}
_FLAGS = {"--json": "json", "-q": "quiet", "--quiet": "quiet", "--json-events": "json_events"}
_PIPE_BROKEN = 128 + 13  # SIGPIPE; the module signal costs 3 ms
_INTERRUPTED = 128 + 2


class Option:
    """One option: `names` as typed, `key` as the function's parameter is called.

    `metavar` is empty for a flag; `convert` is int or str; `many`: it may stand more than once;
    `choices`: what it may say.
    """

    __slots__ = (
        "choices",
        "convert",
        "default",
        "help",
        "key",
        "many",
        "metavar",
        "minimum",
        "names",
    )

    def __init__(
        self,
        names: str,
        key: str,
        help_: str,
        *,
        metavar: str = "",
        convert: type[int] | type[str] = str,
        minimum: int | None = None,
        many: bool = False,
        choices: Sequence[str] = (),
        default: str | int | None = None,
    ) -> None:
        self.names = tuple(names.split())
        self.key = key
        self.help = help_
        self.metavar = metavar or "|".join(choices)
        self.choices = choices
        self.convert = convert
        self.minimum = minimum
        self.many = many
        self.default = default


class Argument:
    """One argument; `count` is "1", "?", "*" or "+"."""

    __slots__ = ("count", "key", "metavar")

    def __init__(self, key: str, metavar: str, count: str = "1") -> None:
        self.key = key
        self.metavar = metavar
        self.count = count


class Verb:
    """A verb: its function gets the session, the repository and what was given, by key."""

    __slots__ = ("arguments", "examples", "function", "options")

    def __init__(
        self,
        function: Callable[..., None],
        *,
        examples: str,
        options: Sequence[Option] = (),
        arguments: Sequence[Argument] = (),
    ) -> None:
        self.function = function
        self.examples = examples
        self.options = options
        self.arguments = arguments


def look(words: Sequence[str]) -> int | None:
    """The exit code of `dolmen store WORDS`; None where click shall read them."""
    if sys.stdout is None or sys.stderr is None:
        return None
    from dolmen.cli.session import Session

    session = Session()
    repo: str | None = None
    verb: Verb | None = None
    known: Mapping[str, Option] = {}
    given: dict[str, Any] = {}
    plain: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name == "--repo":
            if not equals and not left:
                return None
            repo = value if equals else left.pop(0)
        elif word in _FLAGS and word not in known:
            setattr(session, _FLAGS[word], True)
        elif word == "--no-progress":
            session.progress = False
        elif verb is None:
            if word not in READERS:
                return None
            from importlib import import_module

            verb = import_module(f"dolmen.cli.verbs.store.{READERS[word]}").VERB
            known = {name: option for option in verb.options for name in option.names}
        elif word == "--":
            plain += left
            break
        elif word[:1] != "-" or word == "-":
            plain.append(word)
        elif not _option(known, word, left, given):
            return None
    if verb is None or not repo or not _arguments(verb, plain, given):
        return None
    for option in verb.options:
        default: Any = [] if option.many else option.default if option.metavar else False
        given.setdefault(option.key, default)
    return _answer(verb, session, repo, given)


def _option(known: Mapping[str, Option], word: str, left: list[str], given: dict[str, Any]) -> bool:
    """Read one option with its value; False: not understood."""
    name, equals, value = word.partition("=")
    if word[:2] != "--":
        name, equals, value = word[:2], word[2:3], word[2:]
        if equals and name in known and not known[name].metavar:
            # -RC: flags in one word
            if not all(f"-{c}" in known and not known[f"-{c}"].metavar for c in word[1:]):
                return False
            given.update({known[f"-{c}"].key: True for c in word[1:]})
            return True
    option = known.get(name)
    if option is None or (equals and not option.metavar):
        return False
    if not option.metavar:
        given[option.key] = True
        return True
    if not equals:
        if not left:
            return False
        value = left.pop(0)
    if option.choices and value not in option.choices:
        return False
    found: str | int = value
    if option.convert is int:
        if not value.removeprefix("-").isdecimal():
            return False
        found = int(value)
        if option.minimum is not None and found < option.minimum:
            return False
    if option.many:
        given.setdefault(option.key, []).append(found)
    else:
        given[option.key] = found
    return True


def _arguments(verb: Verb, plain: list[str], given: dict[str, Any]) -> bool:
    """Give the words to the arguments in their order; False where their number is wrong."""
    for number, argument in enumerate(verb.arguments):
        if argument.count in "*+":
            later = sum(other.count in "1+" for other in verb.arguments[number + 1 :])
            taken = plain[: max(0, len(plain) - later)]
            if argument.count == "+" and not taken:
                return False
            plain = plain[len(taken) :]
            given[argument.key] = tuple(taken)
        elif plain:
            given[argument.key] = plain.pop(0)
        elif argument.count == "1":
            return False
        else:
            given[argument.key] = None
    return not plain


def _answer(verb: Verb, session: Session, repo: str, given: dict[str, Any]) -> int:
    from dolmen.support.errors import DolmenError

    try:
        from dolmen.store.repo.repository import Repository

        verb.function(session, Repository(repo), **given)
        session.close()
        sys.stdout.flush()
        return 0
    except DolmenError as error:
        from dolmen.cli.failure import report

        return report(error, session)
    except BrokenPipeError:
        return _PIPE_BROKEN
    except KeyboardInterrupt:
        session.close()
        return _INTERRUPTED
    except OSError as error:
        from dolmen.cli.failure import from_os, report

        return report(from_os(error), session)


def lazily(verb: Verb, name: str) -> Any:
    """For a verb's module: its `command`, click's, made when somebody asks for it."""
    if name != "command":
        raise AttributeError(name)
    from dolmen.cli.storing import command_of

    return command_of(verb)


def truth(name: str, word: str) -> bool:
    """A value that is true or false, in the words of libostree and click; UsageError else."""
    from dolmen.support.errors import UsageError

    low = word.lower()
    if low in ("1", "true", "yes", "on", "t", "y"):
        return True
    if low in ("0", "false", "no", "off", "f", "n", "none"):
        return False
    raise UsageError(f"{name} is true or false, not {word[:40]!r}", hint=f"{name}=true")
