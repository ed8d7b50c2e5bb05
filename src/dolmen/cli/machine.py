"""What the verbs that work on a machine share: their options, the sysroot, how changes look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dolmen.cli import text
from dolmen.cli.collecting import bound, with_room
from dolmen.cli.options import common, session

if TYPE_CHECKING:
    from dolmen.store.sysroot import Deployment, Sysroot
    from dolmen.system.machine.layers import Layers
    from dolmen.system.machine.packages import PackageChange
    from dolmen.system.machine.switching import Outcome

_SYSROOT, _OS = "dolmen.system.sysroot", "dolmen.system.os"
_SIGNS = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "upgraded": ("~", "yellow"),
    "downgraded": ("↓", "yellow"),
}


def _remember(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta[key] = value

    return callback


def machine_verb(
    *, examples: str, **settings: Any
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command of its module, with --sysroot and --os."""

    def decorate(function: Callable[..., None]) -> click.Command:
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        function = click.option(
            "--os",
            metavar="NAME",
            expose_value=False,
            callback=_remember(_OS),
            help="The state root (default: the running one, or the only one).",
        )(function)
        function = click.option(
            "--sysroot",
            metavar="DIR",
            expose_value=False,
            callback=_remember(_SYSROOT),
            help="Another sysroot than the running machine's.",
        )(function)
        return click.command(
            context_settings={"help_option_names": ["-h", "--help"], **settings},
            epilog=f"\b\nExamples:\n{lines}",
        )(common(function))

    return decorate


def opened(*, mounting: bool = False) -> Sysroot:
    """The sysroot that the command is about; `mounting`: to mount something on the machine."""
    from dolmen.store.sysroot import Sysroot

    meta = click.get_current_context().meta
    named = meta.get(_SYSROOT)
    return Sysroot.open(
        Path(named) if named is not None else None, osname=meta.get(_OS), mounting=mounting
    )


def value_of(deployment: Deployment | None) -> dict[str, object] | None:
    """A deployment for JSON."""
    if deployment is None:
        return None
    return {
        "index": deployment.index,
        "os": deployment.osname,
        "commit": deployment.commit,
        "serial": deployment.serial,
        "base": deployment.base,
        "version": deployment.version,
        "sequence": deployment.sequence,
        "architecture": deployment.metadata.architecture,
        "suite": deployment.metadata.suite,
        "kernel": deployment.metadata.kernel,
        "arguments": deployment.arguments,
        "origin": deployment.origin,
        "booted": deployment.booted,
        "staged": deployment.staged,
        "pinned": deployment.pinned,
        "unlocked": deployment.unlocked,
        "path": deployment.path,
    }


def show(outcome: Outcome, *, what: str = "", more: Mapping[str, object] | None = None) -> None:
    """Print what a change came to; `more`: further values for JSON."""
    current = session()
    current.close()
    current.answer(
        {
            "changed": outcome.changed,
            "deployment": value_of(outcome.deployment),
            "packages": outcome.changes,
            "removed": [value_of(one) for one in outcome.removed],
            "staged": outcome.staged,
            "seconds": round(outcome.seconds, 3),
            **(more or {}),
        }
    )
    if not outcome.changed:
        current.say(what or "Nothing to do.")
        return
    for line in change_lines(outcome.changes, colour=current.paints):
        current.say(line)
    assert outcome.deployment is not None
    current.say(
        text.sanitise(
            f"{what or 'Next start'}: {outcome.deployment.version}"
            f" ({text.seconds(outcome.seconds)})"
        )
    )
    for one in outcome.removed:
        current.say(text.sanitise(f"Removed: {one.version}"))
    if outcome.staged:
        current.say("The running system stays as it is: systemctl reboot")


def change_lines(
    changes: Sequence[PackageChange], *, colour: bool, indent: str = "", limit: int = 40
) -> list[str]:
    """A line for each package that differs."""
    lines = []
    for one in changes[:limit]:
        sign, style = _SIGNS[one.direction]
        versions = " → ".join(version for version in (one.before, one.after) if version)
        lines.append(
            f"{indent}{text.paint(sign, 'bold', style, colour=colour)} "
            + text.sanitise(f"{one.name} {versions}")
        )
    if len(changes) > limit:
        lines.append(f"{indent}  and {len(changes) - limit} more")
    return lines


def kept(sysroot: Sysroot) -> int:
    """How many more deployments the image declares to keep."""
    from dolmen.system.machine.declared import declared_update

    return declared_update(sysroot).keep


def restart(outcome: Outcome) -> None:
    """Restart the machine, if there is something to restart into."""
    from dolmen.support.errors import MachineError
    from dolmen.system.machine.restarting import restart_machine

    if not outcome.changed:
        return
    if not opened().booted:
        raise MachineError(
            "this is not the running machine's sysroot",
            reason="not-booted",
            hint="start the machine that it belongs to",
        )
    restart_machine()


def relay(change: Callable[[Layers], Layers], *, reboot: bool) -> None:
    """Change the layers of what is started next, show what came of it."""
    from dolmen.system.machine.changes import required
    from dolmen.system.machine.layering_verbs import change_layers
    from dolmen.system.machine.layers import layers_of
    from dolmen.system.machine.roles import next_started

    sysroot = opened()
    current = session()
    wanted = change(layers_of(required(next_started(sysroot))))
    outcome = with_room(
        lambda: change_layers(sysroot, wanted, store=current.store, emit=current.emit)
    )
    bound(outcome)
    show(outcome)
    if reboot:
        restart(outcome)
