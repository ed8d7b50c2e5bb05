"""The talk's walk through libostree: the same commands by `dolmen store` and by `ostree`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dolmen.support.run import run
from tests.lib.command import Dolmen
from tests.lib.transcript import read_steps, typist

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs/store.md"
MODES = ("bare-user", "bare-user-only", "archive")
#: Commands that only read, and whose output is the same whoever gives it.
READS = (
    ("log", "main"),
    ("show", "main^"),
    ("show", "--raw", "main"),
    ("ls", "main"),
    ("ls", "-R", "main"),
    ("ls", "-R", "-C", "-X", "main", "/server"),
    ("ls", "-d", "main", "/server", "/link"),
    ("cat", "main", "server/app.sh"),
    ("cat", "main^", "server/app.sh"),
    ("rev-parse", "main"),
    ("rev-parse", "main^"),
    ("refs",),
    ("refs", "--list", "debian"),
    ("refs", "debian"),
    ("diff", "main"),
    ("diff", "main^", "main"),
)


@dataclass(frozen=True, slots=True)
class Both:
    """Two programs that work on one repository in turns."""

    dolmen: Dolmen
    directory: Path

    def ours(self, *words: str) -> str:
        return self.dolmen.ok("store", "--repo=repo", *words, cwd=self.directory)

    def theirs(self, *words: str) -> str:
        done = run(["ostree", "--repo=repo", *words], timeout=60, cwd=self.directory)
        assert done.ok, done
        return done.stdout.decode()

    def agree(self, *words: str) -> str:
        """Both say the same."""
        ours, theirs = self.ours(*words), self.theirs(*words)
        assert ours == theirs, words
        return ours

    def refused(self, *words: str) -> tuple[int, bytes]:
        done = self.dolmen("store", "--repo=repo", *words, cwd=self.directory)
        assert done.returncode > 0
        return done.returncode, done.stderr

    def app(self, text: str) -> None:
        (self.directory / "tree/server/app.sh").write_text(text)

    @property
    def tree(self) -> str:
        return (self.directory / "tree/server/app.sh").read_text()


@pytest.fixture
def both(dolmen_command: Dolmen) -> Both:
    (dolmen_command.directory / "tree/server").mkdir(parents=True)
    (dolmen_command.directory / "tree/link").symlink_to("server/app.sh")
    return Both(dolmen_command, dolmen_command.directory)


def walk(
    both: Both, writers: tuple[Callable[..., str], Callable[..., str]], *, reads: int = 3
) -> None:
    """The talk's commands; the two writers take turns."""
    first, second = writers
    both.app("python3 -m http.server\n")
    one = first("commit", "--branch=main", "--subject=Created server", "tree/").strip()
    both.app("echo 'Running'\npython3 -m http.server\n")
    two = second("commit", "--branch=main", "--subject=Added logging", "tree/").strip()
    both.app("echo 'Running'\npython3 -m ftp.server\n")
    three = first("commit", "--branch=main", "--subject=Updated to FTP", "tree/").strip()
    second("refs", "--create=debian/stable", two)
    for words in READS[:reads]:
        assert both.agree(*words), words
    log = both.agree("log", "main")
    assert re.findall("^commit (.*)$", log, re.MULTILINE) == [three, two, one]
    assert "    Added logging\n" in log
    assert both.agree("cat", one[:8], "server/app.sh") == "python3 -m http.server\n"
    assert both.agree("rev-parse", two[:6]) == f"{two}\n"
    assert both.ours("rev-parse", "main~2") == f"{one}\n"
    first("reset", "main", two[:5])
    assert both.agree("rev-parse", "main") == f"{two}\n"
    assert both.tree.endswith("ftp.server\n")
    second("checkout", "-U", "--union", two[:5], "tree/")
    assert both.tree == "echo 'Running'\npython3 -m http.server\n"
    # The one says what would go, the other takes it away.
    gone = both.ours("prune", "--refs-only", "--no-prune")
    assert "Would delete" in gone
    first("prune", "--refs-only")
    assert both.agree("prune", "--refs-only").endswith("No unreachable objects\n")
    both.theirs("fsck", "-q")
    assert "no errors found" in both.ours("fsck")


@pytest.mark.parametrize("mode", MODES)
def test_the_walk_by_turns(both: Both, mode: str) -> None:
    both.ours("init", f"--mode={mode}")
    walk(both, (both.ours, both.theirs), reads=len(READS) if mode == "bare-user" else 4)


@pytest.mark.parametrize("mode", MODES)
def test_the_walk_the_other_way_round(both: Both, mode: str) -> None:
    both.theirs("init", f"--mode={mode}")
    walk(both, (both.theirs, both.ours))


@pytest.mark.root
def test_the_walk_of_a_bare_repository(both: Both) -> None:
    both.ours("init", "--mode=bare")
    walk(both, (both.ours, both.theirs))


def test_the_same_commit(both: Both) -> None:
    """Whoever commits: the same checksum, hence the same bytes in every object."""
    both.ours("init")
    both.app("x\n")
    words = ("--timestamp=2020-01-02 03:04:05 +0200", "-s", "S", "-m", "B", "--parent=none")
    for more in ((), ("--owner-uid=7", "--owner-gid=8"), ("--no-xattrs", "--no-bindings")):
        ours = both.ours("commit", "-b", "main", *words, *more, "tree")
        assert ours == both.theirs("commit", "-b", "main", *words, *more, "tree")
    assert "-00644 7 8" in both.ours(
        "ls",
        both.ours("commit", "--orphan", "--owner-uid=7", "--owner-gid=8", "tree").strip(),
        "server/app.sh",
    )


def test_tars_go_round(both: Both) -> None:
    both.ours("init")
    both.app("x\n")
    (both.directory / "tree/same").write_text("x\n")
    both.ours("commit", "-b", "main", "tree", "--timestamp=@1")
    for end in ("tar", "tar.gz", "tar.zst"):
        if end == "tar.zst" and shutil.which("zstd") is None:
            continue
        both.ours("export", "main", "-o", f"one.{end}")
        both.ours("export", "main", "-o", f"two.{end}")
        one, two = ((both.directory / f"{name}.{end}").read_bytes() for name in ("one", "two"))
        assert one == two
        for program in (both.ours, both.theirs):
            if end != "tar.zst":  # libarchive of bookworm runs a program for it
                program("commit", "-b", "tar", f"--tree=tar=one.{end}")
                assert both.agree("diff", "main", "tar") == ""
    (both.directory / "theirs").mkdir()
    (both.directory / "theirs.tar").write_bytes(both.theirs("export", "main").encode())
    both.ours("commit", "-b", "theirs", "--tree=tar=theirs.tar")
    assert both.agree("diff", "main", "theirs") == ""


def test_nothing_changed(both: Both) -> None:
    both.ours("init")
    both.app("x\n")
    before = both.ours("commit", "-b", "main", "tree")
    assert both.ours("commit", "-b", "main", "--skip-if-unchanged", "tree") == before
    assert both.ours("commit", "-b", "main", "--no-change", "tree") == before
    both.app("y\n")
    assert both.ours("commit", "-b", "main", "--no-change", "tree") != before


def test_a_directory_is_compared_as_it_would_be_committed(both: Both) -> None:
    both.ours("init")
    both.app("x\n")
    both.ours("commit", "-b", "main", "tree")
    assert both.agree("diff", "main", "./tree") == ""
    both.app("y\n")
    (both.directory / "tree/link").unlink()
    (both.directory / "tree/new").mkdir()
    (both.directory / "tree/server").chmod(0o700)
    found = both.agree("diff", "main", "./tree")
    assert sorted(found.split("\n")[:-1]) == [
        "A    new",
        "D    /link",
        "M    /server",
        "M    /server/app.sh",
    ]


def test_damage_is_told_until_it_is_mended(both: Both) -> None:
    both.ours("init", "--mode=archive")
    both.app("x\n")
    commit = both.ours("commit", "-b", "main", "tree").strip()
    shutil.copytree(both.directory / "repo", both.directory / "good")
    name = both.ours("ls", "-C", "main", "server/app.sh").split()[4]
    damaged = both.directory / f"repo/objects/{name[:2]}/{name[2:]}.filez"
    both.ours("fsck")
    damaged.chmod(0o644)
    damaged.write_bytes(b"nothing of the kind")
    code, said = both.refused("fsck", "--delete")
    assert code == 7
    assert name.encode() in said
    assert commit.encode() in said
    assert not damaged.exists()
    assert both.refused("fsck")[0] == 7
    both.ours("pull-local", "good", "main")
    assert "no errors found" in both.ours("fsck")


def test_pull_over_http(both: Both) -> None:
    both.ours("init")
    both.app("x\n")
    served = ("store", "--repo=served")
    both.dolmen.ok(*served, "init", "--mode=archive")
    made = both.dolmen.ok(*served, "commit", "-b", "main", "tree")
    both.dolmen.ok(*served, "summary", "-u")
    handler = partial(SimpleHTTPRequestHandler, directory=str(both.directory / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        both.ours("remote", "add", "--no-gpg-verify", "origin", url)
        assert both.agree("remote", "list", "-u") == f"origin  {url}\n"
        assert "objects fetched" in both.ours("pull", "origin", "main")
        assert both.agree("rev-parse", "origin:main") == made
        # With keys to be asked for, and none that signed it, nothing comes.
        both.ours("remote", "add", "--set=gpg-verify=true", "strict", url)
        assert both.refused("pull", "strict", "main")[0] == 7
        server.shutdown()
    both.theirs("fsck", "-q")
    both.ours("remote", "delete", "strict")
    assert both.ours("remote", "list") == "origin\n"


def test_refusals(both: Both) -> None:
    assert both.refused("log", "main")[0] == 7
    both.ours("init")
    both.app("x\n")
    both.ours("commit", "-b", "main", "tree")
    both.ours("tag", "v1", "main")
    assert both.agree("rev-parse", "v1") == both.ours("rev-parse", "main")
    both.ours("config", "set", "core.fsync", "false")
    assert both.agree("config", "get", "core.fsync") == "false\n"
    both.ours("config", "unset", "core.fsync")
    for words in (
        ("config", "get", "core.fsync"),
        ("tag", "v1", "main"),
        ("log", "none"),
        ("rev-parse", "main^"),
        ("cat", "main", "none"),
        ("cat", "main", "server"),
        ("ls", "main", "server/app.sh/below"),
        ("reset", "none", "main"),
        ("checkout", "main", "tree"),
        ("refs", "--create=main", "main"),
    ):
        assert both.refused(*words)[0] == 7, words
    assert both.refused("commit", "tree")[0] == 2


def test_the_stores_own_repository(dolmen_command: Dolmen) -> None:
    """One's own branches are kept there, the store's own refs are not to be touched."""
    (dolmen_command.directory / "tree").mkdir()
    made = dolmen_command.ok("store", "commit", "-b", "mine", "tree")
    assert dolmen_command.ok("store", "rev-parse", "mine") == made
    assert dolmen_command("store", "prune").returncode == 7
    assert dolmen_command("store", "refs", "--create=deb/x", "mine").returncode == 7
    assert dolmen_command("store", "commit", "-b", "image/x", "tree").returncode == 7
    dolmen_command.ok("gc")
    assert dolmen_command.ok("store", "rev-parse", "mine") == made
    assert "no errors found" in dolmen_command.ok("store", "fsck")


def test_the_document(dolmen_command: Dolmen, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "dolmen").write_text(f'#!/bin/sh\nexec {dolmen_command.front} "$@"\n')
    (programs / "dolmen").chmod(0o755)
    env = {
        **dolmen_command.environment(),
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
    }
    steps = read_steps(DOCUMENT)
    assert len(steps) > 20
    with typist(["bash"], cwd=dolmen_command.directory, env=env) as bash:
        bash.type("umask 022", 10)
        for step in steps:
            output, status = bash.type(step.command, 60)
            where = f"{DOCUMENT.name}:{step.line}: {step.command}"
            assert (status != 0) == step.fails, f"{where}: status {status}\n{output}"
            assert step.matches(output), f"{where}\n{output}\nbut it says\n{step.expected}"
