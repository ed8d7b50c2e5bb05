"""`python3 -m dolmen`, and `python3 .../src/dolmen/__main__.py` from a source tree."""

import sys

if not __package__:
    import os.path

    # Isolated mode (-I) keeps the caller's PYTHONPATH out, and so a source tree must say where it
    # lies; nothing but our own directory is added.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dolmen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
