"""`dolmen store checkout`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
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
@click.option("--selinux-policy", metavar="DIR", help="Labels by the policy of this root.")
@click.option("--selinux-prefix", metavar="PATH", help="As if all of it lay below PATH.")
@click.option("--from-file", metavar="FILE", help="COMMIT and path, each with a NUL, one by one.")
@click.option("--from-stdin", is_flag=True, help="The same from standard input.")
@click.option("--fsync", type=click.BOOL, default=True, metavar="BOOL", help="Wait for the disk.")
@click.argument("revision", metavar="COMMIT")
@click.argument("destination", metavar="[DIR]", required=False)
def command(revision: str, destination: str | None, **given: Any) -> None:
    """Write the tree of a commit into DIR (default: a directory named as the commit was)."""
    from dolmen.store.history import checkout, revisions

    skipped: tuple[str, ...] = ()
    if given["skip_list"] is not None:
        lines = Path(given["skip_list"]).read_text().splitlines()
        skipped = tuple(line for line in lines if line)
    manner = checkout.Manner(
        over=_over(**{name: given[name] for name in ("union", "union_add", "union_identical")}),
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
        selinux_policy=given["selinux_policy"],
        selinux_prefix=given["selinux_prefix"],
    )
    history = storing.opened()
    current = session()
    if given["from_file"] is not None or given["from_stdin"]:
        # The one word is the directory then, as with ostree.
        wanted = _many(None if given["from_stdin"] else given["from_file"])
        done = []
        for name, subpath in wanted:
            checksum = revisions.resolve(history, name)
            one = replace(manner, subpath=subpath)
            checkout.checkout(history, checksum, Path(revision), one)
            done.append({"commit": checksum, "directory": revision, "subpath": subpath})
        current.answer(done)
        return
    checksum = revisions.resolve(history, revision)
    target = Path(destination or revision)
    part = given["subpath"] if given["allow_noent"] else None
    if part is not None and not checkout.has_path(history, checksum, part):
        current.answer({"commit": checksum, "directory": None})
        return
    checkout.checkout(history, checksum, target, manner)
    current.answer({"commit": checksum, "directory": target})


def _over(*, union: bool, union_add: bool, union_identical: bool) -> str:
    from dolmen.support.errors import UsageError

    wanted = {"union": union, "union-add": union_add, "union-identical": union_identical}
    names = [name for name, given in wanted.items() if given]
    if len(names) > 1:
        raise UsageError(
            f"Cannot specify both --{names[0]} and --{names[1]}",
            hint="dolmen store checkout --help",
        )
    return names[0].removeprefix("union-") if names else "none"


def _many(file: str | None) -> Iterator[tuple[str, str]]:
    """Pairs of a commit and a path in it, each with a NUL after it."""
    data = sys.stdin.buffer.read() if file is None else Path(file).read_bytes()
    words = os.fsdecode(data).split("\0")
    for name, subpath in zip(words[::2], words[1::2], strict=False):
        if not name:
            return
        yield name, subpath or "/"
