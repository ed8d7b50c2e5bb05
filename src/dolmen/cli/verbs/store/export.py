"""`dolmen store export`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository

_WHOLE = ("oci", "oci-dir", "repo")


def export(
    current: Session,
    repository: Repository,
    *,
    revision: str,
    output: str | None,
    compress: str | None,
    kind: str,
    image: str,
    platform: str | None,
    subpath: str,
    prefix: str,
    no_xattrs: bool,
) -> None:
    """Write a commit as tar; the same commit gives the same bytes everywhere and at any time."""
    from dolmen.support.errors import UsageError

    if kind in _WHOLE:
        if subpath != "/" or prefix:
            raise UsageError(
                "--subpath and --prefix are for tars", hint="dolmen store export --help"
            )
        from pathlib import Path

        from dolmen.cli.wholes import export_whole

        export_whole(
            current,
            Path(repository.path),
            revision,
            kind=kind,
            output=output,
            compress=compress,
            image=image,
            platform=platform,
            xattrs=not no_xattrs,
        )
        return
    import os
    import sys

    from dolmen.store.repo import exporting
    from dolmen.store.repo.commits import resolve
    from dolmen.store.repo.tree import Tree

    if output is None and sys.stdout.isatty():
        raise UsageError("a tar is not for terminals", hint="dolmen store export COMMIT -o FILE")
    tree = Tree(repository, resolve(repository, revision))
    tree.find(subpath)
    how = {"tar.gz": "gzip", "tar.zst": "zstd"}.get(kind)
    if compress is not None:
        how = None if compress == "none" else compress
    elif how is None:
        ends = exporting.COMPRESSIONS.items()
        how = next((way for end, way in ends if (output or "").endswith(end)), None)
    # With a buffer, which writes on after a short write: a full disk is told, not passed over.
    stream = sys.stdout.buffer if output is None else open(output, "wb")  # noqa: SIM115
    try:
        count = exporting.export(
            tree, stream, subpath=subpath, prefix=prefix, xattrs=not no_xattrs, compression=how
        )
        stream.flush()
        if output is not None:
            os.fsync(stream.fileno())
    finally:
        if output is not None:
            stream.close()
    if output is not None:
        current.answer({"commit": tree.commit.checksum, "output": output, "names": count})


VERB = Verb(
    export,
    examples="""
        dolmen store --repo=repo export main -o tree.tar
        dolmen store export main -o tree.tar.zst
        dolmen store export main --format=oci -o image.tar --platform=linux/amd64
        dolmen store export main --format=repo -o main.repo.tar      (with its history)
        dolmen store export main --subpath=/usr/share --prefix=share/ | tar t
    """,
    options=(
        Option("-o --output", "output", "Where to (default: standard output).", metavar="FILE"),
        Option(
            "--compress",
            "compress",
            "How (default: what FILE's name says: .tar, .tar.gz, .tar.zst).",
            choices=("none", "gzip", "zstd"),
        ),
        Option(
            "--format",
            "kind",
            "As what: a tar, an image of containers (in a tar, or a directory), a repository in"
            " a tar.",
            choices=("tar", "tar.gz", "tar.zst", *_WHOLE),
            default="tar",
        ),
        Option(
            "--image", "image", "OCI: its name in the layout.", metavar="NAME", default="latest"
        ),
        Option(
            "--platform",
            "platform",
            "OCI: for what (default: as it came, or here).",
            metavar="OS/ARCH",
        ),
        Option("--subpath", "subpath", "Only this directory.", metavar="PATH", default="/"),
        Option("--prefix", "prefix", "What to put before each name.", metavar="PREFIX", default=""),
        Option("--no-xattrs", "no_xattrs", "Leave extended attributes out."),
    ),
    arguments=(Argument("revision", "COMMIT"),),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
