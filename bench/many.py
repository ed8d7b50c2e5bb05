"""Many commits quickly, to prepare what is measured: `/usr/bin/python3 many.py REPO log|refs N`.

`log`: N commits of one branch. `refs`: N branches of `main`'s tree, two commits each, in each of
which ten names lead to another file. A process for every commit would take minutes.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("OSTree", "1.0")
from gi.repository import Gio, GLib, OSTree  # noqa: E402


def main(path: str, what: str, count: int) -> None:
    """Write them in one transaction."""
    repo = OSTree.Repo.new(Gio.File.new_for_path(path))
    repo.open(None)
    repo.prepare_transaction(None)
    if what == "log":
        log(repo, count)
    else:
        branches(repo, count)
    repo.commit_transaction(None)


def log(repo: OSTree.Repo, count: int) -> None:
    """One file that changes."""
    tree = OSTree.MutableTree.new()
    tree.set_metadata_checksum(dirmeta(repo))
    parent = None
    for number in range(count):
        tree.replace_file("file", file(repo, b"%d\n" % number))
        root = repo.write_mtree(tree, None)[1]
        subject = f"Commit {number}"
        parent = repo.write_commit_with_time(parent, subject, None, None, root, number, None)[1]
    repo.transaction_set_ref(None, "main", parent)


def branches(repo: OSTree.Repo, count: int) -> None:
    """Each branch has a file of its own in ten places."""
    whole = repo.read_commit("main", None)[1]
    for number in range(count):
        parent = None
        for version in range(2):
            tree = OSTree.MutableTree.new()
            repo.write_directory_to_mtree(whole, tree, None, None)
            usr = tree.lookup("usr")[2]
            for place in range(10):
                content = b"%d %d %d\n" % (number, version, place)
                usr.replace_file(f"own{place}", file(repo, content * 50))
            root = repo.write_mtree(tree, None)[1]
            parent = repo.write_commit_with_time(parent, "x", None, None, root, version, None)[1]
        repo.transaction_set_ref(None, f"r/{number}", parent)


def dirmeta(repo: OSTree.Repo) -> str:
    """A directory of root's."""
    numbers = (int.from_bytes(n.to_bytes(4, "big"), sys.byteorder) for n in (0, 0, 0o40755))
    value = GLib.Variant("(uuua(ayay))", (*numbers, []))
    return bytes(repo.write_metadata(OSTree.ObjectType.DIR_META, None, value, None)[1]).hex()


def file(repo: OSTree.Repo, content: bytes) -> str:
    """A file of root's."""
    return str(repo.write_regfile_inline(None, 0, 0, 0o100644, None, content, None))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
