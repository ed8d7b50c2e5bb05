"""`dolmen store export` of a whole commit: an image of containers, a repository in a tar."""

from __future__ import annotations

import sys
from pathlib import Path

from dolmen.cli import text
from dolmen.cli.plain import plain
from dolmen.cli.session import Session
from dolmen.support.errors import UsageError

#: What --format may say beyond tars.
KINDS = ("oci", "oci-dir", "repo")


def export_whole(
    session: Session,
    repository: Path,
    revision: str,
    *,
    kind: str,
    output: str | None,
    compress: str | None = None,
    image: str = "latest",
    platform: str | None = None,
    xattrs: bool = True,
) -> None:
    """Write a commit as one of KINDS and tell what was written."""
    if output is None:
        raise UsageError("where to?", hint=f"dolmen store export --format={kind} -o FILE COMMIT")
    if sys.flags.no_site and "gi" not in sys.modules:
        # What only looks begins without Debian's Python packages (front.sh); these are needed here.
        import site

        site.main()
    from dolmen.store.history.repository import History

    history = History.open(repository)
    if kind == "repo":
        from dolmen.store.history.bundling import write_bundle

        bundled = write_bundle(history, [revision], Path(output))
        session.answer({"refs": bundled.refs, "output": output})
        return
    from dolmen.store.history.packing import pack

    done = pack(
        history,
        revision,
        Path(output),
        name=image,
        platform=platform,
        compression={None: "gzip", "none": None}.get(compress, compress),
        archive=kind == "oci",
        xattrs=xattrs,
    )
    session.answer({"output": output, **plain(done)})
    session.say(text.sanitise(f"{image}: sha256:{done.manifest}"))
