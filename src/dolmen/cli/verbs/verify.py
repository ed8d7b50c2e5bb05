"""`dolmen verify`."""

from __future__ import annotations

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen verify
    """
)
def command() -> None:
    """Build again from nothing and compare."""
    session()
