"""`dolmen system upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli import machine, text
from dolmen.cli.collecting import bound, with_room
from dolmen.cli.options import session

if TYPE_CHECKING:
    from dolmen.system.machine.upgrading import Available, Upgrade


@machine.machine_verb(
    examples="""
        dolmen system upgrade
        dolmen system upgrade --check          (is there one? nothing is fetched)
        dolmen system upgrade --preview        (which packages, how much to fetch)
        dolmen system upgrade --reboot
    """
)
@click.option("--check", "only_check", is_flag=True, help="Only say whether there is one.")
@click.option("--preview", is_flag=True, help="Say what would change and how much comes.")
@click.option("--allow-downgrade", is_flag=True, help="Take an image older than what was here.")
@click.option("--keep", type=click.IntRange(0, 100), metavar="N", help="Keep N more deployments.")
@click.option("--reboot", is_flag=True, help="Restart into it, if there was one.")
def command(
    only_check: bool, preview: bool, allow_downgrade: bool, keep: int | None, reboot: bool
) -> None:
    """Take the newest image, with the packages layered here over it; what runs stays as it is.

    From the server that the image or `rebase` names: signed, only what is not here yet, or a delta.
    Or built here, where the last image was: dolmen system deploy DIR.
    """
    from dolmen.system.machine.upgrading import check, upgrade

    sysroot = machine.opened()
    current = session()
    if only_check or preview:
        found = check(sysroot, preview=preview, allow_downgrade=allow_downgrade)
        current.answer(value_of(found))
        _tell(found)
        return
    done = with_room(
        lambda: upgrade(
            sysroot,
            store=current.store,
            allow_downgrade=allow_downgrade,
            keep=keep,
            emit=current.emit,
        )
    )
    bound(done.outcome)
    show_upgrade(done)
    if reboot:
        machine.restart(done.outcome)


def value_of(found: Available) -> dict[str, object]:
    """What is available, for JSON."""
    return {
        "available": found.newer,
        "version": found.image.version if found.image else None,
        "commit": found.image.commit if found.image else None,
        "sequence": found.image.sequence if found.image else None,
        "current": found.current.version if found.current else None,
        "source": found.source,
        "size": found.offer.size if found.offer else None,
        "objects": found.offer.objects if found.offer else None,
        "delta": found.offer.delta is not None if found.offer else None,
        "packages": found.changes,
        "given_up": found.failed is not None,
    }


def show_upgrade(done: Upgrade) -> None:
    """Print what an upgrade came to."""
    current = session()
    if current.json:
        machine.show(
            done.outcome, more={"fetched": done.fetched, "available": value_of(done.available)}
        )
        return
    if not done.outcome.changed:
        _tell(done.available)
        return
    machine.show(done.outcome)
    if done.fetched:
        current.say(f"{text.size(done.fetched)} fetched in {text.count(done.objects, 'object')}")


def _tell(found: Available) -> None:
    current = session()
    if found.image is None and found.newer:
        current.say(text.sanitise(f"Built here, from {found.source.directory}"))
        return
    if found.failed is not None:
        name = found.failed.base[:12]
        current.say(
            text.sanitise(
                f"Nothing to do: {found.failed.version} failed to start here and was given up "
                f"(to try it again: dolmen system deploy {name})"
            )
        )
        return
    if not found.newer:
        version = found.current.version if found.current else ""
        current.say(text.sanitise(f"Nothing to do: {version} is the newest"))
        return
    assert found.image is not None
    for line in machine.change_lines(found.changes, colour=current.paints):
        current.say(line)
    size = ""
    if found.offer is not None:
        kind = "a delta" if found.offer.delta else text.count(found.offer.objects, "object")
        size = f" ({text.size(found.offer.size)} to fetch, {kind})"
    current.say(text.sanitise(f"Available: {found.image.version}{size}"))
