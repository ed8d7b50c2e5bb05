"""`dolmen store pull`."""

from __future__ import annotations

from typing import Any

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=mine remote add origin https://example.org/repo main
        dolmen store --repo=mine pull origin
        dolmen store --repo=mine pull origin main --depth=-1
    """
)
@click.option("--depth", type=int, default=0, metavar="N", help="Parents to take; -1 for all.")
@click.option("--mirror", is_flag=True, help="Write refs as they are there, not as REMOTE:REF.")
@click.option("--subpath", "subpaths", metavar="PATH", multiple=True, help="Only this part.")
@click.option("--url", metavar="URL", help="Fetch from here this time.")
@click.option("--untrusted", is_flag=True, help="Check every object that comes.")
@click.option("--bareuseronly-files", is_flag=True, help="Refuse what bare-user-only cannot keep.")
@click.option("--commit-metadata-only", is_flag=True, help="Commits without their trees.")
@click.option("--http-trusted", "trusted", is_flag=True, help="Do not check objects' checksums.")
@click.option("-T", "--timestamp-check", "forward_only", is_flag=True, help="Refuse older commits.")
@click.option("--timestamp-check-from-rev", "since", metavar="COMMIT", help="Older than this.")
@click.option("--disable-static-deltas", is_flag=True, help="Fetch objects one by one.")
@click.option("--per-object-fsync", "sync_each", is_flag=True, help="Wait for each object.")
@click.option("--disable-fsync", is_flag=True, help="Do not wait for the disk.")
@click.argument("remote", metavar="REMOTE")
@click.argument("names", metavar="[REF]...", nargs=-1)
def command(remote: str, names: tuple[str, ...], **given: Any) -> None:
    """Fetch refs from a remote, with what they need; what comes is checked."""
    from dolmen.store.history.remotes import pull

    deltas, sync = not given.pop("disable_static_deltas"), not given.pop("disable_fsync")
    name, colon, ref = remote.partition(":")
    wanted = names
    if colon and "/" not in name and not names:
        remote, wanted = name, (ref,)
    done = pull(storing.opened(), remote, wanted, deltas=deltas, sync=sync, **given)
    current = session()
    current.answer(done)
    current.say(text.sanitise(done.summary))
