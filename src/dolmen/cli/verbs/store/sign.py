"""`dolmen store sign`, and as `gpg-sign` in the words of ostree."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo sign --key-id=you@example.org main
        dolmen store sign --gpg-homedir=keys --key-id=0123456789ABCDEF main
        dolmen store sign --delete --key-id=0123456789ABCDEF main
    """
)
@click.option("--key-id", "keys", metavar="KEY", multiple=True, help="Id, fingerprint or address.")
@click.option("--gpg-homedir", metavar="DIR", help="Where GnuPG keeps the secret key.")
@click.option("-d", "--delete", is_flag=True, help="Take the signatures of these keys away.")
@click.option(
    "-s",
    "--sign-type",
    metavar="NAME",
    default="gpg",
    help="gpg (default), or a way of libostree's own; Debian builds it without ed25519.",
)
@click.option("--verify", is_flag=True, help="Of such a way: check; for gpg see `verify`.")
@click.argument("revision", metavar="COMMIT")
@click.argument("more", metavar="[KEY]...", nargs=-1)
def command(
    revision: str,
    more: tuple[str, ...],
    keys: tuple[str, ...],
    gpg_homedir: str | None,
    delete: bool,
    sign_type: str,
    verify: bool,
) -> None:
    """Sign a commit with OpenPGP keys; the commit stays what it is.

    Signatures lie beside the commit, where libostree keeps them: `ostree show` lists them, and
    `pull` asks for them where a remote says gpg-verify=true.
    """
    from dolmen.store.history import signing
    from dolmen.support.errors import StoreError, UsageError

    wanted = (*keys, *more)
    if not wanted:
        raise UsageError("which key?", hint="dolmen store sign --key-id=KEY COMMIT")
    history = storing.opened()
    current = session()
    if verify or sign_type != "gpg":
        if verify:
            words = signing.verify_by(history, revision, sign_type, wanted)
            current.answer({"signature": words})
            current.say(words)
        else:
            current.answer({"checksum": signing.sign_by(history, revision, sign_type, wanted)})
        return
    if delete:
        checksum, count = signing.unsign(history, revision, wanted)
        current.answer({"checksum": checksum, "deleted": count})
        current.say(f"Signatures deleted: {count}")
        return
    checksum, new = signing.sign(
        history, revision, wanted, home=Path(gpg_homedir) if gpg_homedir else None
    )
    if not new and click.get_current_context().info_name == "gpg-sign":
        raise StoreError(
            f"Commit {checksum} is already signed with {wanted[0]}",
            reason="already-signed",
            hint=f"dolmen store show {checksum[:12]}",
        )
    current.answer({"checksum": checksum, "signed": new})
