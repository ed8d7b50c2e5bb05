"""Installs one package with the fake backend, in a process of its own that may be killed.

python3 driver.py DIRECTORY STORE PACKAGE
"""

from __future__ import annotations

import sys
from pathlib import Path

from dolmen.environment import Environment, install
from dolmen.model import parse_spec
from tests.lib.backend import FakeBackend

if __name__ == "__main__":
    directory, store, package = sys.argv[1:]
    install(
        Environment(Path(directory)),
        [parse_spec(package)],
        backend=FakeBackend(Path(store)),
        command=f"install {package}",
        create="bookworm",
    )
