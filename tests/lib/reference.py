"""What mmdebstrap makes of the same packages, and how two trees differ."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.model import Source
from dolmen.support.run import CLEAN_ENVIRONMENT, run


def mmdebstrap(
    suite: str, packages: Sequence[str], sources: Sequence[Source], target: Path
) -> None:
    """Build `target` as root from the same sources, without Recommends (mmdebstrap's default)."""
    stanzas = "\n".join(
        f"Types: deb\nURIs: {' '.join(s.uris)}\nSuites: {' '.join(s.suites)}\n"
        f"Components: {' '.join(s.components)}\nSigned-By: {s.signed_by}\n"
        for s in sources
    )
    done = run(
        [
            *("mmdebstrap", "--mode=root", "--variant=essential", "--format=directory"),
            *(f"--include={','.join(packages)}", '--aptopt=Acquire::Languages "none"'),
            *(suite, str(target), "-"),
        ],
        env={**CLEAN_ENVIRONMENT, "SOURCE_DATE_EPOCH": "1577836800", "HOME": "/root"},
        input=stanzas.encode(),
        timeout=900,
    )
    assert done.ok, done.stderr.decode()


@dataclass(frozen=True, slots=True)
class Difference:
    """One path: "missing" from ours, "extra" in ours, or another "kind", "mode", "target" …"""

    what: str
    path: str

    def __str__(self) -> str:
        return f"{self.what}\t{self.path}"


def differences(theirs: Path, ours: Path) -> Iterator[Difference]:
    """Compare path by path; owners are left out (environments own everything as root)."""
    left, right = _paths(theirs), _paths(ours)
    for path in sorted({*left, *right}):
        if path not in right:
            yield Difference("missing", path)
        elif path not in left:
            yield Difference("extra", path)
        else:
            yield from _compare(path, theirs / path, ours / path, left[path], right[path])


def _compare(
    path: str, theirs: Path, ours: Path, one: os.stat_result, two: os.stat_result
) -> Iterator[Difference]:
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(two.st_mode):
        yield Difference("kind", path)
        return
    if stat.S_ISLNK(one.st_mode):
        if os.readlink(theirs) != os.readlink(ours):
            yield Difference("target", path)
        return
    # Setuid and setgid bits mean nothing where one user is mapped.
    if (one.st_mode ^ two.st_mode) & 0o1777:
        yield Difference("mode", path)
    if stat.S_ISREG(one.st_mode) and (
        one.st_size != two.st_size or theirs.read_bytes() != ours.read_bytes()
    ):
        yield Difference("content", path)


def _paths(root: Path) -> dict[str, os.stat_result]:
    found: dict[str, os.stat_result] = {}
    for parent, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = Path(parent, name)
            found[str(path.relative_to(root))] = path.lstat()
    return found


@dataclass(frozen=True, slots=True)
class Permitted:
    """A line of `permitted.txt`: what, a path pattern, and the reason."""

    what: str
    pattern: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether this line permits a difference."""
        return self.what in ("any", difference.what) and fnmatch.fnmatchcase(
            difference.path, self.pattern
        )


def permitted(path: Path) -> tuple[Permitted, ...]:
    """Read the list."""
    rows = [
        re.split(r"\s{2,}", line.strip(), maxsplit=2)
        for line in path.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    return tuple(Permitted(*row) for row in rows)


def stanzas(text: str) -> dict[str, dict[str, str]]:
    """A dpkg status file by package and architecture, fields with folded white space."""
    found: dict[str, dict[str, str]] = {}
    for block in text.strip().split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line[0] in " \t":
                fields[name] += "\n" + line.strip()
            else:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        found[f"{fields['Package']}:{fields['Architecture']}"] = fields
    return found
