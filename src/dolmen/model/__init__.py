"""The values everything else speaks in: frozen dataclasses, strict parsers, no I/O."""

from dolmen.model.digest import Sha256
from dolmen.model.entrance import Entrance
from dolmen.model.generation import Generation
from dolmen.model.lock import Lock, parse_lock, render_lock
from dolmen.model.manifest import Manifest, parse_manifest
from dolmen.model.package import LockedPackage, ReleaseFile
from dolmen.model.source import Source
from dolmen.model.spec import Spec, parse_spec

__all__ = [
    "Entrance",
    "Generation",
    "Lock",
    "LockedPackage",
    "Manifest",
    "ReleaseFile",
    "Sha256",
    "Source",
    "Spec",
    "parse_lock",
    "parse_manifest",
    "parse_spec",
    "render_lock",
]
