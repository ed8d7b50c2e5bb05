"""`dolmen store` beside `ostree`, in turns on the same repositories; and what generations take."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import trees
from bench.measure import Result, fresh_filesystem
from bench.setting import Place, Setting

_AIM = "no slower than 1.15 times ostree"
_GENERATIONS = 50
_COMMITS = 1000
_REFS = 100
_MANY = ("/usr/bin/python3", "-I", str(Path(__file__).with_name("many.py")))


class Bench:
    """One file system with everything that is measured on it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.root
        self.dolmen = str(place.setting.dolmen)

    def argv(self, program: str, *arguments: str) -> list[str]:
        """The command of one contender."""
        return ["ostree", *arguments] if program == "ostree" else [self.dolmen, "store", *arguments]

    def quiet(self, *argv: str) -> None:
        """Something to prepare."""
        subprocess.run(
            argv,
            cwd=self.root,
            env=self.place.environment,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=1800,
        )

    def case(
        self,
        title: str,
        *arguments: str,
        before: Callable[[], None] | None = None,
        aim: str = _AIM,
        least: int = 0,
        then: str = "",
        then_ostree: str = "",
    ) -> Result:
        """Both run the same arguments in turns, `before` before each; who begins changes.

        `then`: what sh does with the command besides; `then_ostree`: what ostree's needs to have
        done the same work.
        """
        result = Result(f"store: {title}", aim, peer_name="ostree")
        result.figures["load"] = os.getloadavg()[0]
        pairs = []
        for number in range(max(self.place.setting.repeat, least)):
            times = {}
            order = ["ostree", "dolmen"] if number % 2 else ["dolmen", "ostree"]
            for program in order:
                if before is not None:
                    before()
                argv = self.argv(program, *arguments)
                more = then + (then_ostree if program == "ostree" else "")
                if more:
                    argv = ["sh", "-c", f'"$@" {more}', "sh", *argv]
                sample = self.place.run(argv, self.root)
                (result.peer if program == "ostree" else result.dolmen).append(sample)
                times[program] = sample.seconds
            pairs.append(times["dolmen"] / times["ostree"])
        result.figures["of ostree's time, median of pairs"] = statistics.median(pairs)
        return result

    def repository(self, name: str) -> None:
        """A new one, without waiting for the disk: what is measured is the work."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        self.quiet("ostree", f"--repo={name}", "init", "--mode=bare-user")


@contextmanager
def _bench(setting: Setting) -> Iterator[Bench]:
    with fresh_filesystem(setting.filesystem) as root:
        yield Bench(Place(setting, root))


def measure(setting: Setting) -> dict[str, Result]:
    """All cases; the tree has 20 000 files, one in a hundred changes."""
    with _bench(setting) as bench:
        _prepare(bench)
        found = _readers(bench)
        found |= _commits(bench)
        found |= _prune(bench)
        return found


def _prepare(bench: Bench) -> None:
    """The tree, a changed one, and a repository with both, one after the other."""
    trees.many_files(bench.root / "tree")
    shutil.copytree(bench.root / "tree", bench.root / "changed", symlinks=True)
    trees.change(bench.root / "changed")
    bench.repository("first")
    for tree in ("tree", "changed"):
        bench.quiet("ostree", "--repo=first", "commit", "-b", "main", "--fsync=false", tree)


def _commits(bench: Bench) -> dict[str, Result]:
    commit = ("--repo=repo", "commit", "-b", "main", "-s", "x", "--fsync=false")
    whole = bench.case(
        "commit of 20 000 files", *commit, "tree", before=lambda: bench.repository("repo")
    )

    def first() -> None:
        bench.repository("repo")
        bench.quiet("ostree", *commit, "tree")

    more = bench.case("commit of a 1 % change", *commit, "changed", before=first)
    return {"store-commit": whole, "store-change": more}


def _readers(bench: Bench) -> dict[str, Result]:
    bench.quiet("ostree", "--repo=thousand", "init", "--mode=bare-user")
    bench.quiet(*_MANY, "thousand", "log", str(_COMMITS))

    def away() -> None:
        shutil.rmtree(bench.root / "out", ignore_errors=True)

    repo = "--repo=first"
    links = ("checkout", "-U", "-H", "main", "out")
    copies = ("checkout", "-U", "-C", "main", "out")
    found = {
        "store-links": bench.case("checkout by hard links", repo, *links, before=away),
        "store-copies": bench.case("checkout by copies", repo, *copies, before=away),
        "store-ls": bench.case("ls -R of 20 000 files", repo, "ls", "-R", "main"),
        "store-log": bench.case("log of 1000 commits", "--repo=thousand", "log", "main", least=11),
        "store-diff": bench.case("diff of a 1 % change", repo, "diff", "main^", "main"),
        "store-cat": bench.case("rev-parse", repo, "rev-parse", "main", least=21),
        "store-fsck": bench.case("fsck", repo, "fsck", aim="faster than ostree"),
        "store-export": bench.case("export", repo, "export", "main", then="| cat >/dev/null"),
        "store-export-disk": bench.case(
            "export, until it is on the disk (ostree: and sync)",
            *(repo, "export", "main", "-o", "out.tar"),
            then_ostree="&& sync out.tar",
        ),
    }
    away()
    return found


def _prune(bench: Bench) -> dict[str, Result]:
    """100 refs with two commits each, of which one goes."""
    bench.quiet(*_MANY, "first", "refs", str(_REFS))

    def again() -> None:
        shutil.rmtree(bench.root / "repo", ignore_errors=True)
        bench.quiet("cp", "-al", "first", "repo")

    prune = ("--repo=repo", "prune", "--refs-only", "--depth=0")
    return {"store-prune": bench.case("prune with 100 refs", *prune, before=again)}


def generations(setting: Setting) -> Result:
    """How much room 50 generations take that each change ten packages of 200."""
    result = Result(
        "store: 50 generations, ten packages of 200 change in each",
        "a fraction of the trees",
        peer_name="ostree",
    )
    result.figures["load"] = os.getloadavg()[0]
    with _bench(setting) as bench:
        files = trees.packages(bench.root / "tree")
        (bench.root / "password").write_text("restic wants one")
        keepers = {name: keep for name, keep in _KEEPERS.items() if shutil.which(name.split()[0])}
        for prepare, _, _ in keepers.values():
            _each(bench, prepare, 0)
        for mode in ("bare-user", "archive"):
            bench.quiet(*bench.argv("dolmen", f"--repo={mode}", "init", f"--mode={mode}"))
        bench.quiet("ostree", "--repo=peer", "init", "--mode=bare-user")
        summed = 0
        for number in range(_GENERATIONS):
            if number:
                trees.upgrade(files, generation=number)
            summed += trees.total(bench.root / "tree")
            commit = ("commit", "-b", "main", "-s", str(number), "--fsync=false", "tree")
            argv = bench.argv("dolmen", "--repo=bare-user", *commit)
            result.dolmen.append(bench.place.run(argv, bench.root))
            result.peer.append(bench.place.run(["ostree", "--repo=peer", *commit], bench.root))
            bench.quiet(*bench.argv("dolmen", "--repo=archive", *commit))
            for _, keep, _ in keepers.values():
                _each(bench, keep, number)
        first = trees.total(bench.root / "tree")
        result.figures |= {"one tree, MB": first / 1e6, "sum of trees, MB": summed / 1e6}
        for name, place in (
            ("dolmen, mode bare-user", "bare-user"),
            ("dolmen, mode archive", "archive"),
        ):
            result.figures[f"{name}, MB"] = trees.total(bench.root / place) / 1e6
        for name, (_, _, end) in keepers.items():
            _each(bench, end, 0)
            result.figures[f"{name}, MB"] = trees.total(bench.root / f"kept-{name}") / 1e6
    return result


#: Program -> how to begin, how to keep a generation, how to end.
_KEEPERS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "git": (
        ["git", "init", "-q", "--bare", "kept-git"],
        [
            "sh",
            "-c",
            "git --git-dir=kept-git --work-tree=tree add -A && git --git-dir=kept-git"
            " --work-tree=tree -c user.name=x -c user.email=x@example.org commit -q -m {number}",
        ],
        ["git", "--git-dir=kept-git", "gc", "-q"],
    ),
    "borg": (
        ["borg", "init", "--encryption=none", "kept-borg"],
        ["borg", "create", "kept-borg::{number}", "tree"],
        [],
    ),
    "restic": (
        ["restic", "-q", "-p", "password", "-r", "kept-restic", "init"],
        ["restic", "-q", "-p", "password", "-r", "kept-restic", "backup", "tree"],
        [],
    ),
}


def _each(bench: Bench, argv: list[str], number: int) -> None:
    if argv:
        bench.quiet(*(word.format(number=number) for word in argv))
