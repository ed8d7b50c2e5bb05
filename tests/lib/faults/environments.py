"""A world with an environment: `here` is its directory, the store lies beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dolmen.environment import Environment, generations, trials, trying
from dolmen.environment.checking import check, line
from dolmen.model import parse_lock, parse_manifest
from dolmen.store import Store
from dolmen.support.run import run
from tests.lib.faults.commands import LocalRooms
from tests.lib.faults.worlds import State, World


class EnvironmentWorld(World):
    """Generations of jq and curl, whatever the preparation makes."""

    @property
    def store(self) -> Path:
        """The store's directory."""
        return self.live / "store"

    def installed(self, *packages: str) -> None:
        """Install one after the other, each a generation."""
        self.ok("install", "--suite", "bookworm", "--dir", str(self.here), packages[0])
        for package in packages[1:]:
            self.ok("install", package)

    def tried(self) -> None:
        """A trial in which curl was installed and a file was written."""
        environment = Environment(self.here)
        os.environ["DOLMEN_TEST_POOL"] = str(self.live / "pool")
        backend = LocalRooms(self.store)
        try:
            trial = trying.begin(environment, "trial", backend=backend)
        finally:
            backend.store.release()
        status = trial.upper / "var/lib/dpkg/status"
        status.parent.mkdir(parents=True)
        text = (trial.tree / "var/lib/dpkg/status").read_text()
        status.write_text(text + text.split("\n\n")[-2].replace("jq", "curl") + "\n\n")
        (trial.upper / "etc").mkdir(exist_ok=True)
        (trial.upper / "etc/new").write_text("tried\n")

    def reset(self) -> None:
        """Back, with trials that know their places again (a copy of one is refused)."""
        super().reset()
        for record in (self.here / ".dolmen/trials").glob("*/trial.json"):
            status = (record.parent / "upper").stat()
            data = json.loads(record.read_text()) | {"place": [status.st_ino, status.st_uid]}
            record.write_text(json.dumps(data))

    def state(self) -> State:
        """What is live, what was, and what is tried; all of it whole, and the live one runs."""
        environment = Environment(self.here)
        if not (self.store / "format").exists():
            assert generations.current_number(environment) is None
            return {"live": ""}
        report = check(Store.open(self.store))
        assert report.whole, [line(fault) for fault in report.faults]
        record = generations.current(environment)
        if record is None:
            return {"live": ""}
        number = record.generation.number
        directory = generations.directory_of(environment, number)
        lock = parse_lock((directory / "dolmen.lock").read_text())
        assert lock.digest() == record.generation.lock_digest, "another lock"
        manifest = parse_manifest((directory / "dolmen.toml").read_text())
        assert manifest.inputs() == lock.inputs, "a manifest that is not the lock's"
        # What the user sees is never empty or torn either.
        parse_manifest(environment.manifest_text())
        text = environment.lock_text()
        assert text is not None, "no lock"
        parse_lock(text)
        names = sorted(p.name for p in lock.packages if p.requested)
        done = run([str(directory / "launch"), "--", "echo", "runs"], timeout=30)
        assert done.stdout == b"runs\n", done
        for name in names:
            assert (record.tree / f"usr/bin/{name}").stat().st_size
        made = [generations.read(environment, n) for n in generations.numbers(environment)]
        marks = [f"{m.generation.number} {m.generation.name}" for m in made if m.generation.pinned]
        # A kill may leave a generation that has never been live, so that numbers differ.
        return {
            "live": f"{lock.suite} {' '.join(names)} {record.generation.image}",
            "first": str(any(m.generation.number == 1 for m in made)),
            "pinned": ", ".join(marks),
            "trials": " ".join(trials.names(environment)),
        }

    def collect(self) -> None:
        """`gc`, with everything that may go."""
        self.ok("gc", "--grace", "0s")
