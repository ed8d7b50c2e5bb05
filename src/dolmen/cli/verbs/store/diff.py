"""`dolmen store diff`."""

from __future__ import annotations

import click

from dolmen.cli import pager, storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo diff main
        dolmen store diff main~3 main --patch
        dolmen store diff main ./tree
    """
)
@click.option("-p", "--patch", "as_patch", is_flag=True, help="Line by line, where it is text.")
@click.option("--no-xattrs", is_flag=True, help="Leave extended attributes of directories out.")
@click.option("--owner-uid", type=click.IntRange(0), metavar="N", help="Owner of files on disk.")
@click.option("--owner-gid", type=click.IntRange(0), metavar="N", help="Group of files on disk.")
@click.argument("before", metavar="A")
@click.argument("after", metavar="[B]", required=False)
def command(
    before: str,
    after: str | None,
    as_patch: bool,
    no_xattrs: bool,
    owner_uid: int | None,
    owner_gid: int | None,
) -> None:
    """Compare two commits, or a commit and its parent: M changed, D deleted, A added.

    A or B may be a directory on disk: begin it with / or ./ (it is compared as it would be
    committed).
    """
    from dolmen.store.history import differing

    history = storing.opened()
    if after is None:
        before, after = f"{before}^", before
    one, two, found = differing.compare(
        history, before, after, uid=owner_uid, gid=owner_gid, xattrs=not no_xattrs
    )
    current = session()
    if current.json:
        current.answer([_value(one, two, difference, as_patch) for difference in found])
    elif as_patch:
        pager.show(
            (
                text.sanitise(line)
                for difference in sorted(found, key=lambda difference: difference.path)
                for line in differing.patch(one, two, difference)
            ),
            current,
        )
    else:
        pager.show(
            (f"{item.kind}    {text.sanitise(differing.shown(one, two, item))}" for item in found),
            current,
        )


def _value(one: object, two: object, difference: object, as_patch: bool) -> dict[str, object]:
    from dolmen.store.history import differing

    assert isinstance(difference, differing.Difference)
    sides = (("before", difference.before), ("after", difference.after))
    value: dict[str, object] = {"kind": difference.kind, "path": difference.path}
    for name, entry in sides:
        value[name] = entry and {
            "mode": f"{entry.mode:06o}",
            "uid": entry.uid,
            "gid": entry.gid,
            "size": entry.size,
            "checksum": entry.checksum,
        }
    if as_patch:
        value["patch"] = differing.patch(one, two, difference)  # type: ignore[arg-type]
    return value
