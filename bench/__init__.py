"""Dolmen and its peers side by side: the same packages, the same mirror, fresh file systems."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
