"""Files that every image must have, because the launcher binds the host's over them.

An image is mounted read-only, and a bind mount needs something to sit on: bubblewrap cannot create
it. These must be regular files (mount(2) follows symbolic links, which would lead it out of the
image), so image normalisation replaces links such as tzdata's /etc/localtime by what they point
to. The launcher leaves out the ones that a tree lacks.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Path in the image -> content where a package has not put any. Directories need no such list: the
#: launcher's / is a tmpfs, on which the image's top-level directories are bound.
MOUNT_POINTS: Mapping[str, str] = {
    "/etc/group": "",
    "/etc/hostname": "",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/localtime": "",
    "/etc/machine-id": "",
    "/etc/passwd": "",
    "/etc/resolv.conf": "",
    "/etc/timezone": "Etc/UTC\n",
}

#: Bound from the host as they are; the two others are written by `host_files`.
FROM_HOST = tuple(path for path in MOUNT_POINTS if path not in {"/etc/group", "/etc/passwd"})
#: What a sandbox without network and host identity still gets.
FROM_HOST_CONFINED = ("/etc/localtime", "/etc/timezone")
