"""`dolmen diff`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen diff                         (what was live before, and what is live)
        dolmen diff 3                       (generation 3 and what is live)
        dolmen diff 3 release --files
        dolmen diff --conf                  (with unified diffs of the configuration)
        dolmen diff main.lock dolmen.lock --markdown
    """
)
@click.argument("before", metavar="[A]", required=False)
@click.argument("after", metavar="[B]", required=False)
@click.option("--files", is_flag=True, help="Every file that differs, not only configuration.")
@click.option("--conf", is_flag=True, help="Unified diffs of what differs in /etc.")
@click.option("--patch", is_flag=True, help="Unified diffs of all text files that differ.")
@click.option("-s", "--short", is_flag=True, help="Without changelog entries.")
@click.option("--markdown", is_flag=True, help="Markdown, for a pull request.")
def command(
    before: str | None,
    after: str | None,
    files: bool,
    conf: bool,
    patch: bool,
    short: bool,
    markdown: bool,
) -> None:
    """Compare two generations: packages, files, configuration, changelogs and CVE numbers.

    A and B are numbers, names, - (what was live before), @ (what is live), or the paths of two
    locks, of which packages are compared alone. Changelog entries are those between the two
    versions, from the packages themselves.
    """
    from dolmen.cli import differences, pager
    from dolmen.environment.differing import difference, side
    from dolmen.store import Store, store_path

    current = session()
    locks = [word for word in (before, after) if word is not None and word.endswith(".lock")]
    environment = None if len(locks) == 2 else current.environment()
    store = None
    if environment is not None and (store_path(current.store) / "format").exists():
        store = Store.open(current.store)
    one = side(environment, before or "-", store)
    two = side(environment, after or "@", store)
    found = difference(
        one,
        two,
        store,
        patches="all" if patch else "conf" if conf else "none",
    )
    current.answer(_value(found))
    if markdown:
        for line in differences.markdown(found, files=files or patch):
            current.say(line)
        return
    pager.show(
        differences.lines(
            found,
            files=files,
            conf=conf,
            patch=patch,
            short=short,
            colour=current.paints,
        ),
        current,
    )


def _value(found: object) -> dict[str, object]:
    from dolmen.cli.plain import plain
    from dolmen.environment.differing import Difference

    assert isinstance(found, Difference)
    sides = {
        name: {"label": one.label, "generation": one.number, "packages": len(one.lock.packages)}
        for name, one in (("before", found.before), ("after", found.after))
    }
    return {
        **sides,
        "added": found.changes.added,
        "removed": found.changes.removed,
        "changed": found.changes.changed,
        "download": found.changes.download,
        "disk": found.changes.disk,
        "sizes": {
            f"{one.change.name}:{one.change.architecture}": one.size for one in found.packages
        },
        "sources": [{**plain(source), "cves": source.cves} for source in found.sources],
        "cves": found.cves,
        "undone_cves": found.undone_cves,
        "files": found.files,
    }
