"""The way into a trial: a tree with a writable layer, on the user's own terminal, as fake root.

As in the builder, unshare(1) makes a user namespace with one mapped uid and a mount namespace, an
overlay covers the tree, and bubblewrap makes the rest. Otherwise: the layer outlives its command
(no `volatile`, syncs are real), the network is there, home and working directory are the user's own
for reading and writing, and the terminal's session stays, for job control.

All processes end with the first one, or with us: the layer is then at rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.sandbox.builder import CAPABILITIES
from dolmen.sandbox.kernel import FIX_DEVICES, KERNEL_FILES
from dolmen.sandbox.launcher import IMAGE_PATH
from dolmen.sandbox.layout import has_regular
from dolmen.sandbox.seccomp import trial_filter
from dolmen.support.files import remove_tree, write_atomic

#: The directories of a layer's own, below the one that holds them.
UPPER, WORK, MERGED, LOWER, FILTER = "upper", "work", "merged", "lower", "filter"
#: Where `files` is shown.
FILES = "/run/dolmen"

# Names are relative to the layer's directory: an overlay's options have no room for commas and
# colons. INT and QUIT go to the terminal's whole foreground group: bubblewrap must survive them,
# the command gets their default back (see launcher.sh).
_SETUP = f"""\
unset PWD
umask 022
cd "$1" && shift &&
mount -t overlay overlay \
    -o userxattr,lowerdir={LOWER},upperdir={UPPER},workdir={WORK} {MERGED} &&
echo 0 >/proc/sys/user/max_user_namespaces &&
{FIX_DEVICES} || {{
    echo 'dolmen: the trial cannot be entered on this host; type: dolmen doctor' >&2
    exit 125
}}
[ ! -t 0 ] || trap '' INT QUIT
exec bwrap "$@" 9<{FILTER}
"""

#: What the image has of its own, at any depth: a directory of the host never covers these.
_IMAGES = ("bin", "boot", "dev", "etc", "lib", "proc", "run", "sbin", "sys", "tmp", "usr", "var")


@dataclass(frozen=True, slots=True)
class Share:
    """What of the host is shown for writing, and what below that only for reading.

    `directories` are disjoint and absolute; `cwd` is where the command starts.
    """

    directories: tuple[Path, ...]
    guarded: tuple[Path, ...]
    home: str
    cwd: str


@dataclass(frozen=True, slots=True)
class TrialEntry:
    """One command in a trial. `layer` holds upper and work; `files` is shown at /run/dolmen.

    `held` is a descriptor that stays open as long as anything of the trial lives.
    """

    tree: Path
    layer: Path
    files: Path
    share: Share
    argv: tuple[str, ...]
    held: int
    environment: Mapping[str, str] = field(default_factory=dict)


def share(
    tree: Path, *, home: str | None, cwd: Path, pure: bool, guarded: Sequence[Path] = ()
) -> Share:
    """What a trial sees of the host: the working directory and, unless `pure`, the home.

    A directory where the image has its own (below /usr, /etc, /var …) is not shown: the command
    starts in / then.
    """
    found: list[Path] = []
    shown_home = "/root"
    if home and not pure:
        path = Path(home)
        if path.is_absolute() and path.is_dir() and _is_free(path, tree):
            found.append(path)
            shown_home = home
    place = "/"
    if _is_free(cwd, tree):
        place = str(cwd)
        if not any(cwd.is_relative_to(path) for path in found):
            found = [path for path in found if not path.is_relative_to(cwd)]
            found.append(cwd)
    return Share(tuple(found), tuple(guarded), shown_home, place)


def _is_free(path: Path, tree: Path) -> bool:
    parts = path.parts[1:]
    if not parts or ".." in parts:
        return False
    # /tmp and /var/tmp are the user's own on the host; the trial's are fresh ones around it.
    if parts[0] == "tmp" and len(parts) > 1:
        return True
    if parts[0] == "root":
        return True
    if parts[0] == "opt" and tree.joinpath(*parts[:2]).exists():
        return False
    return parts[0] not in _IMAGES and (len(parts) > 1 or not (tree / parts[0]).exists())


def prepare_layer(layer: Path, tree: Path) -> None:
    """Make what a mount needs anew; what the trial has written stays."""
    remove_tree(layer / WORK)
    for name in (UPPER, WORK, MERGED):
        (layer / name).mkdir(exist_ok=True, mode=0o755)
    link = layer / LOWER
    link.unlink(missing_ok=True)
    link.symlink_to(tree)
    write_atomic(layer / FILTER, trial_filter())


def trial_argv(entry: TrialEntry) -> list[str]:
    """The command line that enters; to be executed with `held` open. Nothing is written."""
    bwrap = [
        *("--die-with-parent", "--sync-fd", str(entry.held), "--seccomp", "9"),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "dolmen", "--bind", MERGED, "/", *KERNEL_FILES),
        *("--perms", "1777", "--tmpfs", "/tmp", "--perms", "0755", "--tmpfs", "/run"),
        *("--perms", "1777", "--dir", "/run/lock", "--ro-bind", str(entry.files), FILES),
    ]
    for path in ("/etc/hosts", "/etc/resolv.conf"):
        if has_regular(entry.tree, path):
            bwrap += ["--ro-bind-try", path, path]
    for directory in entry.share.directories:
        bwrap += ["--bind", str(directory), str(directory)]
        bwrap += _guards(directory, entry.share.guarded)
    bwrap += ["--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        bwrap += ["--cap-add", capability]
    bwrap += ["--chdir", entry.share.cwd, "--clearenv"]
    variables = {
        "PATH": IMAGE_PATH,
        "HOME": entry.share.home,
        "USER": "root",
        "LOGNAME": "root",
        **entry.environment,
    }
    for name, value in sorted(variables.items()):
        bwrap += ["--setenv", name, value]
    command = list(entry.argv)
    if os.isatty(0):
        command = ["/usr/bin/env", "--default-signal=INT,QUIT", "--", *command]
    return [
        *("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private", "--"),
        *("sh", "-c", _SETUP, "sh", str(entry.layer), *bwrap, "--", *command),
    ]


def _guards(shared: Path, guarded: Sequence[Path]) -> list[str]:
    """Read-only covers; directories between are mount points, so that none can be renamed away."""
    options: list[str] = []
    for path in guarded:
        if shared.is_relative_to(path):
            options += ["--ro-bind", str(shared), str(shared)]
        elif path.is_relative_to(shared):
            between = [p for p in path.parents if p != shared and p.is_relative_to(shared)]
            for parent in reversed(between):
                options += ["--bind-try", str(parent), str(parent)]
            options += ["--ro-bind-try", str(path), str(path)]
    return options
