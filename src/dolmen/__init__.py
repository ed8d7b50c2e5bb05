"""Dolmen: an immutable, declarative, reproducible Debian."""

__version__ = "0.1.0"
