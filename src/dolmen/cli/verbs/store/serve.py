"""`dolmen store serve`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo serve                               (for pulls, on this machine)
        dolmen store --repo=repo serve --listen=[::]:8080 --token-file=token
        dolmen store --repo=mine push http://127.0.0.1:8080/ --token-file=token
    """
)
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    default="127.0.0.1:8080",
    help="Where (default: 127.0.0.1:8080); port 0: any that is free.",
)
@click.option("--token-file", metavar="FILE", help="Who has this may push; made if missing.")
@click.option("--ff-only", is_flag=True, help="Refs move forward only, even if the sender insists.")
@click.option("--only", metavar="PREFIX", multiple=True, help="Only refs that begin so may move.")
def command(listen: str, token_file: str | None, ff_only: bool, only: tuple[str, ...]) -> None:
    """Serve a repository over HTTP until interrupted: for pulls, and for pushes with a token.

    It speaks no TLS: on a network that is not yours alone put a web server in front of it.
    """
    from dolmen.store.history.serving import Server, make_token
    from dolmen.support.errors import UsageError

    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{listen[:80]!r} is no address", hint="--listen=127.0.0.1:8080")
    current = session()
    with Server(
        storing.repository_path(),
        (host.strip("[]"), int(port)),
        token=make_token(Path(token_file)) if token_file else None,
        forcing=not ff_only,
        only=only,
        emit=current.emit,
    ) as server:
        current.answer({"url": server.url})
        current.say(server.url)
        import sys

        sys.stdout.flush()
        server.serve_forever()
