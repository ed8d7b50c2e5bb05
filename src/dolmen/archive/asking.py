"""Questions to libapt: each is one request to a short-lived worker process (archive.worker)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dolmen.archive.ages import frozen_sources
from dolmen.archive.configuration import SourceSet, prepare, source_set
from dolmen.archive.snapshot import effective_uris
from dolmen.archive.sources import DEBIAN_KEYRING, default_sources
from dolmen.model import Manifest
from dolmen.support import settings
from dolmen.support.errors import ArchiveError, HostError
from dolmen.support.events import Emit

PYTHON = "/usr/bin/python3"

#: Seconds without any noticeable transfer before a mirror is given up.
SLOW_SECONDS = 60.0

#: Seconds for a whole request. Slow mirrors are given up much earlier (archive.index).
_TIMEOUT = 1800.0

# -I shuts out PYTHONPATH and the working directory; the tree that this process was loaded from,
# a checkout as well as an installed package, is handed over by hand
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from dolmen.archive.worker import main; raise SystemExit(main())"
)


def sources_seen(manifest: Manifest, state: Path, *, snapshots: str | None = None) -> SourceSet:
    """The sources of a manifest as apt shall see them; writes nothing."""
    sources = frozen_sources(manifest, manifest.sources or default_sources(manifest.suite))
    return source_set(sources, architectures(manifest), state, snapshots=snapshots)


def request(
    task: str,
    chosen: SourceSet,
    manifest: Manifest,
    *,
    refresh: bool | None,
    snapshots: str | None = None,
    slow: float = SLOW_SECONDS,
) -> dict[str, Any]:
    """What every request says; `task` names what the worker shall do (archive.worker)."""
    return {
        "task": task,
        "root": str(chosen.root),
        "marks": str(chosen.root.parent / "marks"),
        "sources": [
            {
                **asdict(source),
                "effective": effective_uris(source, snapshots),
                "key": source.signed_by or str(DEBIAN_KEYRING),
            }
            for source in chosen.sources
        ],
        "suite": manifest.suite,
        "architectures": chosen.architectures,
        "recommends": manifest.recommends,
        "preferences": [asdict(pin) for pin in manifest.pins],
        "refresh": refresh,
        "max_age": settings.seconds("refresh-age"),
        "slow": slow,
        "locked": [],
    }


def architectures(manifest: Manifest) -> tuple[str, ...]:
    """The architectures of a manifest, the native one first; raises HostError ("no-dpkg")."""
    native = manifest.architecture
    if native is None:
        from dolmen.support.run import run

        asked = run(["dpkg", "--print-architecture"], timeout=30)
        if not asked.ok:
            raise HostError("dpkg does not say this host's architecture", reason="no-dpkg")
        native = asked.stdout.decode().strip()
    others = [name for name in manifest.foreign_architectures if name != native]
    return (native, *dict.fromkeys(others))


def ask(chosen: SourceSet, request: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Run one worker; its standard error is kept for the case that it dies without a word."""
    # what follows takes 20 ms to load, and most questions are answered without a worker
    import json
    import subprocess
    import threading

    import dolmen
    from dolmen.archive.protocol import read_line
    from dolmen.archive.storage import storage_error
    from dolmen.support.run import spawn

    try:
        prepare(chosen)
    except OSError as error:
        raise storage_error(error) from None
    assert dolmen.__file__ is not None
    tree = Path(dolmen.__file__).parent.parent
    argv = [PYTHON, "-I", "-c", _START, str(tree)]
    with spawn(
        argv,
        env=chosen.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        noise: list[bytes] = []
        drain = threading.Thread(target=_drain, args=(child.stderr, noise), daemon=True)
        drain.start()
        timer = threading.Timer(_TIMEOUT, child.kill)
        timer.daemon = True
        timer.start()
        try:
            # the pipe stays open: its end tells the worker that we are gone
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            for line in child.stdout:
                result = read_line(line, emit)
                if result is not None:
                    return result
            child.wait(timeout=10)
        except (ValueError, KeyError, TypeError, BrokenPipeError, subprocess.TimeoutExpired):
            pass
        finally:
            timer.cancel()
        drain.join(timeout=1)
    tail = b"".join(noise).decode(errors="replace").strip().split("\n")[-20:]
    raise ArchiveError(
        "the process that runs libapt ended without an answer",
        reason="worker-died",
        context=f"status {child.returncode}; apt's configuration: {chosen.configuration}",
        details=tail,
        hint="dolmen doctor",
    )


def _drain(stream: Any, into: list[bytes]) -> None:
    for chunk in iter(lambda: stream.read1(65536), b""):
        if sum(map(len, into)) < 1 << 20:
            into.append(chunk)
