"""`dolmen store deltas`, and as `static-delta` in the words of ostree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n"
    "  dolmen store --repo=repo deltas generate --from=main^ main\n"
    "  dolmen store --repo=repo deltas generate --empty --inline --filename=main.delta main\n"
    "  dolmen store --repo=repo deltas list\n"
    "  dolmen store --repo=other deltas apply-offline main.delta",
)
@storing.options
def command() -> None:
    """Few files that lead from one commit to another, for those who pull over a network.

    libostree makes them on one processor, with LZMA and bsdiff: minutes for a whole system.
    """


@command.command("generate")
@storing.options
@click.option("--from", "before", metavar="COMMIT", help="From here (default: the parent).")
@click.option("--empty", is_flag=True, help="From nothing.")
@click.option("--to", "after", metavar="COMMIT", help="The same as [COMMIT].")
@click.option("--inline", is_flag=True, help="All in one file.")
@click.option("--disable-bsdiff", is_flag=True, help="No differences of files.")
@click.option("-n", "--if-not-exists", is_flag=True, help="Leave one alone that is there.")
@click.option("--set-endianness", metavar="l|B", type=click.Choice(["l", "B"]), help="Numbers.")
@click.option("--swap-endianness", is_flag=True, help="Numbers the other way round.")
@click.option("--min-fallback-size", type=int, metavar="MB", help="Larger files stay objects.")
@click.option("--max-bsdiff-size", type=int, metavar="MB", help="Larger files are not compared.")
@click.option(
    "--max-chunk-size", "--max-usize", type=int, metavar="MB", help="Of a part, unpacked."
)
@click.option("--filename", metavar="FILE", help="Into this file, not into the repository.")
@click.option("--sign", "keys", metavar="KEY", multiple=True, help="Sign it, by libostree.")
@click.option("--sign-type", metavar="NAME", default="ed25519", help="How.")
@click.argument("revision", metavar="[COMMIT]", required=False)
def generate_command(revision: str | None, **given: Any) -> None:
    """Make a delta to COMMIT, from its parent unless --from or --empty says otherwise."""
    import sys

    from dolmen.store.history import deltas, revisions
    from dolmen.support.errors import UsageError

    after: str | None = given["after"] or revision
    if after is None:
        raise UsageError("TO revision must be specified", hint="dolmen store deltas generate main")
    if given["empty"] and given["before"] is not None:
        raise UsageError("Cannot specify both --empty and --from=REV", hint="--empty")
    history = storing.opened()
    before = given["before"]
    if before is None and not given["empty"]:
        before = revisions.load(history, revisions.resolve(history, after)).parent
    if before is None and not given["empty"]:
        raise UsageError(f"{after} has no parent", hint="dolmen store deltas generate --empty")
    order = given["set_endianness"]
    if given["swap_endianness"]:
        order = {"little": "B", "big": "l"}[sys.byteorder]
    current = session()
    name, made = deltas.generate(
        history,
        before,
        after,
        deltas.Recipe(
            inline=given["inline"],
            bsdiff=not given["disable_bsdiff"],
            min_fallback=given["min_fallback_size"],
            max_bsdiff=given["max_bsdiff_size"],
            max_chunk=given["max_chunk_size"],
            file=Path(given["filename"]) if given["filename"] else None,
            endianness=order,
            verbose=not (current.json or current.quiet),
            signing=(given["sign_type"], given["keys"]) if given["keys"] else None,
        ),
        anew=not given["if_not_exists"],
    )
    current.answer({"delta": name, "generated": made})
    current.say(name if made else f"Delta {name} already exists.")


@command.command("list")
@storing.options
def list_command() -> None:
    """List deltas."""
    from dolmen.store.history import deltas

    found = deltas.names(storing.opened())
    current = session()
    current.answer(found)
    for line in found or ["(No static deltas)"]:
        current.say(line)


@command.command("show")
@storing.options
@click.argument("name", metavar="DELTA|FILE")
def show_command(name: str) -> None:
    """Show what a delta holds."""
    from dolmen.store.history import deltas

    found = deltas.describe(storing.opened(), name)
    current = session()
    current.answer(found)
    for line in _lines(name, found):
        current.say(text.sanitise(line))


@command.command("delete")
@storing.options
@click.argument("name", metavar="DELTA")
def delete_command(name: str) -> None:
    """Delete a delta."""
    from dolmen.store.history import deltas

    deltas.delete(storing.opened(), name)
    session().answer({"delta": name})


@command.command("apply-offline")
@storing.options
@click.option("--sign-type", metavar="NAME", default="ed25519", help="With KEYS: how it is signed.")
@click.argument("source", metavar="FILE")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
def apply_command(source: str, sign_type: str, keys: tuple[str, ...]) -> None:
    """Take in the commit that a delta leads to, without a network; print it."""
    from dolmen.store.history import deltas, signing

    history = storing.opened()
    sign = signing.module(sign_type, keys) if keys else None
    checksum = deltas.apply(history, Path(source), sign=sign)
    current = session()
    current.answer({"checksum": checksum})
    current.say(checksum)


@command.command("verify")
@storing.options
@click.option("--sign-type", metavar="NAME", help="Ask libostree for a signature of this kind.")
@click.argument("name", metavar="DELTA|FILE")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
def verify_command(name: str, sign_type: str | None, keys: tuple[str, ...]) -> None:
    """Check that a delta is whole: its commit, and each part against its checksum."""
    from dolmen.store.history import deltas, signing
    from dolmen.support.errors import ArchiveError, StoreError

    history = storing.opened()
    current = session()
    if sign_type is not None or keys:
        sign = signing.module(sign_type or "ed25519", keys)
        good, words = deltas.verify_signature(history, name, sign)
        current.say(text.sanitise(f"Verification {'OK' if good else 'fails'}"))
        if not good:
            raise ArchiveError(words, reason="signature-bad", hint="dolmen store deltas show")
        current.answer({"delta": name, "signature": words})
        return
    found = deltas.describe(history, name)
    if found.faults:
        raise StoreError(
            f"the delta is damaged: {found.faults[0]}",
            reason="bad-delta",
            details=found.faults[1:20],
            hint="have it made again: dolmen store deltas generate",
        )
    current.answer({"delta": name, "parts": len(found.parts)})
    current.say(f"{len(found.parts)} parts, no errors found")


@command.command("indexes")
@storing.options
def indexes_command() -> None:
    """List the commits for which there is an index."""
    from dolmen.store.history import deltas

    found = deltas.indexes(storing.opened())
    current = session()
    current.answer(found)
    for line in found or ["(No static deltas indexes)"]:
        current.say(line)


@command.command("reindex")
@storing.options
@click.option("--to", "after", metavar="COMMIT", help="Only its index.")
def reindex_command(after: str | None) -> None:
    """Write the indexes that `pull` looks deltas up in."""
    from dolmen.store.history import deltas

    history = storing.opened()
    deltas.reindex(history, after)
    session().answer({"indexes": deltas.indexes(history)})


def _lines(name: str, found: Any) -> Any:
    yield f"Delta: {name}"
    yield f"Signed: {'yes' if found.signed else 'no'}"
    yield "From <scratch>" if found.before is None else f"From: {found.before}"
    yield f"To: {found.after}"
    yield f"Endianness: {found.endianness}"
    yield f"Timestamp: {found.timestamp}"
    yield "Number of parents: 0"
    yield f"Number of fallback entries: {len(found.fallbacks)}"
    yield from (f"  {checksum}" for checksum in found.fallbacks)
    yield f"Total Fallback Size: {_size(found.fallback_size)}"
    yield f"Total Fallback Uncompressed Size: {_size(found.fallback_usize)}"
    yield f"Number of parts: {len(found.parts)}"
    for number, part in enumerate(found.parts):
        yield f"PartMeta{number}: nobjects={part.objects} size={part.size} usize={part.usize}"
        yield (
            f"PartPayload{number}: nmodes={part.modes} nxattrs={part.xattrs} "
            f"blobsize={part.blob} opsize={part.operation_bytes}"
        )
        words = " ".join(f"{key}={value}" for key, value in part.operations.items())
        yield f"PartPayloadOps{number}: {words}"
    yield f"Total Part Size: {_size(found.size - found.fallback_size)}"
    yield f"Total Part Uncompressed Size: {_size(found.usize - found.fallback_usize)}"
    yield f"Total Size: {_size(found.size)}"
    yield f"Total Uncompressed Size: {_size(found.usize)}"
    yield from (f"Fault: {fault}" for fault in found.faults)


def _size(count: int) -> str:
    """As GLib formats sizes: powers of ten, a no-break space."""
    if count < 1000:
        return f"{count} ({count} bytes)"
    value, unit = float(count), 0
    while value >= 1000:
        value, unit = value / 1000, unit + 1
    return f"{count} ({value:.1f}\u00a0{'kMGTPE'[unit - 1]}B)"
