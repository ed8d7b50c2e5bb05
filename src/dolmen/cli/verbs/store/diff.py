"""`dolmen store diff`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.differing import Difference, Side
    from dolmen.store.repo.repository import Repository


def diff(
    current: Session,
    repository: Repository,
    *,
    before: str,
    after: str | None,
    as_patch: bool,
    stats: bool,
    fs_diff: bool,
    no_xattrs: bool,
    owner_uid: int | None,
    owner_gid: int | None,
) -> None:
    """Compare two commits, or a commit and its parent: M changed, D deleted, A added.

    A or B may be a directory on disk: begin it with / or ./ (it is compared as it would be
    committed).
    """
    from dolmen.cli import pager, text
    from dolmen.store.repo import differing

    if after is None:
        before, after = f"{before}^", before
    lines: list[str] = []
    if not stats or fs_diff or as_patch:
        one, two, found = differing.compare(
            repository, before, after, uid=owner_uid, gid=owner_gid, xattrs=not no_xattrs
        )
        if current.json:
            current.answer([_value(one, two, difference, as_patch) for difference in found])
        elif as_patch:
            for difference in sorted(found, key=lambda difference: difference.path):
                lines += differing.patch(one, two, difference)
        else:
            lines += [f"{item.kind}    {differing.shown(one, two, item)}" for item in found]
    if stats:
        figures = differing.Statistics(repository, before, after)
        if current.json:
            current.answer({name: getattr(figures, name) for name in figures.__slots__})
        lines += figures.lines()
    if lines:
        pager.show(text.sanitise("\n".join(lines)).split("\n"), current)


def _value(one: Side, two: Side, difference: Difference, as_patch: bool) -> dict[str, object]:
    from dolmen.store.repo import differing

    value: dict[str, object] = {"kind": difference.kind, "path": difference.path}
    for name, entry in (("before", difference.before), ("after", difference.after)):
        value[name] = entry and {
            "mode": f"{entry.mode:06o}",
            "uid": entry.uid,
            "gid": entry.gid,
            "size": entry.size,
            "checksum": entry.checksum,
        }
    if as_patch:
        value["patch"] = differing.patch(one, two, difference)
    return value


VERB = Verb(
    diff,
    examples="""
        dolmen store --repo=repo diff main
        dolmen store diff main~3 main --patch
        dolmen store diff main ./tree
    """,
    options=(
        Option("-p --patch", "as_patch", "Line by line, where it is text."),
        Option("--stats", "stats", "How many objects there are, and how many in common."),
        Option("--fs-diff", "fs_diff", "With --stats: the paths as well."),
        Option("--no-xattrs", "no_xattrs", "Leave extended attributes of directories out."),
        Option(
            "--owner-uid",
            "owner_uid",
            "Owner of files on disk.",
            metavar="N",
            convert=int,
            minimum=0,
        ),
        Option(
            "--owner-gid",
            "owner_gid",
            "Group of files on disk.",
            metavar="N",
            convert=int,
            minimum=0,
        ),
    ),
    arguments=(Argument("before", "A"), Argument("after", "[B]", "?")),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
