"""What makes a machine itself: none of it may be in an image that two machines share.

The build's own rules (image/rules.py) drop what scripts have made of it; what is left here is what
packages ship, and what has to be there empty.
"""

from __future__ import annotations

import fnmatch

from dolmen.system.tree.construction import Construction

#: Patterns of paths that no image has, and why.
SECRETS = (
    ("etc/ssh/ssh_host_*", "host keys: every machine makes its own"),
    ("etc/ssl/private/ssl-cert-snakeoil.key", "a key"),
    ("etc/bind/rndc.key", "a key"),
    ("etc/ldap/slapd.d", "a random password's hash, and the time"),
    ("etc/machine-id", "made on first start"),
    ("var/lib/dbus/machine-id", "made on first start"),
    ("var/lib/systemd/random-seed", "random"),
    ("var/cache/debconf/passwords.dat", "passwords that somebody typed"),
    ("var/cache/debconf/*-old", "backups"),
    ("etc/passwd-", "backups"),
    ("etc/group-", "backups"),
    ("etc/shadow-", "backups"),
    ("etc/gshadow-", "backups"),
    ("etc/subuid-", "backups"),
    ("etc/subgid-", "backups"),
    ("etc/.pwd.lock", "a lock"),
    ("etc/hostname", "declared"),
    ("etc/fstab", "a disk's"),
    ("etc/adjtime", "a clock's"),
    ("etc/resolv.conf", "a network's"),
    ("root/.bash_history", "somebody's"),
)


def drop(work: Construction) -> None:
    """Take away what belongs to one machine, and put in what must be there saying nothing."""
    directories = sorted({pattern.rpartition("/")[0] for pattern, _ in SECRETS})
    for directory in directories:
        for name in work.names(directory):
            path = f"{directory}/{name}"
            if any(fnmatch.fnmatchcase(path, pattern) for pattern, _ in SECRETS):
                work.builder.remove(path)
    # Empty, not "uninitialized": systemd makes an id, and leaves units as the image has them
    # (machine-id(5), "First Boot Semantics"; with the other, presets enable everything).
    work.write("etc/machine-id", "", mode=0o444)
    work.write("etc/fstab", "# Mounts come from the boot loader's entry and from units.\n")
    if work.packages("systemd-resolved"):
        work.builder.add_symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    if work.packages("dbus"):
        work.tmpfiles["/var/lib/dbus/machine-id"] = (
            "L /var/lib/dbus/machine-id - - - - /etc/machine-id"
        )
