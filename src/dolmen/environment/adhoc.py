"""Environments without a directory of the user's: `dolmen shell -p jq`.

They lie in the store, as environments like any other:

```
STORE/shells/names/bookworm,jq,curl -> ../HEX     what was typed (the sh front looks here)
STORE/shells/HEX/                                 by the lock it resolved to: dolmen.toml, .dolmen/
STORE/shells/HEX/.dolmen/used                     its mtime is the last entry
```

One that was not entered for a week is removed when the next new one is made.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.backend import Backend
from dolmen.environment.layout import Environment
from dolmen.environment.operations import sync
from dolmen.environment.settling import is_whole, replace_text
from dolmen.environment.starting import host_suite
from dolmen.model import Spec, parse_manifest, render_lock
from dolmen.model.digest import digest_text
from dolmen.model.editing import add_packages, new_manifest
from dolmen.support import settings
from dolmen.support.clock import wall
from dolmen.support.errors import HostError
from dolmen.support.events import Emit, ignore
from dolmen.support.files import remove_tree, symlink_atomic
from dolmen.support.locking import locked

EXPIRY_SECONDS = 7 * 86400
_LEAST_SECONDS = 3600.0
USED = "used"
#: What a name may be to serve as a file name as it is; the front knows the same rule.
_PLAIN = re.compile(r"[A-Za-z0-9.+:=~,-]{1,200}")


def ad_hoc(
    specs: Sequence[Spec],
    *,
    backend: Backend,
    suite: str | None = None,
    refresh: bool | None = None,
    emit: Emit = ignore,
) -> Environment:
    """The environment of these packages, made if need be; entered, it counts as used now."""
    suite = suite or host_suite()
    shells = backend.store_path / "shells"
    name = shells / "names" / name_of(suite, specs)
    known = _known(name)
    if known is not None and not refresh:
        touch(known)
        return known
    text = add_packages(new_manifest(suite), specs)
    manifest = parse_manifest(text)
    backend.make_store()
    with _held(shells, emit):
        lock = backend.solve(manifest, refresh=refresh, emit=emit)
        environment = Environment(shells / lock.digest()[:40])
        environment.directory.mkdir(parents=True, exist_ok=True)
        environment.create_state()
        touch(environment)
        # Several manifests may resolve to one lock; the first one's stays.
        if not environment.manifest.exists():
            replace_text(environment.manifest, text)
        if environment.lock_text() is None:
            replace_text(environment.lock, render_lock(lock))
    label = "+".join(spec.name for spec in specs)
    sync(environment, backend=backend, command="shell", mode="frozen", name=label, emit=emit)
    with _held(shells, emit):
        if environment.manifest.exists():
            name.parent.mkdir(exist_ok=True)
            symlink_atomic(name, f"../{environment.directory.name}")
        expire(backend, age=expiry())
    return environment


def name_of(suite: str, specs: Sequence[Spec]) -> str:
    """The file name under which the front finds what was typed, in the order it was typed."""
    text = ",".join([suite, *map(str, specs)])
    return text if _PLAIN.fullmatch(text) else f"sha256-{digest_text(text)}"


def touch(environment: Environment) -> None:
    """Note that an environment was used just now."""
    with contextlib.suppress(OSError):
        (environment.state / USED).write_text("")


def expiry() -> float:
    """The age at which an unused one goes: the setting, but never what somebody just made."""
    chosen = settings.seconds("gc.shells")
    return EXPIRY_SECONDS if chosen is None else max(chosen, _LEAST_SECONDS)


def expired(shells: Path, age: float = EXPIRY_SECONDS) -> tuple[Path, ...]:
    """What was not entered for `age` seconds."""
    limit = wall() - age
    gone: list[Path] = []
    for entry in sorted(shells.iterdir()) if shells.is_dir() else ():
        if entry.name == "names" or not entry.is_dir():
            continue
        try:
            used = (entry / ".dolmen" / USED).stat().st_mtime
        except FileNotFoundError:
            used = entry.stat().st_mtime
        if used < limit:
            gone.append(entry)
    return tuple(gone)


def expire(backend: Backend, *, age: float = EXPIRY_SECONDS) -> tuple[Path, ...]:
    """Remove what was not entered for `age` seconds; with the lock of all shells held."""
    shells = backend.store_path / "shells"
    gone = expired(shells, age)
    for directory in gone:
        backend.forget(directory)
        remove_tree(directory)
    names = shells / "names"
    for link in list(names.iterdir()) if names.is_dir() else []:
        if not link.exists():
            link.unlink(missing_ok=True)
    return gone


def expire_held(
    backend: Backend, *, age: float = EXPIRY_SECONDS, emit: Emit = ignore
) -> tuple[Path, ...]:
    """The same, taking the lock."""
    with _held(backend.store_path / "shells", emit):
        return expire(backend, age=age)


def _known(name: Path) -> Environment | None:
    """A cached environment that is whole; its lock was resolved when it was made."""
    try:
        target = os.readlink(name)
    except OSError:
        return None
    environment = Environment(name.parent.parent / os.path.basename(target))
    live = generations.current(environment)
    return environment if live is not None and is_whole(environment, live) else None


@contextlib.contextmanager
def _held(shells: Path, emit: Emit) -> Iterator[None]:
    try:
        shells.mkdir(exist_ok=True, mode=0o755)
    except OSError as error:
        raise HostError(
            f"cannot write to the store: {error.strerror}", reason="read-only", context=str(shells)
        ) from error
    with locked(shells / ".lock", what="the ad-hoc environments", emit=emit):
        yield
