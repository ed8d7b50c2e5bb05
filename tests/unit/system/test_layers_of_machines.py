"""Requests over an image: what they do to each other, and to a manifest's text."""

from __future__ import annotations

import pytest

from dolmen.model import parse_manifest
from dolmen.support.errors import MachineError, UsageError
from dolmen.system.machine.layering import declaration
from dolmen.system.machine.layering_verbs import (
    configure_initramfs,
    install,
    override,
    remove,
    reset,
)
from dolmen.system.machine.layers import Layers, layers_in, with_layers

MANIFEST = """\
# a machine
suite = "bookworm"
packages = ["jq", "nano"]  # what we need

[groups.more]
packages = ["tree"]

[system]
hostname = "machine"
"""


def test_requests_survive_in_an_origin() -> None:
    layers = Layers(("htop", "jq=1.6-2"), ("nano",), ("openssl/bookworm-backports",))
    origin = with_layers({"origin": {"refspec": "x:y"}}, layers)
    assert origin["origin"] == {"refspec": "x:y"}
    assert layers_in(origin) == layers
    assert layers_in(with_layers(origin, Layers())) == Layers()
    assert not layers_in({})


def test_the_last_word_counts() -> None:
    layers = install(Layers(), ["htop", "jq"])
    assert install(layers, ["jq=1.6-2"]).install == ("htop", "jq=1.6-2")
    assert remove(layers, ["jq"]) == Layers(install=("htop",))
    without = remove(layers, ["nano"])
    assert without == Layers(("htop", "jq"), ("nano",))
    assert remove(without, ["nano"]) == without
    assert install(without, ["nano"]).remove == ()
    assert reset(without, ["nano"]).remove == ()


def test_overrides_name_versions() -> None:
    layers = override(Layers(), ["openssl=3.0.1-1"])
    assert override(layers, ["openssl/sid"]).override == ("openssl/sid",)
    assert reset(layers, ["openssl"]) == Layers()
    assert reset(layers, [], everything=True) == Layers()
    assert remove(layers, ["openssl"]).override == ()
    with pytest.raises(MachineError) as caught:
        override(Layers(), ["openssl"])
    assert caught.value.reason == "no-version"


def test_a_manifest_gets_the_requests_and_keeps_its_comments() -> None:
    text = declaration(MANIFEST, Layers(("htop",), ("tree", "absent"), ("jq=1.6-2",)))
    assert "# a machine" in text
    assert 'packages = ["jq=1.6-2", "nano", "htop"]' in text
    assert "tree" not in text
    assert declaration(MANIFEST, Layers()) == MANIFEST


def test_the_initramfs_gets_assignments_and_nothing_that_runs() -> None:
    line = 'add_drivers+=" nvme "'
    layers = configure_initramfs(Layers(), add=[line])
    assert layers_in(with_layers({}, layers)) == layers
    text = declaration(MANIFEST, layers)
    system = parse_manifest(text).system
    assert system is not None
    [file] = system.files
    assert (file.path, file.text) == ("/etc/dracut.conf.d/90-dolmen-layer.conf", f"{line}\n")
    assert configure_initramfs(layers, delete=[line]) == Layers()
    assert configure_initramfs(layers, clear=True) == Layers()
    for bad in ("reboot", 'a="$(reboot)"', "a=`x`", "a=b;c", "A=1\n", 'x="'):
        with pytest.raises(UsageError):
            configure_initramfs(Layers(), add=[bad])
