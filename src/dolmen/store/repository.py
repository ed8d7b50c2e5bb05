"""The one place that talks to libostree through GObject introspection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dolmen.store.transaction import store_error


def _gi() -> Any:
    import gi

    gi.require_version("OSTree", "1.0")
    from gi.repository import Gio, GLib, OSTree

    return OSTree, Gio, GLib


class Repository:
    """An opened `OSTree.Repo`."""

    def __init__(self, path: Path) -> None:
        self._ostree, gio, _ = _gi()
        self.path = path
        self._repo = self._ostree.Repo.new(gio.File.new_for_path(str(path)))
        if (path / "config").exists():
            with translated("open"):
                self._repo.open(None)

    def create(self) -> None:
        """Make it, in mode bare-user."""
        with translated("create"):
            self._repo.create(self._ostree.RepoMode.BARE_USER, None)
            config = self._repo.copy_config()
            # The default (3 %) refuses work on large, well filled disks; ENOSPC is told as it is.
            config.set_string("core", "min-free-space-percent", "0")
            self._repo.write_config(config)


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn libostree's complaints into StoreError ("store-full", "store-failed")."""
    _, _, glib = _gi()
    try:
        yield
    except glib.Error as error:
        # GIOErrorEnum.NO_SPACE, or errno's text where libostree wraps it itself.
        full = "No space left" in error.message or "quota exceeded" in error.message
        raise store_error(what, error.message, full=full) from None
