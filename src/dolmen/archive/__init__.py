"""Debian archives: sources, signed indexes, apt's own solver, and the download of .debs.

Imports stay light: apt_pkg is loaded only in a short-lived worker process, since its
configuration is global to a process.
"""

from dolmen.archive.alternatives import alternatives
from dolmen.archive.catalogue import Catalogue, Offer, catalogue
from dolmen.archive.contents import Contents, Found, contents
from dolmen.archive.fetch import fetch
from dolmen.archive.inside import AptInside, apt_inside
from dolmen.archive.prune import prune
from dolmen.archive.solve import solve
from dolmen.archive.sources import configured_sources, default_sources
from dolmen.archive.versions import compare_versions

__all__ = [
    "AptInside",
    "Catalogue",
    "Contents",
    "Found",
    "Offer",
    "alternatives",
    "apt_inside",
    "catalogue",
    "compare_versions",
    "configured_sources",
    "contents",
    "default_sources",
    "fetch",
    "prune",
    "solve",
]
