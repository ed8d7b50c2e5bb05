"""Runs as root of a user namespace with many ids, alone, by the host's python3 (-I -c).

`give ROOT`: reads rows from standard input and gives owners, modes and attributes.
`settle ROOT`: prints rows and gives everything to root, readable and writable for it.
A row: name, mode, uid, gid, [[attribute, hexadecimal digits], …]. Links are never followed.
"""

import json
import os
import stat
import sys

KEPT = ("security.capability",)


def give(root):
    """Files first, then directories from the inside out: a directory may be closed afterwards."""
    rows = json.load(sys.stdin)
    rows.sort(key=lambda row: row[0].count("/") if row[0] != "." else -1, reverse=True)
    for name, mode, uid, gid, xattrs in rows:
        path = os.path.join(root, name)
        os.chown(path, uid, gid, follow_symlinks=False)
        if not os.path.islink(path):
            os.chmod(path, mode)
            for key, value in xattrs:
                os.setxattr(path, key, bytes.fromhex(value), follow_symlinks=False)
            os.utime(path, (0, 0))


def settle(root):
    seen = {}
    note(root, "/", seen)
    for parent, directories, files in walk(root):
        for name in sorted(directories + files):
            path = os.path.join(parent, name)
            note(path, "/" + os.path.relpath(path, root), seen)


def walk(root):
    """os.walk, top down, which decides what to enter after `note` has opened it."""
    yield from os.walk(root, topdown=True, followlinks=False, onerror=fail)


def fail(error):
    raise error


def note(path, name, seen):
    status = os.lstat(path)
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode) and inode in seen:
        row = [name, *seen[inode]]
    else:
        xattrs = []
        if stat.S_ISREG(status.st_mode):
            for key in KEPT:
                try:
                    value = os.getxattr(path, key, follow_symlinks=False)
                except OSError:
                    continue
                xattrs.append([key, value.hex()])
        row = [name, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, xattrs]
        seen[inode] = row[1:]
        if status.st_uid or status.st_gid:
            os.chown(path, 0, 0, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.chmod(path, 0o755)
        elif stat.S_ISREG(status.st_mode):
            os.chmod(path, 0o644)
    # A name that is not UTF-8 is refused by whoever reads the tree; escaped, it passes here.
    print(json.dumps(row))


{"give": give, "settle": settle}[sys.argv[1]](sys.argv[2])
