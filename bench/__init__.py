"""Dolmen beside its peers, as whole processes: `make bench` (as root) writes docs/benchmarks.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
