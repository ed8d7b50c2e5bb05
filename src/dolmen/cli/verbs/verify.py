"""`dolmen verify`."""

from __future__ import annotations

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen verify                   (exit code 10 if the builds differ)
        dolmen verify --dir web --json
    """
)
def command() -> None:
    """Build the lock's image again, from its .debs alone, and compare.

    The second build has a store of its own and other conditions (path, file system, umask, host
    name, number of processors); what differs is named.
    """
    from dolmen.environment import verify
    from dolmen.support.clock import monotonic

    current = session()
    start = monotonic()
    found = verify(current.environment(), backend=current.backend(), emit=current.emit)
    current.close()
    current.answer({"reproducible": True, "image": found.first.root})
    current.say(
        f"Reproducible: two builds gave image {found.first.root[:16]}… "
        f"({text.seconds(monotonic() - start)})"
    )
