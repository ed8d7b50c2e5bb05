"""`dolmen system publish`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen system publish /srv/www/repo debian/main --sign=you@example.org
        dolmen system publish repo debian/testing --sign=0123ABCD --gpg-homedir=keys --delta
        dolmen system publish repo debian/main --sign=you@example.org --deltas=4
    """
)
@click.option("--sign", "keys", metavar="KEY", multiple=True, help="Sign with this OpenPGP key.")
@click.option(
    "--gpg-homedir",
    "homedir",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where GnuPG keeps the secret key.",
)
@click.option("--delta", is_flag=True, help="With a static delta from what was published before.")
@click.option(
    "--deltas",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="From each of the N published before: for machines that miss some.",
)
@click.argument("repository", metavar="REPO", type=click.Path(path_type=Path))
@click.argument("ref", metavar="REF")
def command(
    repository: Path,
    ref: str,
    keys: tuple[str, ...],
    homedir: Path | None,
    delta: bool,
    deltas: int,
) -> None:
    """Put the system image of dolmen.toml and dolmen.lock where machines fetch it.

    REPO is a directory that a web server shows. Its machines have `url`, `ref` and `key` in
    [system.update], and take it by `dolmen system upgrade`.
    """
    from dolmen.store import Store
    from dolmen.store.sysroot.publishing import publish
    from dolmen.system import building
    from dolmen.system.disk.making import declared

    current = session()
    directory = current.environment().directory
    manifest, lock = declared(directory)
    store = Store.open(current.store)
    image = building.build(lock, manifest, directory, store, emit=current.emit)
    building.keep_numbers(directory, lock, image)
    done = publish(
        store.path / "repo",
        str(image.commit),
        repository.absolute(),
        ref,
        keys=keys,
        homedir=homedir,
        deltas=max(deltas, delta),
    )
    current.close()
    current.answer(done)
    if not keys:
        current.say("It is not signed: machines refuse it (--sign=KEY)")
    current.say(text.sanitise(f"{ref} is {done.commit}"))
    for source in done.deltas:
        current.say(text.sanitise(f"With a delta from {source}"))
