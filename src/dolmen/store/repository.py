"""The one place that talks to libostree through GObject introspection."""

from __future__ import annotations

from pathlib import Path

from dolmen.store.failures import store_error


def create_repository(path: Path) -> None:
    """Make an empty repository in mode bare-user; raises StoreError ("store-full" …)."""
    import gi

    gi.require_version("OSTree", "1.0")
    from gi.repository import Gio, GLib, OSTree

    repo = OSTree.Repo.new(Gio.File.new_for_path(str(path)))
    try:
        repo.create(OSTree.RepoMode.BARE_USER, None)
        config = repo.copy_config()
        # The default (3 %) refuses work on large, well filled disks; ENOSPC is told as it is.
        config.set_string("core", "min-free-space-percent", "0")
        repo.write_config(config)
    except GLib.Error as error:
        full = "No space left" in error.message or "quota exceeded" in error.message
        raise store_error("create", error.message, full=full) from None
