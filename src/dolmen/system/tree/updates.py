"""Where the machine gets its next image, and whether it asks by itself."""

from __future__ import annotations

from dolmen.system.tree.construction import Construction
from dolmen.system.tree.units import UNITS

REMOTES = "etc/ostree/remotes.d"
KEYS = "usr/share/dolmen/keys"
_COMMANDS = {
    "check": "dolmen system upgrade --check",
    "stage": "dolmen system upgrade",
    "reboot": "dolmen system upgrade --reboot",
}
_SERVICE = """\
[Unit]
Description=Take the newest image of this system
Wants=network-online.target
After=network-online.target
ConditionPathExists=/run/ostree-booted

[Service]
Type=oneshot
# What logins have, a proxy above all (pam_env(8)).
EnvironmentFile=-/etc/environment
ExecStart=/usr/bin/{command}
Nice=10
IOSchedulingClass=idle
"""
_TIMER = """\
[Unit]
Description=Look for a newer image of this system every day

[Timer]
OnCalendar=daily
RandomizedDelaySec=6h
Persistent=true

[Install]
WantedBy=timers.target
"""


def settle(work: Construction) -> None:
    """Write the remote (libostree's own format), its key and the timer; before units are."""
    update = work.system.update
    if update.url:
        # Verified, with or without a key of ours: libostree's default, said aloud.
        lines = [f'[remote "{update.remote}"]', f"url={update.url}", "gpg-verify=true"]
        if update.key:
            name = f"{update.remote}{'.asc' if _armoured(work, update.key) else '.gpg'}"
            work.builder.add_file(f"{KEYS}/{name}", work.beside[update.key])
            lines.append(f"gpgkeypath=/{KEYS}/{name}")
        work.write(f"{REMOTES}/{update.remote}.conf", "".join(f"{line}\n" for line in lines))
    command = _COMMANDS.get(update.automatic)
    if command is not None:
        work.write(f"{UNITS}/dolmen-upgrade.service", _SERVICE.format(command=command))
        work.write(f"{UNITS}/dolmen-upgrade.timer", _TIMER)
        link = f"{UNITS}/timers.target.wants/dolmen-upgrade.timer"
        work.builder.add_symlink(link, "../dolmen-upgrade.timer")


def _armoured(work: Construction, key: str) -> bool:
    return work.beside[key].lstrip().startswith(b"-----BEGIN")
