"""`python3 -m dolmen.system.boot`: what libostree and the machine's units call.

-o FILE      write the menu of the entries beside FILE (libostree's GRUB back end)
settle       after a change of deployments
complete     the machine has reached its target
booted       print which deployment runs
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dolmen.system.boot.booted import booted_deployment, complete
from dolmen.system.boot.generating import generate, settle


def main(argv: Sequence[str]) -> int:
    """Do one of the above; errors are the journal's to show."""
    if len(argv) == 2 and argv[0] == "-o":
        generate(Path(argv[1]))
        return 0
    if argv == ["settle"]:
        settle(Path("/"))
        return 0
    if argv == ["complete"]:
        for line in complete(Path("/")):
            sys.stderr.write(line + "\n")
        return 0
    if argv == ["booted"]:
        sys.stdout.write(booted_deployment(Path("/")) + "\n")
        return 0
    if argv == ["grow"]:
        from dolmen.system.boot.growing import grow_root

        sys.stderr.write(grow_root(Path("/sysroot")) + "\n")
        return 0
    sys.stderr.write(__doc__ or "")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
