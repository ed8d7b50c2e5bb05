"""`dolmen store checkout`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def write(
    current: Session,
    repository: Repository,
    *,
    revision: str,
    destination: str | None,
    **given: Any,
) -> None:
    """Write the tree of a commit into DIR (default: a directory named as the commit was)."""
    from dataclasses import replace
    from pathlib import Path

    from dolmen.store.history import checkout, revisions
    from dolmen.store.history.repository import History

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
        sync=truth("--fsync", given["fsync"]),
        skipped=skipped,
        selinux_policy=given["selinux_policy"],
        selinux_prefix=given["selinux_prefix"],
    )
    history = History.open(Path(repository.path))
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
    import os
    import sys
    from pathlib import Path

    data = sys.stdin.buffer.read() if file is None else Path(file).read_bytes()
    words = os.fsdecode(data).split("\0")
    for name, subpath in zip(words[::2], words[1::2], strict=False):
        if not name:
            return
        yield name, subpath or "/"


VERB = Verb(
    write,
    examples="""
        dolmen store --repo=repo checkout main tree
        dolmen store --repo=repo checkout --union 9b752 tree/
        dolmen store checkout -U -H --subpath=/usr/share/doc main doc
    """,
    options=(
        Option("-U --user-mode", "user_mode", "Owners stay you; no setuid, no xattrs."),
        Option("--subpath", "subpath", "Only this directory or file.", metavar="PATH"),
        Option("--union", "union", "Into what is there; its files are replaced."),
        Option("--union-add", "union_add", "Into what is there; its files stay."),
        Option("--union-identical", "union_identical", "Into what is there, unless files differ."),
        Option("-H --require-hardlinks", "require_hardlinks", "Hard links, or fail."),
        Option("-C --force-copy", "force_copy", "Copies; changing them harms nothing."),
        Option("-z --force-copy-zerosized", "force_copy_zerosized", "Copies of empty files."),
        Option("-M --bareuseronly-dirs", "bareuseronly_dirs", "No setgid, sticky, other-writable."),
        Option("--whiteouts", "whiteouts", "`.wh.NAME` deletes NAME."),
        Option(
            "--process-passthrough-whiteouts",
            "process_passthrough_whiteouts",
            "`.ostree-wh.NAME` hides NAME.",
        ),
        Option("--skip-list", "skip_list", "Paths to leave out, one a line.", metavar="FILE"),
        Option("--allow-noent", "allow_noent", "A missing --subpath is no error."),
        Option("--disable-cache", "disable_cache", "Keep no uncompressed objects (mode archive)."),
        Option("--selinux-policy", "selinux_policy", "Labels by this root's.", metavar="DIR"),
        Option("--selinux-prefix", "selinux_prefix", "As if all lay below PATH.", metavar="PATH"),
        Option(
            "--from-file",
            "from_file",
            "Commits and paths, each with a NUL; the only word is DIR then.",
            metavar="FILE",
        ),
        Option("--from-stdin", "from_stdin", "The same from standard input."),
        Option("--fsync", "fsync", "Wait for the disk.", metavar="BOOL", default="true"),
    ),
    arguments=(Argument("revision", "COMMIT"), Argument("destination", "[DIR]", "?")),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
