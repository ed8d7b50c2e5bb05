"""What leaves a repository and comes into another, by turns with the real `ostree` and `tar`."""

from __future__ import annotations

import json
import shutil
import tarfile

import pytest

from dolmen.support.run import run
from tests.lib.command import Dolmen

WHEN = "--timestamp=@1700000000"


class Moving:
    """A directory with a repository of mode archive and two commits of `main`."""

    def __init__(self, dolmen: Dolmen) -> None:
        self.dolmen = dolmen
        self.here = dolmen.directory
        tree = self.here / "tree"
        (tree / "d").mkdir(parents=True)
        (tree / "d/text").write_text("one\n")
        (tree / "d/big").write_bytes(bytes(range(256)) * 6000)
        (tree / "link").symlink_to("d/text")
        self.ours("init", "--mode=archive")
        self.ours("commit", "-b", "main", "-s", "One", WHEN, "tree")
        (tree / "d/text").write_text("two\n")
        (tree / "run").write_text("#!/bin/sh\n")
        (tree / "run").chmod(0o755)
        self.ours("commit", "-b", "main", "-s", "Two", WHEN, "tree")

    def ours(self, *words: str, repo: str = "repo") -> str:
        return self.dolmen.ok("store", f"--repo={repo}", *words, cwd=self.here)

    def refused(self, *words: str, repo: str = "repo") -> str:
        done = self.dolmen("store", f"--repo={repo}", *words, "--json", cwd=self.here)
        assert done.returncode
        return str(json.loads(done.stdout.splitlines()[-1])["error"]["reason"])

    def theirs(self, *words: str, repo: str = "repo") -> str:
        done = run(["ostree", f"--repo={repo}", *words], timeout=60, cwd=self.here)
        assert done.ok, done
        return done.stdout.decode()

    def same(self, one: str, two: str, repo: str = "repo") -> None:
        assert self.theirs("diff", one, two, repo=repo) == ""
        assert self.theirs("ls", "-RCX", one, repo=repo) == self.theirs(
            "ls", "-RCX", two, repo=repo
        )

    def whole(self, repo: str = "repo") -> None:
        self.theirs("fsck", "-q", repo=repo)


@pytest.fixture
def moving(dolmen_command: Dolmen) -> Moving:
    return Moving(dolmen_command)


def test_revert_in_turns(moving: Moving) -> None:
    """`ostree` made the commit that is undone, and reads the one that undoes it."""
    (moving.here / "tree/d/more").write_text("three\n")
    moving.theirs("commit", "-b", "main", "-s", "Three", "tree")
    moving.ours("revert", "main", "main^")
    log = moving.theirs("log", "main")
    assert log.count("\ncommit ") == 3
    assert '    Revert "Two"' in log
    names = moving.theirs("ls", "-R", "main")
    assert "/d/more" in names
    assert "/run" not in names
    assert moving.theirs("cat", "main", "/d/text") == "one\n"
    assert moving.refused("revert", "main", "main~2") == "nothing-to-revert"
    moving.whole()


def test_tars_of_both_programs(moving: Moving) -> None:
    """The same commit by `import` and by `ostree commit --tree=tar`, object by object."""
    for name, argv in {
        "gnu.tar": ["tar", "-C", "tree", "-cf", "gnu.tar", "."],
        "pax.tar.gz": ["tar", "-C", "tree", "--format=pax", "-czf", "pax.tar.gz", "."],
        "x.tar.xz": ["tar", "-C", "tree", "--format=ustar", "-cJf", "x.tar.xz", "."],
    }.items():
        assert run(argv, timeout=60, cwd=moving.here).ok
        moving.ours("import", name, "-b", "ours", WHEN)
        moving.theirs("commit", "-b", "theirs", f"--tree=tar={name}", "--tar-autocreate-parents")
        moving.same("ours", "theirs")
    moving.ours("import", "tree", "-b", "dir")
    moving.theirs("commit", "-b", "plain", "tree")
    moving.same("dir", "plain")
    moving.whole()


def test_containers_go_round(moving: Moving) -> None:
    """Out as an image and in again; tar and sha256sum agree with what the layout says."""
    for compress in ("none", "gzip", "zstd"):
        moving.ours("export", "main", "--format=oci", "-o", "i.tar", f"--compress={compress}")
        moving.ours("import", "i.tar", "-b", f"from-{compress}")
        moving.same("main", f"from-{compress}")
    moving.ours("export", "main", "--format=oci-dir", "-o", "i", "--image=v1")
    blobs = moving.here / "i/blobs/sha256"
    sums = "".join(f"{path.name}  {path}\n" for path in blobs.iterdir())
    assert run(["sha256sum", "-c"], timeout=60, input=sums.encode()).ok
    index = json.loads((moving.here / "i/index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    assert config["created"] == "2023-11-14T22:13:20Z"
    layer = blobs / manifest["layers"][0]["digest"][7:]
    plain = run(["sh", "-c", 'gzip -dc "$0" | sha256sum', str(layer)], timeout=60).stdout.decode()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{plain.split()[0]}"]
    with tarfile.open(layer) as archive:
        assert {"./d/text", "d/text"} & set(archive.getnames())
    moving.whole()


def test_push_to_a_path_and_over_a_connection(moving: Moving) -> None:
    # In place of ssh: the same words, run here by the shell that sshd would start.
    rsh = moving.here / "rsh"
    rsh.write_text('#!/bin/sh\n[ "$1" = host ] || exit 9\nshift\nexec sh -c "$1"\n')
    rsh.chmod(0o755)
    ssh = (f"--rsh={rsh}", f"--program={moving.dolmen.front}", f"host:{moving.here}/far")
    moving.theirs("init", "--mode=bare-user-only", repo="near")
    moving.theirs("init", "--mode=archive", repo="far")
    before = moving.theirs("rev-parse", "main").strip()
    for target, words in (("near", ("near",)), ("far", ssh)):
        moving.ours("push", *words, "main")
        assert moving.theirs("rev-parse", "main", repo=target).strip() == before
        assert moving.theirs("log", "main", repo=target).count("commit ") == 2
        moving.whole(target)
        moving.theirs("commit", "-b", "main", "-s", "Elsewhere", "tree", repo=target)
        assert moving.refused("push", *words, "main") == "not-fast-forward"
        done = moving.dolmen.json(
            *("store", "--repo=repo", "push", "--force", *words, "main"), cwd=moving.here
        )
        assert done["updates"][0]["forced"]
        assert moving.theirs("rev-parse", "main", repo=target).strip() == before
        moving.whole(target)
    assert moving.refused("push", *ssh[:2], f"host:{moving.here}/none", "main") == "no-repository"
    assert moving.refused("push", "--rsh=false", "host:x", "main") == "connection-lost"
    # What was pushed is served as it is.
    moving.theirs("init", repo="reader")
    moving.theirs(
        "remote", "add", "--no-gpg-verify", "far", f"file://{moving.here}/far", repo="reader"
    )
    moving.theirs("pull", "--depth=-1", "far", "main", repo="reader")
    moving.whole("reader")


def test_a_repository_in_a_tar_is_read_by_ostree(moving: Moving) -> None:
    moving.ours("export", "main", "--format=repo", "-o", "main.tar")
    (moving.here / "out").mkdir()
    assert run(["tar", "-C", "out", "-xf", "main.tar"], timeout=60, cwd=moving.here).ok
    assert moving.theirs("log", "main", repo="out") == moving.theirs("log", "main")
    moving.whole("out")
    moving.theirs("init", "--mode=bare-user-only", repo="third")
    moving.ours("import", "main.tar", repo="third")
    assert moving.theirs("log", "main", repo="third") == moving.theirs("log", "main")
    moving.whole("third")


def test_deltas_of_both_programs(moving: Moving) -> None:
    one, two = (moving.theirs("rev-parse", name).strip() for name in ("main^", "main"))
    moving.ours("deltas", "generate", "-q", "main")
    moving.theirs("static-delta", "generate", "--empty", "main")
    listed = moving.theirs("static-delta", "list")
    assert moving.ours("deltas", "list").split() == sorted(listed.split())
    for name in (f"{one}-{two}", two):
        shown = moving.ours("static-delta", "show", name)
        assert shown == moving.theirs("static-delta", "show", name)
        moving.ours("deltas", "verify", name)
    # Ours applied by theirs, theirs by ours.
    moving.ours("deltas", "generate", "-q", "--inline", "--filename=ours.delta", "main")
    moving.theirs("static-delta", "generate", "--inline", "--filename=theirs.delta", "main")
    for repo in ("a", "b"):
        moving.theirs("init", "--mode=bare-user-only", repo=repo)
        moving.theirs("pull-local", "repo", one, repo=repo)
    moving.theirs("static-delta", "apply-offline", "ours.delta", repo="a")
    assert moving.ours("deltas", "apply-offline", "theirs.delta", repo="b").strip() == two
    for repo in ("a", "b"):
        moving.theirs("refs", "--create=main", two, repo=repo)
        moving.whole(repo)
    # A damaged part.
    shutil.copytree(moving.here / "repo", moving.here / "bad")
    (part,) = (moving.here / "bad/deltas").glob("*/*-*/0")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    assert moving.refused("deltas", "verify", f"{one}-{two}", repo="bad") == "bad-delta"
    moving.ours("deltas", "delete", two)
    assert moving.theirs("static-delta", "list").strip() == f"{one}-{two}"


_MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr, timeout=200).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def test_memory_is_bounded(moving: Moving) -> None:
    """A tar with a large file comes in and goes out with less memory than the file is large."""
    size = 128 << 20
    with (moving.here / "zero").open("wb") as stream:
        stream.truncate(size)
    assert run(["tar", "-cf", "zero.tar", "zero"], timeout=60, cwd=moving.here).ok
    moving.ours("init", repo="plain")
    for words in (
        ("import", "zero.tar", "-b", "zero"),
        ("export", "zero", "--format=oci", "-o", "zero.oci.tar"),
        ("import", "zero.oci.tar", "-b", "again"),
    ):
        argv = moving.dolmen.argv("store", "--repo=plain", *words)
        done = run(
            ["/usr/bin/python3", "-c", _MEASURED, *argv],
            timeout=200,
            cwd=moving.here,
            env=moving.dolmen.environment(),
        )
        assert done.ok, done
        assert int(done.stdout) * 1024 < size * 3 // 4, words
