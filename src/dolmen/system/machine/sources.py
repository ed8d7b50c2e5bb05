"""Where a machine's next image comes from: its origin, its image's declaration, its administrator.

The origin of the deployment that is started next counts first (`rebase` writes it), then
/etc/dolmen/update.toml, then `[system.update]` of the manifest inside the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.support.errors import MachineError
from dolmen.support.files import write_atomic
from dolmen.system.machine.declared import UpdateSource, declared_update
from dolmen.system.machine.roles import next_started


def update_source(sysroot: Sysroot, deployment: Deployment | None = None) -> UpdateSource:
    """Raises MachineError ("no-update-source") where nothing says."""
    source = deployment or next_started(sysroot)
    found = declared_update(sysroot, source)
    if source is not None:
        found = with_origin(sysroot, found, source.origin)
    if found.directory is None and not (found.url and found.ref):
        raise MachineError(
            "nothing says where updates come from",
            reason="no-update-source",
            context="the image declares no [system.update] with url and ref",
            hint="dolmen system rebase URL REF --key=FILE; or dolmen system deploy /etc/dolmen",
        )
    return found


def with_origin(
    sysroot: Sysroot, found: UpdateSource, origin: Mapping[str, Mapping[str, str]]
) -> UpdateSource:
    """A source with what an origin says instead."""
    own = origin.get("dolmen", {})
    if own.get("directory"):
        return replace(found, directory=Path(own["directory"]))
    key = own.get("key", "")
    return replace(
        found,
        directory=None if own.get("url") else found.directory,
        url=own.get("url") or found.url,
        ref=own.get("ref") or found.ref,
        key=sysroot.path / "ostree/dolmen" / Path(key).name if key else found.key,
        signed=own.get("signed") != "false",
    )


def keep_key(sysroot: Sysroot, file: Path) -> str:
    """Put a key beside the deployments; what an origin calls it."""
    content = file.read_bytes()
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.gpg"
    directory = sysroot.path / "ostree/dolmen"
    directory.mkdir(exist_ok=True)
    write_atomic(directory / name, content)
    return name


def key_of(source: UpdateSource) -> bytes | None:
    """The key that updates must be signed with; None where they need not be.

    Raises MachineError ("no-key").
    """
    if not source.signed:
        return None
    if source.key is None:
        raise MachineError(
            "nothing says whose signature updates must have",
            reason="no-key",
            context=source.url,
            hint="dolmen system rebase URL REF --key=FILE "
            "(or key = in [system.update] of the image's manifest)",
        )
    try:
        return source.key.read_bytes()
    except OSError as error:
        raise MachineError(
            f"the key that updates are signed with cannot be read: {error.strerror}",
            reason="no-key",
            context=str(source.key),
            hint="dolmen system rebase URL REF --key=FILE",
        ) from None
