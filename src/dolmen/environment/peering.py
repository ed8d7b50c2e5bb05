"""The peers of a repair: other stores and repositories, on this machine or served over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dolmen.store.peers import Peer
from dolmen.support import settings
from dolmen.support.errors import ArchiveError, UsageError

_SCHEMES = ("http://", "https://")
_LARGEST = 4 << 30


def named_peers(given: Iterable[str]) -> tuple[str, ...]:
    """Those that were named, then those of the settings (`peers`); paths are made absolute."""
    words = [*given, *str(settings.get("peers") or "").split()]
    found = [word if word.startswith(_SCHEMES) else str(Path(word).absolute()) for word in words]
    return tuple(dict.fromkeys(found))


def open_peer(name: str, work: Path) -> Peer:
    """A peer by path or address; what comes over the network lies in `work`.

    Raises StoreError ("no-repository"), ArchiveError ("peer-failed"), UsageError.
    """
    if not name.startswith(_SCHEMES):
        if "://" in name:
            raise UsageError(f"no way to {name}", hint="a path, or an address with http or https")
        return Peer.local(Path(name))
    from dolmen.archive.transport import GoneError, RefusedError, Transport, UnavailableError

    transport = Transport()
    base = name.rstrip("/")

    def fetch(path: str, target: Path) -> bool:
        try:
            body = transport.get(f"{base}/{path}")
            size = 0
            with target.open("wb") as stream:
                for piece in body.chunks:
                    size += len(piece)
                    if size > _LARGEST:
                        return False
                    stream.write(piece)
        except GoneError:
            return False
        except (UnavailableError, RefusedError) as error:
            raise ArchiveError(
                f"{base} gives nothing: {error}",
                reason="peer-failed",
                hint="name another: dolmen repair --from PATH",
            ) from None
        return body.total is None or body.total == size

    return Peer.remote(base, work, fetch)
