"""`dolmen store import`."""

from __future__ import annotations

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo import rootfs.tar.xz -b debian
        dolmen store import image/ -b app --image=latest --platform=linux/arm64
        dolmen store import image.oci.tar -b app
        curl … | dolmen store import - -b files --owner-uid=0 --owner-gid=0
        dolmen store import main.repo.tar                  (what export --format=repo wrote)
    """
)
@click.option("-b", "--branch", metavar="REF", help="The branch that shall name the commit.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["dir", "tar", "oci", "repo"]),
    help="What SOURCE is (default: what it looks like).",
)
@click.option("-s", "--subject", metavar="TEXT", help="One line (default: Import SOURCE).")
@click.option("-m", "--body", metavar="TEXT", help="What more there is to say.")
@click.option("--timestamp", metavar="TIME", help="Its date (default: now); @N: seconds of UTC.")
@click.option("--image", metavar="NAME", help="Which image of an OCI layout, by its name.")
@click.option("--platform", metavar="OS/ARCH", help="For what (default: this host, if several).")
@click.option("--owner-uid", type=click.IntRange(0), metavar="N", help="Owner of all files.")
@click.option("--owner-gid", type=click.IntRange(0), metavar="N", help="Group of all files.")
@click.option("--no-xattrs", is_flag=True, help="Leave extended attributes out.")
@click.option("--canonical-permissions", is_flag=True, help="0:0, 0755 or 0644, as bare-user-only.")
@click.option("--max-size", metavar="SIZE", help="Refuse what unpacks to more (default: 64G).")
@click.option("--force", is_flag=True, help="Of a repository: even if refs leave commits behind.")
@click.argument("source", metavar="SOURCE")
def command(
    source: str,
    branch: str | None,
    kind: str | None,
    subject: str | None,
    body: str | None,
    timestamp: str | None,
    image: str | None,
    platform: str | None,
    owner_uid: int | None,
    owner_gid: int | None,
    no_xattrs: bool,
    canonical_permissions: bool,
    max_size: str | None,
    force: bool,
) -> None:
    """Commit what others made: a directory, a tar (also compressed), an image of containers (OCI).

    Nothing of it is believed: paths that leave the tree or lead through links, digests that do not
    fit and more bytes than --max-size are refused, and then nothing has changed. Devices, sockets
    and pipes are left out, and told.
    """
    from dolmen.store.history import importing
    from dolmen.store.history.intake import Rules
    from dolmen.support.events import Notice

    done = importing.import_tree(
        storing.opened(),
        importing.Incoming(
            source,
            kind,
            Rules(owner_uid, owner_gid, not no_xattrs, canonical_permissions),
            image,
            platform,
            importing.LIMIT if max_size is None else _size(max_size),
        ),
        branch,
        subject=subject,
        body=body,
        timestamp=None if timestamp is None else storing.seconds(timestamp),
        force=force,
    )
    current = session()
    current.answer(done)
    for words, paths in (
        ("left out", done.taken.skipped),
        ("with privileges", done.taken.privileged),
    ):
        for path in paths:
            current.emit(Notice(text.sanitise(f"{words}: {path}")))
    for name, checksum in done.refs:
        current.say(text.sanitise(f"{name}: {checksum}"))
    if not done.refs:
        current.say(done.checksum)


def _size(words: str) -> int:
    from dolmen.support.errors import UsageError
    from dolmen.support.quantities import parse_size

    try:
        return parse_size(words)
    except ValueError as error:
        raise UsageError(str(error), hint="--max-size=10G") from None
