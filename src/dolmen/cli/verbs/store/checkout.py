"""`dolmen store checkout`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo checkout main tree
        dolmen store --repo=repo checkout --union 9b752 tree/
        dolmen store checkout -U -H --subpath=/usr/share/doc main doc
    """
)
@click.option("-U", "--user-mode", is_flag=True, help="Owners stay you; no setuid, no xattrs.")
@click.option("--subpath", metavar="PATH", help="Only this directory or file.")
@click.option("--union", is_flag=True, help="Into what is there; its files are replaced.")
@click.option("--union-add", is_flag=True, help="Into what is there; its files stay.")
@click.option("--union-identical", is_flag=True, help="Into what is there, unless files differ.")
@click.option("-H", "--require-hardlinks", is_flag=True, help="Hard links, or fail.")
@click.option("-C", "--force-copy", is_flag=True, help="Copies; changing them harms nothing.")
@click.option("-z", "--force-copy-zerosized", is_flag=True, help="Copies of empty files.")
@click.option("-M", "--bareuseronly-dirs", is_flag=True, help="Directories without setgid, sticky.")
@click.option("--whiteouts", is_flag=True, help="`.wh.NAME` deletes NAME.")
@click.option("--process-passthrough-whiteouts", is_flag=True, help="`.ostree-wh.NAME` hides NAME.")
@click.option("--skip-list", metavar="FILE", help="Paths to leave out, one a line.")
@click.option("--allow-noent", is_flag=True, help="A missing --subpath is no error.")
@click.option("--disable-cache", is_flag=True, help="Keep no uncompressed objects (mode archive).")
@click.option("--fsync", type=click.BOOL, default=False, metavar="BOOL", help="Wait for the disk.")
@click.argument("revision", metavar="COMMIT")
@click.argument("destination", metavar="[DIR]", required=False)
def command(revision: str, destination: str | None, **given: Any) -> None:
    """Write the tree of a commit into DIR (default: a directory named as the commit was)."""
    from dolmen.store.history import checkout, revisions, tree
    from dolmen.support.errors import StoreError

    skipped: tuple[str, ...] = ()
    if given["skip_list"] is not None:
        lines = Path(given["skip_list"]).read_text().splitlines()
        skipped = tuple(line for line in lines if line)
    history = storing.opened()
    checksum = revisions.resolve(history, revision)
    target = Path(destination or revision)
    current = session()
    if given["subpath"] is not None and given["allow_noent"]:
        try:
            tree.Tree(history, checksum).find(given["subpath"])
        except StoreError as error:
            if error.reason != "no-path":
                raise
            current.answer({"commit": checksum, "directory": None})
            return
    over = next(
        (
            name
            for name, wanted in (
                ("union", given["union"]),
                ("add", given["union_add"]),
                ("identical", given["union_identical"]),
            )
            if wanted
        ),
        "none",
    )
    checkout.checkout(
        history,
        checksum,
        target,
        checkout.Manner(
            over=over,
            user=given["user_mode"],
            subpath=given["subpath"],
            hard_links=given["require_hardlinks"],
            copies=given["force_copy"],
            copies_of_empty=given["force_copy_zerosized"],
            whiteouts=given["whiteouts"],
            passthrough=given["process_passthrough_whiteouts"],
            bareuseronly_dirs=given["bareuseronly_dirs"],
            cache=not given["disable_cache"],
            sync=given["fsync"],
            skipped=skipped,
        ),
    )
    current.answer({"commit": checksum, "directory": target})
