"""`dolmen store pull`."""

from __future__ import annotations

from pathlib import Path
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
@storing.pulling
@click.option("--mirror", is_flag=True, help="Write refs as they are there, not as REMOTE:REF.")
@click.option("--subpath", "subpaths", metavar="PATH", multiple=True, help="Only this part.")
@click.option("--url", metavar="URL", help="Fetch from here this time.")
@click.option("--http-trusted", "trusted", is_flag=True, help="Do not check objects' checksums.")
@click.option("-T", "--timestamp-check", "forward_only", is_flag=True, help="Refuse older commits.")
@click.option("--timestamp-check-from-rev", "since", metavar="COMMIT", help="Older than this.")
@click.option("--disable-static-deltas", is_flag=True, help="Fetch objects one by one.")
@click.option("--dry-run", is_flag=True, help="Say what deltas would bring, and fetch nothing.")
@click.option("--http-header", "headers", metavar="NAME=VALUE", multiple=True, help="Send this.")
@click.option("--append-user-agent", "agent", metavar="TEXT", help="Say more of who asks.")
@click.option(
    "-L",
    "--localcache-repo",
    "caches",
    metavar="REPO",
    multiple=True,
    help="Take from this repository what it has.",
)
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Keep summaries there.")
@click.option("--network-retries", "retries", type=click.IntRange(0), metavar="N", help="Tries.")
@click.option("--update-frequency", "frequency", type=click.IntRange(0), default=0, metavar="MS")
@click.argument("remote", metavar="REMOTE")
@click.argument("names", metavar="[REF]...", nargs=-1)
def command(remote: str, names: tuple[str, ...], **given: Any) -> None:
    """Fetch refs from a remote, with what they need; what comes is checked."""
    from dolmen.store.history import pulling

    manner = pulling.Manner(**storing.pulling_values(given))
    headers = [storing.pair(words) for words in given.pop("headers")]
    deltas = not given.pop("disable_static_deltas")
    transfer = pulling.Transfer(headers=headers, deltas=deltas, **given)
    name, colon, ref = remote.partition(":")
    wanted = names
    if colon and "/" not in name and not names:
        remote, wanted = name, (ref,)
    done = pulling.pull(storing.opened(), remote, wanted, manner, transfer)
    current = session()
    current.answer(done)
    current.say(text.sanitise(done.summary))
