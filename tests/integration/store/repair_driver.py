"""Repairs a store, in a process of its own that may be killed.

python3 repair_driver.py STORE POOL
"""

from __future__ import annotations

import sys
from pathlib import Path

from dolmen.environment.repairing import repair
from dolmen.model import Lock
from dolmen.store import Image, Store
from dolmen.support.events import Emit
from tests.lib.damage import build

if __name__ == "__main__":
    store, pool = Store.open(Path(sys.argv[1])), Path(sys.argv[2])

    def again(lock: Lock, spare: Store, emit: Emit) -> Image:
        return build(spare, lock, pool)

    sys.exit(0 if repair(store, build=again).whole else 7)
