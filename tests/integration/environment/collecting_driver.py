"""Installs (or collects) over and over with the fake backend on a real store.

python3 collecting_driver.py STORE DIRECTORY TIMES
python3 collecting_driver.py STORE - TIMES             (collects until it is told to stop)

What an install has made rests for a moment before it is rooted: without its lease it would be gone.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dolmen.environment import Environment, install
from dolmen.environment.collecting import Policy, collect_garbage
from dolmen.model import parse_spec
from dolmen.store import Store
from tests.lib.storing import StoreBackend


def main(store: Path, directory: str, times: int) -> None:
    if directory == "-":
        while not (store.parent / "stop").exists():
            collect_garbage(Store.open(store), Policy(keep=2, grace=0))
            time.sleep(0.02)
        return
    for number in range(1, times + 1):
        backend = StoreBackend(store)
        backend.hook = lambda step: time.sleep(0.1 if step == "register" else 0)
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
