"""The values everything else speaks in: frozen dataclasses, strict parsers, no I/O.

Names are imported when they are first used: few commands need all of them.
"""

from __future__ import annotations

from dolmen.support.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dolmen.model.digest import Sha256 as Sha256
    from dolmen.model.entrance import Entrance as Entrance
    from dolmen.model.generation import Generation as Generation
    from dolmen.model.lock import Lock as Lock
    from dolmen.model.lock import parse_lock as parse_lock
    from dolmen.model.lock import render_lock as render_lock
    from dolmen.model.manifest import Manifest as Manifest
    from dolmen.model.manifest import parse_manifest as parse_manifest
    from dolmen.model.package import LockedPackage as LockedPackage
    from dolmen.model.package import ReleaseFile as ReleaseFile
    from dolmen.model.source import Source as Source
    from dolmen.model.spec import Spec as Spec
    from dolmen.model.spec import parse_spec as parse_spec

__getattr__ = on_demand(
    __name__,
    {
        "Entrance": "entrance",
        "Generation": "generation",
        "Lock": "lock",
        "LockedPackage": "package",
        "Manifest": "manifest",
        "ReleaseFile": "package",
        "Sha256": "digest",
        "Source": "source",
        "Spec": "spec",
        "parse_lock": "lock",
        "parse_manifest": "manifest",
        "parse_spec": "spec",
        "render_lock": "lock",
    },
)
