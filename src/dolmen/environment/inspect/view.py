"""What is looked at: a manifest's sources, and where there is an environment, what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.backend import Backend
from dolmen.environment.layout import Environment
from dolmen.environment.placing import placed
from dolmen.model import Lock, Manifest, parse_lock, parse_manifest
from dolmen.support.errors import DeclarationError, StaleError

_STANZA = re.compile(
    r"^Package: (?P<name>.*)\n(?:(?!\n).*\n)*?Version: (?P<version>.*)\n"
    r"(?:(?!\n).*\n)*?Architecture: (?P<architecture>.*)\n",
    re.MULTILINE,
)
_AGE = re.compile(r"^ ([1-9][0-9]*[dw]) ([0-9]{8}T[0-9]{6}Z)$", re.MULTILINE)
_ARCHITECTURE = re.compile(r"^Architectures: ([a-z0-9-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class View:
    """`environment` is None outside of one; `state` is where the archive room keeps its files."""

    manifest: Manifest
    state: Path
    environment: Environment | None = None
    lock_text: str | None = None

    def lock(self) -> Lock:
        """The lock; raises StaleError ("no-lock") and DeclarationError ("no-environment")."""
        if self.environment is None:
            raise DeclarationError(
                "there is no dolmen.toml here, nor in any directory above",
                reason="no-environment",
                hint="dolmen init",
            )
        if self.lock_text is None:
            raise StaleError(
                "there is no dolmen.lock yet",
                reason="no-lock",
                context=str(self.environment.directory),
                hint="dolmen install",
            )
        live = generations.current(self.environment)
        return _parsed(self.lock_text).selected(live.groups if live else ())

    def installed(self) -> dict[str, str]:
        """Name -> version of what the lock holds, in one architecture where there are several.

        Read without the checks of `lock`: it only marks lines of lists.
        """
        found: dict[str, str] = {}
        for match in _STANZA.finditer(self.lock_text or ""):
            found.setdefault(match["name"], match["version"])
        return found

    def tree(self) -> Path | None:
        """The live generation's realised tree, where it was made from this lock."""
        if self.environment is None or self.lock_text is None:
            return None
        from dolmen.environment import generations

        live = generations.current(self.environment)
        if live is None or not (live.tree / "usr").is_dir():
            return None
        copy = generations.directory_of(self.environment, live.generation.number) / "dolmen.lock"
        try:
            same = copy.read_text() == self.lock_text
        except (OSError, UnicodeDecodeError):
            return None
        return live.tree if same else None


@lru_cache(2)
def _parsed(text: str) -> Lock:
    return parse_lock(text)


def view(environment: Environment | None, *, backend: Backend, suite: str | None = None) -> View:
    """Look at an environment; without one, or with `suite`, at what that suite's archive offers.

    The suite is the host's where nothing names one. Raises DeclarationError.
    """
    state = backend.store_path / "archive"
    if not state.is_dir():
        state = backend.make_store() / "archive"
    if environment is None or suite is not None:
        if suite is None:
            from dolmen.environment.starting import host_suite

            suite = host_suite()
        return View(Manifest(suite), state)
    manifest = parse_manifest(environment.manifest_text())
    lock_text = environment.lock_text()
    ages = dict(_AGE.findall((lock_text or "").partition("\n\n")[0]))
    manifest = placed(manifest, environment.directory, ages)
    found = _ARCHITECTURE.search(lock_text or "", 0, 1000)
    if manifest.architecture is None and found is not None:
        # the environment is what its lock says; asking dpkg for this host's takes 10 ms
        manifest = replace(manifest, architecture=found[1])
    return View(manifest, state, environment, lock_text)
