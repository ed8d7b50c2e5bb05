"""What an image declares about its own updates: `[system.update]` of the manifest inside it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dolmen.store.sysroot import Deployment, Sysroot

#: The manifest and the lock that an image was made from, in its own tree.
MANIFEST = "usr/share/dolmen/dolmen.toml"
LOCK = "usr/share/dolmen/dolmen.lock"
#: The key that its updates are signed with, where the manifest names one.
KEY = "usr/share/dolmen/update.gpg"
#: An administrator's own choice, in place of the image's.
OVERRIDE = "etc/dolmen/update.toml"
#: What the source is called in the repository, whatever it is: the keys of this remote are
#: those that were named for it, and no others (the image's own in /etc/ostree is for `ostree`).
REMOTE = "dolmen"


@dataclass(frozen=True, slots=True)
class UpdateSource:
    """Where updates come from.

    `url`: an archive repository over HTTP, or "". `ref`: its branch. `key`: path of the key (in the
    deployment's tree) that commits must be signed with. `keep`: further deployments to keep.
    `directory`: of a manifest to build from instead. `remote`: what the source is called in the
    repository. `signed`: whether a signature is asked for.
    """

    url: str = ""
    ref: str = ""
    key: Path | None = None
    keep: int = 0
    directory: Path | None = None
    remote: str = REMOTE
    signed: bool = True


def declared_update(sysroot: Sysroot, deployment: Deployment | None = None) -> UpdateSource:
    """What the running image (or another deployment's) declares, and /etc/dolmen/update.toml."""
    source = deployment or sysroot.current()
    if source is None:
        return UpdateSource()
    image = _table(sysroot.read_file(source, MANIFEST), "system", "update")
    found = _with(UpdateSource(), image, source.path, "usr/share/dolmen")
    default = source.path / KEY
    if found.key is None and default.is_file():
        found = replace(found, key=default)
    return _with(found, _table(sysroot.read_file(source, OVERRIDE)), source.path, "etc/dolmen")


def _with(found: UpdateSource, table: dict[str, Any], root: Path, beside: str) -> UpdateSource:
    changes: dict[str, Any] = {}
    for name in ("url", "ref"):
        if isinstance(table.get(name), str):
            changes[name] = table[name]
    if type(table.get("keep")) is int and table["keep"] >= 0:
        changes["keep"] = table["keep"]
    if isinstance(table.get("directory"), str):
        changes["directory"] = Path(table["directory"])
    key = table.get("key")
    if isinstance(key, str) and key and not key.startswith("-----"):
        # Absolute ones are the deployment's own.
        path = root / (key.lstrip("/") if key.startswith("/") else f"{beside}/{key}")
        if path.is_file():
            changes["key"] = path
    return replace(found, **changes)


def _table(content: bytes | None, *names: str) -> dict[str, Any]:
    try:
        table: Any = tomllib.loads((content or b"").decode())
    except ValueError:  # also of what is no UTF-8
        return {}
    for name in names:
        table = table.get(name, {}) if isinstance(table, dict) else {}
    return table if isinstance(table, dict) else {}
