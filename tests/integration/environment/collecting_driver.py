"""Installs (or collects) over and over with the fake backend on a real store.

python3 collecting_driver.py STORE DIRECTORY TIMES     (DIRECTORY "-": collect)
"""

from __future__ import annotations

import sys
from pathlib import Path

from dolmen.environment import Environment, install
from dolmen.environment.collecting import Policy, collect_garbage
from dolmen.model import parse_spec
from dolmen.store import Store
from tests.lib.storing import StoreBackend


def main(store: Path, directory: str, times: int) -> None:
    for number in range(1, times + 1):
        if directory == "-":
            collect_garbage(Store.open(store), Policy(keep=2, grace=0))
            continue
        backend = StoreBackend(store)
        backend.store.lease()
        install(
            Environment(Path(directory)),
            [parse_spec(f"jq={number}.0")],
            backend=backend,
            command=f"install jq={number}.0",
            create="bookworm",
        )
        backend.store.release()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
