"""Collects with one of two images needed, in a process of its own that may be killed.

python3 gc_driver.py STORE KEPT
"""

from __future__ import annotations

import sys
from pathlib import Path

from dolmen.model.digest import digest_text
from dolmen.store import Store
from dolmen.store.collect import Rules, collect
from dolmen.store.roots import Needs

if __name__ == "__main__":
    store, kept = Store.open(Path(sys.argv[1])), sys.argv[2]
    needs = Needs(keys=frozenset({digest_text(kept)}))
    with store.locked("store", shared=False):
        collect(store.path, needs, Rules(grace=-1.0), in_use=frozenset)
