"""A repository over HTTP: pulled from by `ostree`, pushed to with a token, and asked badly."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dolmen.support.run import run, spawn
from tests.lib.command import Dolmen


@dataclass
class Served:
    """A served repository, and another one with two commits."""

    dolmen: Dolmen
    url: str
    child: subprocess.Popen[bytes]

    @property
    def here(self) -> Path:
        return self.dolmen.directory

    def ours(self, *words: str, repo: str = "mine") -> str:
        return self.dolmen.ok("store", f"--repo={repo}", *words, cwd=self.here)

    def push(self, *words: str) -> str:
        """The reason that a push is refused for; empty where it is not."""
        done = self.dolmen(
            *("store", "--repo=mine", "push", self.url, *words, "--json"), cwd=self.here
        )
        value = json.loads(done.stdout.splitlines()[-1])
        assert done.ok == ("error" not in value)
        return str(value["error"]["reason"]) if "error" in value else ""

    def theirs(self, *words: str, repo: str) -> str:
        done = run(["ostree", f"--repo={repo}", *words], timeout=60, cwd=self.here)
        assert done.ok, done
        return done.stdout.decode()

    def connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=20)

    def ask(self, request: bytes) -> bytes:
        """The whole answer to raw bytes."""
        answer = b""
        with self.connect() as connected:
            connected.sendall(request)
            connected.shutdown(socket.SHUT_WR)
            while piece := connected.recv(1 << 16):
                answer += piece
        return answer

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        answer = self.ask(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture
def served(dolmen_command: Dolmen) -> Iterator[Served]:
    here = dolmen_command.directory
    (here / "tree").mkdir(parents=True)
    dolmen_command.ok("store", "--repo=repo", "init", "--mode=archive", cwd=here)
    dolmen_command.ok("store", "--repo=mine", "init", cwd=here)
    for text in "12":
        (here / "tree/file").write_text(text * 5000)
        dolmen_command.ok("store", "--repo=mine", "commit", "-b", "main", "tree", cwd=here)
    words = ("serve", "--listen=127.0.0.1:0", "--token-file=token", "--only=main")
    argv = dolmen_command.argv("store", "--repo=repo", *words)
    env = dolmen_command.environment()
    with spawn(argv, cwd=here, env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        url = child.stdout.readline().decode().strip()
        assert url.startswith("http://127.0.0.1:")
        yield Served(dolmen_command, url, child)


def test_pushed_to_and_pulled_from(served: Served) -> None:
    assert (served.here / "token").stat().st_mode & 0o777 == 0o600
    assert served.push("--token-file=token", "main") == ""
    tip = served.theirs("rev-parse", "main", repo="mine")
    assert served.theirs("rev-parse", "main", repo="repo") == tip
    served.theirs("fsck", "-q", repo="repo")
    served.theirs("init", "--mode=bare-user-only", repo="reader")
    served.theirs("remote", "add", "--no-gpg-verify", "far", served.url, repo="reader")
    served.theirs("pull", "--depth=-1", "far", "main", repo="reader")
    assert served.theirs("log", "far:main", repo="reader").count("commit ") == 2
    served.ours("deltas", "generate", "-q", "main", repo="repo")
    served.ours("summary", "--update", repo="repo")
    served.theirs("init", "--mode=bare-user-only", repo="second")
    served.theirs("remote", "add", "--no-gpg-verify", "far", served.url, repo="second")
    served.theirs("pull", "--commit-metadata-only", "far", "main", repo="second")
    # Only forward, and only what may be pushed.
    served.ours("reset", "main", "main^")
    assert served.push("--token-file=token", "main") == "not-fast-forward"
    served.ours("refs", "--create=other", "main")
    assert served.push("--token-file=token", "other") == "ref-reserved"
    assert served.theirs("refs", repo="repo").split() == ["main"]


def test_mended_from_there(served: Served) -> None:
    assert served.push("--token-file=token", "main") == ""
    for kind in ("file", "dirtree"):
        next((served.here / "mine/objects").rglob(f"*.{kind}")).unlink()
    assert not served.dolmen("store", "--repo=mine", "fsck", cwd=served.here).ok
    done = served.dolmen.json(
        "store", "--repo=mine", "repair", f"--from={served.url}", cwd=served.here
    )
    assert len(done["mended"]) == 2
    served.theirs("fsck", "-q", repo="mine")


def test_who_may_not(served: Served) -> None:
    assert served.push("--token-file=token", "main") == ""
    before = served.theirs("rev-parse", "main", repo="repo")
    wrong = served.here / "wrong"
    wrong.touch(0o600)
    wrong.write_text("x" * 40)
    served.ours("commit", "-b", "main", "--tree=ref=main^")
    assert served.push("--token-file=wrong", "main") == "push-denied"
    assert served.push("main") == "usage"
    wrong.chmod(0o644)
    assert served.push("--token-file=wrong", "main") == "bad-token"
    host = served.url.replace("127.0.0.1", "192.0.2.1")
    done = served.dolmen(
        *("store", "--repo=mine", "push", host, "--token-file=token", "--json"), cwd=served.here
    )
    assert json.loads(done.stdout)["error"]["reason"] == "usage"  # a token without TLS
    assert served.theirs("rev-parse", "main", repo="repo") == before


def test_asked_badly(served: Served) -> None:
    served.push("--token-file=token", "main")
    status, body = served.get("/config")
    assert (status, body) == (200, (served.here / "repo/config").read_bytes())
    (served.here / "secret").write_text("secret")
    os.symlink("../secret", served.here / "repo/summary")
    for path in (
        *("/../secret", "/%2e%2e/secret", "//secret", "/./config", "/refs/heads/../../config"),
        *("/refs/heads/", "/refs", "/", "/objects/", "/tmp", "/.lock", "/dolmen.lock", "/summary"),
        *("/config\x00", "/config?x", "/" + "a" * 70_000, "http://127.0.0.1/config", "config"),
        f"/objects/00/{'0' * 62}.filez",
    ):
        status, body = served.get(path)
        assert status in (400, 404, 414), path
        assert b"secret" not in body
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert served.get("/config", method)[0] == 405
    assert served.get("/config", "POST")[0] == 404
    assert served.get("/push", "POST")[0] == 404
    for request in (b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET / HTTP/9\r\n\r\n"):
        served.ask(request)
    ranged = served.ask(b"GET /config HTTP/1.0\r\nRange: bytes=-99999999999999\r\n\r\n")
    assert ranged.startswith(b"HTTP/1.1 200")
    # Many who say nothing do not keep others out for long.
    idle = [served.connect() for _ in range(50)]
    assert served.get("/config")[0] == 200
    for connected in idle:
        connected.close()
    assert served.child.poll() is None
    assert served.push("--token-file=token", "main") == ""


def test_what_cannot_be_served(served: Served) -> None:
    done = served.dolmen("store", "--repo=mine", "serve", "--json", cwd=served.here)
    assert json.loads(done.stdout)["error"]["reason"] == "usage"
    port = urlsplit(served.url).port
    done = served.dolmen(
        *("store", "--repo=repo", "serve", f"--listen=127.0.0.1:{port}", "--json"), cwd=served.here
    )
    assert json.loads(done.stdout)["error"]["reason"] == "os-error"
