"""Tables that fit: columns as wide as they need, the last one cut where the terminal ends."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from dolmen.cli import text

_GAP = 2
_LEAST = 12

Style = Callable[[int, str], str]


def width() -> int:
    """Columns to fill: the terminal's; without one everything fits (0)."""
    if not text.is_terminal(sys.stdout):
        return 0
    import shutil

    return shutil.get_terminal_size().columns


def rows(
    cells: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    style: Style | None = None,
    limit: int | None = None,
) -> Iterator[str]:
    """Lines of a table. `right`: columns of numbers; `style(column, text)` may paint a cell.

    Cells are made safe for terminals here. `limit`: columns of the screen (None: the terminal's).
    """
    limit = width() if limit is None else limit
    clean = [[text.sanitise(cell.replace("\n", " ")) for cell in row] for row in cells]
    if not clean:
        return
    widths = [max(map(columns, column)) for column in zip(*clean, strict=True)]
    _shrink(widths, limit)
    last = len(widths) - 1
    for row in clean:
        line = ""
        for number, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            shown = cut(cell, wide) if limit else cell
            pad = " " * max(0, wide - columns(shown))
            painted = style(number, shown) if style is not None else shown
            if number in right:
                line += pad + painted
            else:
                line += painted + (pad if number != last else "")
            # a column that is empty in every row takes no room
            line += " " * _GAP if number != last and wide else ""
        yield line.rstrip()


def columns(shown: str) -> int:
    """How many columns of a terminal a text takes."""
    if shown.isascii():
        return len(shown)
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in shown
    )


def cut(shown: str, wide: int) -> str:
    """A text in at most `wide` columns; what was cut off shows as an ellipsis."""
    if columns(shown) <= wide:
        return shown
    while shown and columns(shown) > wide - 1:
        shown = shown[:-1]
    return f"{shown.rstrip()}…"


def wrapped(words: str, *, indent: str = "", limit: int | None = None) -> list[str]:
    """A paragraph in lines of the screen's width (at most 100, to stay readable)."""
    import textwrap

    wide = min(limit or width() or 80, 100)
    return textwrap.wrap(
        text.sanitise(words), max(wide, _LEAST), initial_indent=indent, subsequent_indent=indent
    )


def unicode_output() -> bool:
    """Whether standard output can show more than ASCII."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding.startswith("utf") and os.environ.get("TERM") != "linux"


def _shrink(widths: list[int], limit: int) -> None:
    """Take what is too much from the last column, then the widest; each keeps a readable rest."""
    if not limit:
        return
    over = sum(widths) + _GAP * (sum(wide > 0 for wide in widths) - 1) - limit
    for number in (len(widths) - 1, *sorted(range(len(widths)), key=lambda n: -widths[n])):
        if over <= 0:
            return
        least = min(widths[number], _LEAST)
        taken = min(over, widths[number] - least)
        widths[number] -= taken
        over -= taken
