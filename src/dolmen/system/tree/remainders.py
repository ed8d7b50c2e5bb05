"""The image carries what makes its packages' trees whole, so that layers need none of its .debs."""

from __future__ import annotations

from dolmen.store import Store
from dolmen.store.remainder import remainder
from dolmen.store.repo.repository import Repository
from dolmen.system.tree.construction import Construction

#: One file a package, named by the .deb's SHA256: an upgrade fetches those of what has changed.
DIRECTORY = "usr/lib/dolmen/packages"


def keep_remainders(work: Construction, store: Store) -> None:
    """Write one for each package of the lock; the tree must have all its other files by now.

    Raises StoreError ("not-imported", "object-missing").
    """
    present = {checksum for _path, checksum in work.builder.files()}
    repository = Repository(store.path / "repo")
    for package in work.lock.packages:
        commit = store.resolve(f"deb/{package.sha256}")
        if commit is not None:
            data = remainder(repository, commit, present)
            work.builder.add_file(f"{DIRECTORY}/{package.sha256}", data)
