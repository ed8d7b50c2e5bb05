"""Which entries work, which is on trial, and what happens when one does not start.

A new first entry is on trial: GRUB counts its starts down in the environment block, and this side
clears the trial when the machine has reached its target (docs/boot.md has the whole story). What
GRUB must know lies in `/boot/grub/grubenv`, the rest in `/boot/dolmen/boot.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.files import write_atomic
from dolmen.system.boot import environment

#: How often a new entry may fail, where the image says nothing else.
TRIES = 3
#: How many names of entries that worked are kept.
_KEPT = 32


@dataclass(frozen=True, slots=True)
class BootState:
    """What /boot says about its entries (`COMMIT.SERIAL`).

    `trial` with `left` starts to go; `failed` is the trial that has none left: the entry before it
    is started instead. `once` is the next start only; `good` have reached their target once.
    """

    trial: str = ""
    left: int = 0
    once: str = ""
    good: tuple[str, ...] = ()

    @property
    def failed(self) -> str:
        """The entry that was given up, or ""."""
        return self.trial if self.trial and self.left == 0 else ""


def read_state(boot: Path) -> BootState:
    """Read the state of a /boot; of one without any, the empty state."""
    values = environment.read(boot / "grub/grubenv")
    left = values.get("dolmen_left", "0")
    return BootState(
        trial=values.get("dolmen_trial", ""),
        left=int(left) if left.isdigit() else 0,
        once=values.get("dolmen_once", ""),
        good=_good(boot),
    )


def start_trial(boot: Path, deployment: str, tries: int = TRIES) -> None:
    """Count the starts of this entry from now on, unless it is good or counted already.

    Comes before the menu that makes it the first: until then the name means nothing to GRUB. No
    tries: nothing is counted. GRUB's script counts from nine at most.
    """
    state = read_state(boot)
    if tries < 1 or not deployment or deployment in state.good or state.trial == deployment:
        return
    left = str(min(tries, 9))
    environment.change(boot / "grub/grubenv", dolmen_trial=deployment, dolmen_left=left)


def mark_good(boot: Path, deployment: str) -> BootState:
    """Note that this entry has reached its target; returns the state as it was before."""
    state = read_state(boot)
    if deployment and deployment not in state.good[:1]:
        good = (deployment, *(name for name in state.good if name != deployment))[:_KEPT]
        (boot / "dolmen").mkdir(exist_ok=True)
        write_atomic(
            boot / "dolmen/boot.json", json.dumps({"version": 1, "good": good}, indent=1) + "\n"
        )
    if deployment and deployment == state.trial:
        environment.change(boot / "grub/grubenv", dolmen_trial=None, dolmen_left=None)
    return state


def start_once(boot: Path, deployment: str) -> None:
    """Let the next start, and only that, be of this entry ("": no longer)."""
    environment.change(boot / "grub/grubenv", dolmen_once=deployment or None)


def _good(boot: Path) -> tuple[str, ...]:
    try:
        content = json.loads((boot / "dolmen/boot.json").read_text())
        return tuple(name for name in content["good"] if isinstance(name, str))
    except (OSError, ValueError, KeyError, TypeError):
        return ()
