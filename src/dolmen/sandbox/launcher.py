"""The launcher: a plain sh script that becomes bubblewrap on a realised tree.

No process is started but the sandbox: everything that depends on the image is written into the
text, the rest is done with builtins. The text is `data/launcher.sh` with its `@WORDS@`
replaced; docs and comments on what is shared, and why, are there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from dolmen.sandbox.hostfiles import CONFINED_FILTER, FILTER, STAMP, image_shell
from dolmen.sandbox.kernel import FIX_DEVICES, KERNEL_FILES
from dolmen.sandbox.layout import has_locales, has_regular, inner_path, tree_options
from dolmen.sandbox.mountpoints import FROM_HOST, FROM_HOST_CONFINED
from dolmen.sandbox.quoting import is_variable, label, quote, words
from dolmen.support.errors import DeclarationError

#: PATH inside; the directories of the caller's PATH below $HOME follow (see launcher.sh).
IMAGE_PATH = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/games:/usr/games"
)

#: What nearly every command starts with; links are followed inside the image.
_WATCHED = (
    *("/usr/bin/sh", "/usr/bin/bash", "/usr/bin/env", "/usr/bin/setpriv", "/usr/bin/perl"),
    *("/usr/bin/python3", "/etc/ld.so.cache", "/etc/ld.so.preload"),
)
_LOADERS = ("usr/lib/*/libc.so.6", "usr/lib*/ld-linux*", "usr/lib/*/ld-linux*")

#: Where aliases are shown inside.
ALIASES = "/run/dolmen/aliases"


def launcher(
    tree: Path,
    *,
    name: str = "dolmen",
    host_files: Path | None = None,
    fallback: str = "",
    shell_environment: Mapping[str, str] | None = None,
    store: Path | None = None,
    guarded: Sequence[Path] = (),
    aliases: bool = False,
    persist: Mapping[str, Path] | None = None,
) -> str:
    """The text of the script `launch` that enters `tree` (absolute, realised, whole).

    `launch [--pure] [--network] [--host-files DIR] [--print] [--] [COMMAND ARGUMENT…]`; without a
    command the user's shell. Called by another name, through a link in a directory `bin` beside
    it (`bin/NAME -> ../launch`), it runs NAME with all its arguments.

    `name` shows in prompts and in DOLMEN_ENVIRONMENT. `host_files` is the directory that
    `host_files()` filled; None: `host` beside the script, so that it may be moved. `fallback` is sh
    text, a command that is executed with the same options and command when the tree or bubblewrap
    is missing; `$dolmen_here` in it is the script's directory. `shell_environment` is set inside
    only. `store` is shown read-only where sharing the user's home would show it writable (None: the
    one whose `trees` directory holds `tree`). With --pure it and what is `guarded` (directories of
    scripts that run outside of the sandbox, absolute) are read-only wherever they are. `aliases`:
    the files in the directory `aliases` beside the script are commands, behind all others.
    `persist` maps directories inside to those of the host that are shown there, writable.

    The script exits with the command's code, 128+N when a signal N ended it, 126 and 127 as sh
    does, 125 when it could not be entered (also where somebody wrote to the command, or to what
    starts with it), 2 on bad usage. Raises OSError when the tree cannot be
    read, DeclarationError ("bad-variable", "bad-text").
    """
    tree = tree.absolute()
    extra = dict(shell_environment or {})
    for variable in extra:
        if not is_variable(variable):
            raise DeclarationError(
                f"{variable!r} cannot be the name of an environment variable",
                reason="bad-variable",
            )
    present = [path for path in FROM_HOST if has_regular(tree, path)]
    identity = [path for path in ("/etc/passwd", "/etc/group") if has_regular(tree, path)]
    if store is None:
        store = tree.parent.parent if tree.parent.name == "trees" else tree
    path = f"{IMAGE_PATH}:{ALIASES}" if aliases else IMAGE_PATH
    watched = _watched(tree)
    kept = {inside: str(outside) for inside, outside in sorted((persist or {}).items())}
    values = {
        "TREE": quote(str(tree)),
        "MARK": quote(tree.name),
        "BWRAP": quote(shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin") or "bwrap"),
        "HOST": '"$dolmen_here/host"' if host_files is None else quote(str(host_files.absolute())),
        "FALLBACK": fallback or ":",
        "NAME": quote(label(name)),
        "PATH": quote(path),
        "OWN_PATH": "yes" if "PATH" in extra else "''",
        "SHELL": quote(image_shell(tree, "/bin/bash")),
        "STORE": quote(str(store.absolute())),
        "GUARDED": words(str(path) for path in (store.absolute(), *guarded)),
        "LOCALES": "yes" if has_locales(tree) else "''",
        "TREE_OPTIONS": words(tree_options(tree)),
        "IDENTITY": " ".join(
            f'--ro-bind "$dolmen_host/{path.rpartition("/")[2]}" {path}' for path in identity
        ),
        "FROM_HOST": words(_from_host(present)),
        "FROM_HOST_CONFINED": words(
            _from_host([path for path in present if path in FROM_HOST_CONFINED])
        ),
        "FROM_HOST_NETWORK": words(
            _from_host([p for p in present if p in ("/etc/resolv.conf", "/etc/hosts")])
        ),
        "VARIABLES": words(
            word
            for variable, value in sorted(extra.items())
            for word in ("--setenv", variable, value)
        ),
        "ALIASES": f'--ro-bind "$dolmen_here/aliases" {ALIASES}' if aliases else "",
        "PERSIST": words(
            word for inside, outside in kept.items() for word in ("--bind", outside, inside)
        ),
        "PERSIST_MISSING": "".join(f" || [ ! -d {quote(outside)} ]" for outside in kept.values()),
        "WATCHING": "yes" if watched else "''",
        "WATCHED": words(str(path) for path in watched),
        "STAMP": STAMP,
        "KERNEL_FILES": words(KERNEL_FILES),
        "FIX_DEVICES": FIX_DEVICES,
        "FILTER": FILTER,
        "CONFINED_FILTER": CONFINED_FILTER,
        "HAS_FALLBACK": "yes" if fallback else "''",
    }
    text = files("dolmen").joinpath("data/launcher.sh").read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], _stripped(text))


def _watched(tree: Path) -> list[Path]:
    """Files that are looked at before every command; none where the tree is not the store's."""
    names = [*_WATCHED]
    names += [f"/{path.relative_to(tree)}" for place in _LOADERS for path in tree.glob(place)]
    found = dict.fromkeys(inner_path(tree, name) for name in names)
    there = [path for path in found if path is not None and path.is_file()]
    return sorted(there) if any(path.stat().st_mtime_ns == 0 for path in there) else []


def _from_host(paths: list[str]) -> list[str]:
    return [word for path in paths for word in ("--ro-bind-try", path, path)]


def _stripped(text: str) -> str:
    """Without comments and indentation, which sh would read at every start; not the head's two."""
    lines = [line.lstrip(" ") for line in text.splitlines(keepends=True)]
    return "".join(lines[:2] + [line for line in lines[2:] if not line.startswith("#")])
