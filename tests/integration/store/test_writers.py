"""Eight who write into one repository by the verbs of `dolmen store`, and two who collect there."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dolmen.support.run import Completed, run
from tests.lib.command import Dolmen

WRITERS, TIMES = 8, 4


def test_nobody_loses_a_commit(dolmen_command: Dolmen, tmp_path: Path) -> None:
    """Each has a branch and a tag; pulls, resets and prunes go on beside."""
    dolmen = dolmen_command
    here = dolmen.directory
    dolmen.ok("store", "--repo=repo", "init")
    dolmen.ok("store", "--repo=other", "init", "--mode=archive")
    for number in range(WRITERS):
        for time in range(TIMES):
            tree = here / f"tree-{number}-{time}"
            (tree / "deep").mkdir(parents=True)
            (tree / "deep/mine").write_text(f"{number} {time}\n" * 200)
            (tree / "common").write_text("the same in all\n" * 200)
    dolmen.ok("store", "--repo=other", "commit", "-b", "theirs", "tree-0-0")
    stop = tmp_path / "stop"

    def write(number: int) -> list[Completed]:
        done = []
        for time in range(TIMES):
            name = f"writers/{number}"
            tree = f"tree-{number}-{time}"
            done.append(dolmen("store", "--repo=repo", "commit", "-b", name, tree))
            done.append(dolmen("store", "--repo=repo", "tag", f"{number}-{time}", name))
            if number % 2:
                done.append(dolmen("store", "--repo=repo", "pull-local", "other", "theirs"))
        return done

    def collect(_number: int) -> list[Completed]:
        done = []
        while not stop.exists():
            done.append(dolmen("store", "--repo=repo", "prune", "--refs-only"))
        return done

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        collectors = [pool.submit(collect, number) for number in range(2)]
        written = [one for done in pool.map(write, range(WRITERS)) for one in done]
        stop.touch()
        pruned = [one for collector in collectors for one in collector.result()]
    failed = [(one.argv, one.stderr[-400:]) for one in (*written, *pruned) if not one.ok]
    assert failed == []
    assert pruned
    refs = set(dolmen.ok("store", "--repo=repo", "refs").split())
    tags = {f"{number}-{time}" for number in range(WRITERS) for time in range(TIMES)}
    assert refs == tags | {f"writers/{number}" for number in range(WRITERS)} | {"theirs"}
    for number in range(WRITERS):
        log = dolmen.ok("store", "--repo=repo", "log", f"writers/{number}")
        assert len(re.findall("^commit ", log, re.M)) == TIMES
        for time in range(TIMES):
            found = dolmen.ok("store", "--repo=repo", "cat", f"{number}-{time}", "deep/mine")
            assert found == f"{number} {time}\n" * 200
    for program in (["ostree"], dolmen.argv("store")):
        done = run([*program, f"--repo={here / 'repo'}", "fsck"], timeout=120)
        assert done.ok, done
    assert (
        b"No unreachable objects"
        in run(["ostree", f"--repo={here / 'repo'}", "prune", "--refs-only"], timeout=60).stdout
    )
