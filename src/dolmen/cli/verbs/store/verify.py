"""`dolmen store verify`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo verify --keyring=vendor.gpg main
        dolmen store verify --remote=vendor vendor:stable
        dolmen store verify --keyring-dir=/etc/keys --least=2 main
    """
)
@click.option(
    "--keyring", "rings", metavar="FILE", multiple=True, help="Public keys, also armoured."
)
@click.option(
    "--keyring-dir", "directories", metavar="DIR", multiple=True, help="Its *.gpg, *.asc."
)
@click.option(
    "--gpg-homedir", "homes", metavar="DIR", multiple=True, help="GnuPG's public keyring."
)
@click.option("--remote", "remotes", metavar="NAME", multiple=True, help="The keys of a remote.")
@click.option("--key-id", "keys", metavar="KEY", multiple=True, help="This key must have signed.")
@click.option("--least", metavar="N", type=click.IntRange(1), default=1, help="So many keys (1).")
@click.argument("revision", metavar="COMMIT")
def command(
    revision: str,
    rings: tuple[str, ...],
    directories: tuple[str, ...],
    homes: tuple[str, ...],
    remotes: tuple[str, ...],
    keys: tuple[str, ...],
    least: int,
) -> None:
    """Check that a commit was signed, by a key of the keyrings named here and by no other.

    Exit code 5 where it was not; the reason says why: not-signed, key-unknown, key-expired,
    key-revoked, signature-expired, signature-bad. The tree is what `fsck` checks.
    """
    from dolmen.store.history import signing
    from dolmen.support.clock import utc_text

    done = signing.verify(
        storing.opened(),
        revision,
        signing.Trust(
            [Path(name) for name in rings],
            [Path(name) for name in directories],
            [Path(name) for name in homes],
            remotes,
        ),
        keys=keys,
        least=least,
    )
    current = session()
    current.answer(done)
    for one in done.signatures:
        when = f" of {utc_text(one.created)}" if one.created is not None else ""
        current.say(text.sanitise(f"{one.state}: {one.key}{when} {one.user}".rstrip()))
