"""What lies over a deployment's image: requests, recorded in its origin and made good anew over
each new image.

    [dolmen]
    install=htop;jq=1.6-2
    remove=nano
    override=openssl=3.0.11-1
    source=/etc/dolmen
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dolmen.store.sysroot import Deployment

GROUP = "dolmen"
#: Refs that keep an image that layers lie over, as long as they are deployed.
BASES = "dolmen/base"
#: What of an image is needed for making it again with layers: its declaration, its Dolmen, and
#: what makes its packages' trees whole.
PARTS = (
    "/usr/share/dolmen",
    "/usr/lib/python3/dist-packages/dolmen",
    "/usr/lib/dolmen/packages",
)
_SEPARATOR = ";"


@dataclass(frozen=True, slots=True)
class Layers:
    """Packages to have beside the image's, those of the image to do without, and versions of the
    image's packages to have instead (`NAME=VERSION` or `NAME/SUITE`). `dracut`: lines of
    dracut.conf(5) for the initramfs."""

    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    override: tuple[str, ...] = ()
    dracut: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.install or self.remove or self.override or self.dracut)

    def with_changes(self, **changes: tuple[str, ...]) -> Layers:
        """The same with other lists."""
        return replace(self, **changes)


def layers_of(deployment: Deployment | None) -> Layers:
    """The requests recorded with a deployment."""
    return Layers() if deployment is None else layers_in(deployment.origin)


def layers_in(origin: Mapping[str, Mapping[str, str]]) -> Layers:
    """The requests recorded in an origin."""
    group = origin.get(GROUP, {})
    install, remove, override = (
        tuple(word for word in group.get(key, "").split(_SEPARATOR) if word)
        for key in ("install", "remove", "override")
    )
    return Layers(install, remove, override, _lines(group.get("dracut", "")))


def with_layers(
    origin: Mapping[str, Mapping[str, str]], layers: Layers
) -> dict[str, dict[str, str]]:
    """An origin with these requests."""
    result = {name: dict(values) for name, values in origin.items()}
    group = result.setdefault(GROUP, {})
    for key in ("install", "remove", "override"):
        words = getattr(layers, key)
        if words:
            group[key] = _SEPARATOR.join(words)
        else:
            group.pop(key, None)
    group.pop("dracut", None)
    if layers.dracut:
        group["dracut"] = json.dumps(layers.dracut)
    return result


def _lines(text: str) -> tuple[str, ...]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else ()
