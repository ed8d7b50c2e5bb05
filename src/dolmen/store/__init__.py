"""The content store: one libostree repository, what is imported into it, and trees made of it.

Nothing outside this package imports libostree's bindings, and nothing on a warm path does either.
"""

from dolmen.store.image import Image
from dolmen.store.layout import store_path
from dolmen.store.package import PackageTree, PathEntry, usrmerged
from dolmen.store.roots import is_root
from dolmen.store.store import Store

__all__ = [
    "Image",
    "PackageTree",
    "PathEntry",
    "Store",
    "is_root",
    "store_path",
    "usrmerged",
]
