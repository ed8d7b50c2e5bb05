"""A world with a repository `here`/repo of its own, trees to commit, and another repository."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from dolmen.store.collect import HALF_A_REF
from dolmen.support.run import run
from tests.lib.faults.worlds import State, World

_TEMPORARY = re.compile("here/(repo|other)/tmp/")
WHEN = ("--timestamp=@1000000000",)


class RepositoryWorld(World):
    """Refs of `repo` are what a person sees, and the trees and archives beside it."""

    @property
    def repo(self) -> Path:
        """The repository."""
        return self.here / "repo"

    def filled(self) -> None:
        """A repository with two commits of `main`, a tag, and a tree that differs from both."""
        self.store("init")
        for number in (1, 2):
            self.tree("tree", number)
            self.store("commit", "-b", "main", "-s", f"Number {number}", *WHEN, "tree")
        self.store("refs", "--create=stable", "main^")
        self.tree("tree", 3)

    def tree(self, name: str, number: int) -> None:
        """Write a tree of a few files, links and directories; each number differs."""
        tree = self.here / name
        for path in ("bin", "etc/deep", "share"):
            (tree / path).mkdir(parents=True, exist_ok=True)
        (tree / "bin/tool").write_text(f"#!/bin/sh\necho {number}\n")
        (tree / "bin/tool").chmod(0o755)
        (tree / "etc/deep/conf").write_text("the same\n")
        (tree / f"share/{number}").write_text(f"{number}\n" * 2000)
        if not (tree / "link").is_symlink():
            (tree / "link").symlink_to("bin/tool")

    def store(self, *arguments: str) -> str:
        """A verb of `dolmen store` on the repository."""
        return self.ok("store", "--repo=repo", *arguments)

    def state(self) -> State:
        """Every ref, and what lies beside the repository; all that refs reach is whole."""
        seen = {"repo": ""}
        # A repository that is half made is none; `init` goes on with it.
        parts = ("config", "objects", "refs/heads", "refs/remotes", "tmp/cache", "state")
        if all((self.repo / part).exists() for part in parts):
            refs = self.refs(self.repo)
            seen = {"repo": "there", **refs}
            ended = self.run("store", "--repo=repo", "fsck")
            assert ended.code == 0, ended
            if self.stock:
                done = run(["ostree", f"--repo={self.repo}", "fsck", "-q"], timeout=60)
                assert done.ok, done
            # A pull takes the mark away last, when all is there; the next pull sees to it.
            partial = [p.stem for p in (self.repo / "state").glob("*.commitpartial")]
            seen["partial"] = str(bool(set(partial) & set(refs.values())))
        return {**seen, **self.beside()}

    def listing(self) -> list[str]:
        """Without what libostree itself removes a day later (core.tmp-expiry-secs)."""
        return [path for path in super().listing() if not _TEMPORARY.match(path)]

    #: Whether the program `ostree` is asked as well.
    stock = False

    @staticmethod
    def refs(repo: Path) -> dict[str, str]:
        """Every ref with its commit, read without libostree."""
        base = repo / "refs"
        found = {}
        for path in base.rglob("*"):
            # libostree, killed, leaves half-written refs; a later change removes them.
            half = HALF_A_REF.fullmatch(path.name) or path.name.startswith(".")
            if path.is_file() and not half:
                name = str(path.relative_to(base)).removeprefix("heads/")
                found[f"ref {name}"] = path.read_text().strip()
                assert len(found[f"ref {name}"]) == 64, f"{path} is torn"
        return found

    def beside(self) -> dict[str, str]:
        """Digests of what lies beside the repository; of other repositories their refs."""
        found: dict[str, str] = {}
        for path in sorted(self.here.iterdir()):
            if path.name == "repo" or path.name.startswith("."):
                continue
            if (path / "objects").is_dir():
                found |= {f"{path.name} {ref}": c for ref, c in self.refs(path).items()}
                ended = self.run("store", f"--repo={path.name}", "fsck")
                assert ended.code == 0, ended
            else:
                found[path.name] = digest(path)
        return found

    def collect(self) -> None:
        """`prune` of what no ref needs; the next change tidies up what is half-written."""
        if (self.repo / "config").is_file():
            for path in (*self.repo.iterdir(), *(self.repo / "refs/heads").iterdir()):
                if HALF_A_REF.fullmatch(path.name):
                    os.utime(path, (0, 0))
            self.store("config", "set", "core.tidied", "true")
            self.store("prune", "--refs-only")
        if (self.here / "other/config").is_file():
            self.ok("store", "--repo=other", "prune", "--refs-only")


def digest(path: Path) -> str:
    """Names, kinds, modes and contents of a file or a tree."""
    hashed = hashlib.sha256()
    paths = [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]
    for one in paths:
        status = one.lstat()
        hashed.update(f"{one.relative_to(path)} {status.st_mode:o}\n".encode())
        if one.is_symlink():
            hashed.update(os.fsencode(os.readlink(one)))
        elif one.is_file():
            hashed.update(one.read_bytes())
    return hashed.hexdigest()
