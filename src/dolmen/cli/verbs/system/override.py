"""`dolmen system override`."""

from __future__ import annotations

import click

from dolmen.cli import machine


@machine.machine_verb(
    examples="""
        dolmen system override openssl=3.0.17-1~deb12u2
        dolmen system override linux-image-amd64/bookworm-backports
        dolmen system override --reset openssl
        dolmen system override --reset-all
    """
)
@click.option("--reset", is_flag=True, help="Have the image's own version (or package) back.")
@click.option("--reset-all", is_flag=True, help="Have all of the image's own back.")
@click.option("--reboot", is_flag=True, help="Restart into it.")
@click.argument("packages", metavar="[NAME=VERSION|NAME/SUITE]...", nargs=-1)
def command(packages: tuple[str, ...], reset: bool, reset_all: bool, reboot: bool) -> None:
    """Have another version of packages of the image, until that is taken back."""
    from dolmen.support.errors import UsageError
    from dolmen.system.machine import layering_verbs

    if not packages and not reset_all:
        raise UsageError("no package is named", hint="dolmen system override --help")
    if reset or reset_all:
        machine.relay(
            lambda layers: layering_verbs.reset(layers, packages, everything=reset_all),
            reboot=reboot,
        )
        return
    machine.relay(lambda layers: layering_verbs.override(layers, packages), reboot=reboot)
