"""Restarting a machine into what was made for it."""

from __future__ import annotations

from dolmen.support.errors import HostError
from dolmen.support.run import run


def restart_machine() -> None:
    """Let systemd stop everything and restart; raises HostError ("restart-failed")."""
    done = run(["systemctl", "reboot"], timeout=60)
    if not done.ok:
        raise HostError(
            "the machine cannot be restarted",
            reason="restart-failed",
            context=done.stderr.decode(errors="replace").strip()[:300] or None,
            hint="systemctl reboot",
        )
