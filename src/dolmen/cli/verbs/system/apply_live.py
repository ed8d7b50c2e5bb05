"""`dolmen system apply-live`."""

from __future__ import annotations

from dolmen.cli import machine, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system install htop && dolmen system apply-live
    """
)
def command() -> None:
    """Make what is started next visible now, where it only adds packages.

    Refused where anything in use would be replaced. Services are not started.
    """
    from dolmen.system.machine.live import apply_live

    found = apply_live(machine.opened(mounting=True))
    current = session()
    current.answer(found)
    for line in machine.change_lines(found.packages, colour=current.paints):
        current.say(line)
    for path in found.etc:
        current.say(text.sanitise(f"+ {path}"))
    current.say(f"{text.count(found.files, 'file')} put into the running system")
