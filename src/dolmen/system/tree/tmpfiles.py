"""The lines for tmpfiles.d that the passes collected, as one file that comes first."""

from __future__ import annotations

from dolmen.system.tree.construction import Construction

PATH = "usr/lib/tmpfiles.d/00-dolmen.conf"


def write(work: Construction) -> None:
    """Write them, a directory before what it holds.

    The name matters: of two lines for one path the first file's holds (tmpfiles.d(5)).
    """
    lines = ["# What /var begins with; written by Dolmen, from what packages have there."]
    lines += [work.tmpfiles[path] for path in sorted(work.tmpfiles, key=lambda p: p.split("/"))]
    work.write(PATH, "".join(f"{line}\n" for line in lines))
