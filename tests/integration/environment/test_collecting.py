"""Eight who install and three who collect, in one store, again and again."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dolmen.environment import Environment, generations
from dolmen.store import Store
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run

ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("collecting_driver.py")
TIMES = 6


def test_nobody_loses_anything(store_dir: Path, tmp_path: Path) -> None:
    Store.open(store_dir)
    directories = [tmp_path / f"project-{number}" for number in range(8)]
    for directory in directories:
        directory.mkdir()

    def start(directory: str) -> Completed:
        path = f"{ROOT / 'src'}:{ROOT}"
        argv = [sys.executable, str(DRIVER), str(store_dir), directory, str(TIMES)]
        return run(argv, timeout=240, env={**CLEAN_ENVIRONMENT, "PYTHONPATH": path})

    with ThreadPoolExecutor(11) as pool:
        collectors = [pool.submit(start, "-") for _ in range(3)]
        done = list(pool.map(start, map(str, directories)))
        (store_dir.parent / "stop").touch()
        done += [collector.result() for collector in collectors]
    assert [(one.returncode, one.stderr[-500:]) for one in done] == [(0, b"")] * 11

    store = Store.open(store_dir)
    inventory = store.inventory()
    for directory in directories:
        environment = Environment(directory)
        assert generations.current_number(environment) == TIMES
        installs = [e for e in generations.read_history(environment) if not e.note]
        assert [entry.after for entry in installs] == list(range(1, TIMES + 1))
        for number in generations.numbers(environment):
            record = generations.read(environment, number)
            text = (record.tree / "usr/bin/jq").read_text()
            assert f"={number}.0\n" in text
            commit = store.resolve(f"image/{record.generation.image}")
            assert commit is not None
            for checksum, kind in inventory.reach([commit]):
                assert os.path.lexists(store._objects.path(checksum, kind))
    assert not inventory.damaged
