"""/proc and /dev of a sandbox whose uid 0 may be the host's root.

The kernel lets uid 0 write sysctls (/proc/sys/kernel/core_pattern) and change the modes of device
nodes without any capability, by ownership alone, also from a user namespace: bubblewrap's --proc
leaves /proc/sys open, and its device nodes are the host's own. So /proc is mounted read-only
(writing through /proc/self/fd is no write to the mount and still works), and where root builds or
enters confined, /dev is made read-only in the mount namespace before bubblewrap takes nodes from
it (`FIX_DEVICES`, sh text; bubblewrap cannot: its read-only binds are nodev too).
"""

from __future__ import annotations

#: The options that mount both, for a new pid namespace.
KERNEL_FILES = ("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev")

#: An sh command, for a mount namespace of its own. For others than the host's root (who owns /)
#: device nodes are somebody else's, and nothing needs doing. In two steps: `--rbind -o ro` would
#: also clear nosuid, which systemd's /dev has, and that is locked (mount_namespaces(7)).
FIX_DEVICES = "{ [ ! -O / ] || { mount --rbind /dev /dev && mount -o remount,bind,ro /dev; }; }"
