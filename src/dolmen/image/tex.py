"""What TeX's maintainer scripts write that depends on the directory order or on the clock.

* `ls-R` (kpathsea's file name database) and `updmap.cfg-*` (a set of font maps) follow the order in
  which the file system gives names: both are sorted.
* `tex.fmt` keeps the time of day at which it was dumped; Knuth's engine, unlike the newer ones,
  heeds neither SOURCE_DATE_EPOCH nor FORCE_SOURCE_DATE. Its start file sets a constant one.
* Formats of the Lua engines hold hash tables in random order (#1009196); they are left out (see
  `rules`), and kpathsea makes them in the user's own tree when one is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

_START_FILE = "usr/share/texlive/texmf-dist/tex/plain/config/tex.ini"
_CONSTANT_DATE = "\\year=2020 \\month=1 \\day=1 \\time=0\n"
_MAPS = ("Map ", "MixedMap ", "KanjiMap ")


def replacements(lower: Path, files: Path) -> Iterator[tuple[Path, str]]:
    """The start file of `tex` while formats are dumped; yields what is bound where."""
    original = lower / _START_FILE
    if original.is_file():
        stand_in = files / "tex.ini"
        stand_in.write_text(_CONSTANT_DATE + original.read_text())
        yield stand_in, f"/{_START_FILE}"


def normalise(upper: Path) -> None:
    """Sort what is a set."""
    directory = upper / "var/lib/texmf"
    for name in ("ls-R", "ls-R-TEXLIVEDIST", "ls-R-TEXMFMAIN"):
        _rewrite(directory / name, sorted_file_names)
    if directory.is_dir():
        for path in sorted(directory.glob("updmap.cfg-*")):
            _rewrite(path, sorted_maps)


def sorted_file_names(text: str) -> str:
    """An ls-R database (ls -R's format) with its directories, and the names in each, in order."""
    head, *blocks = text.rstrip("\n").split("\n\n")
    listed = []
    for block in blocks:
        title, *names = block.split("\n")
        listed.append("\n".join((title, *sorted(names))))
    return "\n\n".join((head, *sorted(listed))) + "\n"


def sorted_maps(text: str) -> str:
    """An updmap.cfg whose runs of map lines are in order."""
    lines: list[str] = []
    for is_map, run in groupby(text.split("\n"), key=lambda line: line.startswith(_MAPS)):
        group = list(run)
        lines += sorted(group) if is_map else group
    return "\n".join(lines)


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    if path.is_file() and not path.is_symlink():
        path.write_text(change(path.read_text()))
