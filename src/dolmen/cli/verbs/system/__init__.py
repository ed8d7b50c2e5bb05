"""`dolmen system`: a Debian that boots immutable, updates all or nothing, and rolls back."""

from __future__ import annotations

import click

from dolmen.cli.lazy import LazyGroup
from dolmen.cli.options import common

#: Verb -> (module here, one line of help), in the order of the help: what makes images first, then
#: what a machine does.
VERBS: dict[str, tuple[str, str]] = {
    "build": ("build", "Make the system image that the manifest declares"),
    "lint": ("lint", "Check that a system's commit boots, keeps state, and can be upgraded"),
    "image": ("image", "Write a disk image that boots"),
    "install": (
        "install",
        "Write the system to a disk; or packages over the image, on the machine",
    ),
    "publish": ("publish", "Put the image where machines fetch it, signed"),
    "adopt": ("adopt", "Write a manifest of what an ordinary Debian has"),
    "status": ("status", "Show what runs, what is started next, and what one can go back to"),
    "upgrade": ("upgrade", "Take the newest image; what runs stays as it is"),
    "rebase": ("rebase", "Take images from another place from now on"),
    "remove": ("remove", "Take packages out of what is started next"),
    "override": ("override", "Have another version of packages of the image"),
    "deploy": ("deploy", "Make an image what is started next"),
    "rollback": ("rollback", "Start what was there before, from now on"),
    "diff": ("diff", "Compare two deployments: packages, arguments, changelogs"),
    "etc-diff": ("etc_diff", "Show what was changed in /etc, and where an image disagrees"),
    "reset-etc": ("reset_etc", "Make files of /etc what the image has"),
    "pin": ("pin", "Keep a deployment whatever comes"),
    "cleanup": ("cleanup", "Remove what no deployment needs, and deployments"),
    "apply-live": ("apply_live", "Make what was only added visible now"),
    "kargs": ("kargs", "Show or change the kernel's arguments"),
    "initramfs": ("initramfs", "Show the initramfs, or have it made with other settings"),
    "unlock": ("unlock", "Let the running /usr be written to until the next start"),
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    table=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n"
    "  dolmen system image -o disk.raw    (in a directory with a manifest that has [system])\n"
    "  dolmen system status               (the others on the machine itself, as root)\n"
    "  dolmen system upgrade --reboot",
)
@common
def command() -> None:
    """Build a whole system, boot it, and keep it up to date: all of an update or nothing.

    A manifest with a [system] table is what it is made from. On the machine each change is a new
    deployment with a boot entry of its own; what runs stays as it is until the next start.
    """
