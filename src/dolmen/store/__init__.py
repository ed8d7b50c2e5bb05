"""The content store: one libostree repository, what is imported into it, and trees made of it.

Nothing outside this package imports libostree's bindings, and nothing on a warm path does either;
names are imported when they are first used, since warm paths need two small ones.
"""

from __future__ import annotations

from dolmen.support.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dolmen.store.image import Image as Image
    from dolmen.store.layout import store_path as store_path
    from dolmen.store.package import PackageTree as PackageTree
    from dolmen.store.package import PathEntry as PathEntry
    from dolmen.store.package import usrmerged as usrmerged
    from dolmen.store.roots import is_root as is_root
    from dolmen.store.store import Store as Store

__getattr__ = on_demand(
    __name__,
    {
        "Image": "image",
        "PackageTree": "package",
        "PathEntry": "package",
        "Store": "store",
        "is_root": "roots",
        "store_path": "layout",
        "usrmerged": "package",
    },
)
