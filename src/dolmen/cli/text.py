"""Text at the output edge: made safe for terminals, sized for people, coloured when wanted."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

#: C0 (but tab and newline), DEL, C1: escape sequences of the archive's text never reach a terminal.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
#: Zero-width and bidirectional marks, which make text look like other text (CVE-2021-42574).
_DECEIVING = "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"

_COLOURS = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


def sanitise(text: str) -> str:
    """Replace what a terminal would act upon; the text stays readable."""
    # All of these, and surrogates, are not printable: long listings mostly end here.
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    import re

    text = re.sub(_DECEIVING, "", re.sub(_CONTROL, "\N{REPLACEMENT CHARACTER}", text))
    return "".join("\N{REPLACEMENT CHARACTER}" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def paint(text: str, *styles: str, colour: bool) -> str:
    """Wrap a text in SGR sequences, if colours are wanted."""
    if not colour or not text or not styles:
        return text
    return f"\x1b[{';'.join(_COLOURS[style] for style in styles)}m{text}\x1b[0m"


def wants_colour(stream: IO[str], choice: str, environ: dict[str, str]) -> bool:
    """Whether to colour: the option first, then NO_COLOR and TERM, then whether it is a terminal.

    https://no-color.org: any non-empty value counts.
    """
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal; closed ones are not."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def write_line(stream: IO[str], text: str = "") -> None:
    """Write one line, whatever the stream's encoding can show."""
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        import unicodedata

        encoding = getattr(stream, "encoding", None) or "ascii"
        plain = unicodedata.normalize("NFKD", text.replace("→", "->").replace("…", "..."))
        stream.write(plain.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def write_lines(stream: IO[str], lines: Iterable[str]) -> None:
    """Write many lines, in few system calls where the stream's encoding can show them."""
    every = list(lines)
    whole = "".join(f"{line}\n" for line in every)
    try:
        whole.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        for line in every:
            write_line(stream, line)
        return
    stream.write(whole)
    stream.flush()


def size(count: int) -> str:
    """Bytes for people: binary units, one decimal above KiB."""
    sign = "-" if count < 0 else ""
    value = float(abs(count))
    if value < 1024:
        return f"{sign}{int(value)} B"
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024 or unit == "GiB":
            break
    return f"{sign}{value:.0f} {unit}" if unit == "KiB" else f"{sign}{value:.1f} {unit}"


def seconds(duration: float) -> str:
    """A duration for people."""
    if duration < 10:
        return f"{duration:.2f} s" if duration < 1 else f"{duration:.1f} s"
    if duration < 100:
        return f"{duration:.0f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest} s"


def count(number: int, noun: str) -> str:
    """`1 package`, `2 packages`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def stdout() -> IO[str]:
    """Where results go."""
    return sys.stdout


def stderr() -> IO[str]:
    """Where everything else goes."""
    return sys.stderr
