"""Signatures of commits, by turns with the real `ostree`; each way to be refused has its reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.support.run import run
from tests.lib.command import Dolmen

GOOD, OTHER, EXPIRED, REVOKED = "good", "other", "expired", "revoked"
#: Keys are made and signatures written at this time; what expires has expired by now.
THEN = "20240101T000000"


@dataclass(frozen=True, slots=True)
class Signed:
    """A repository with one commit, and a GnuPG home."""

    dolmen: Dolmen
    home: Path
    directory: Path

    def ours(self, *words: str) -> str:
        return self.dolmen.ok("store", "--repo=repo", *words, cwd=self.directory)

    def theirs(self, *words: str, repo: str = "repo") -> subprocess.CompletedProcess[str]:
        argv = ["ostree", f"--repo={repo}", *words]
        done = run(argv, timeout=60, cwd=self.directory)
        return subprocess.CompletedProcess(
            argv, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def verdict(self, *words: str) -> tuple[int, str]:
        done = self.dolmen(
            "store", "--repo=repo", "verify", *words, "main", "--json", cwd=self.directory
        )
        value = json.loads(done.stdout.splitlines()[-1])
        return done.returncode, value["error"]["reason"] if "error" in value else ""

    def gpg(self, *words: str) -> bytes:
        return gpg(self.home, *words)

    def fingerprint(self, user: str) -> str:
        lines = self.gpg("--with-colons", "--list-keys", user).decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))


def gpg(home: Path, *words: str) -> bytes:
    argv = ["gpg", "--homedir", str(home), "--batch", "-q", "--pinentry-mode", "loopback"]
    done = run([*argv, "--passphrase", "", *words], timeout=60, env={**os.environ, "LC_ALL": "C"})
    assert done.ok, done
    return done.stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("k")
    home.chmod(0o700)
    for user in (GOOD, OTHER, EXPIRED, REVOKED):
        more = ("--faked-system-time", f"{THEN}!") if user == EXPIRED else ()
        until = "1y" if user == EXPIRED else "0"
        gpg(home, *more, "--quick-gen-key", f"{user}@example.org", "ed25519", "sign", until)
    yield home
    run(["gpgconf", "--homedir", str(home), "--kill", "all"], timeout=30)


@pytest.fixture
def signed(dolmen_command: Dolmen, keys: Path) -> Signed:
    directory = dolmen_command.directory
    (directory / "tree").mkdir(parents=True)
    (directory / "tree/file").write_text("one\n")
    found = Signed(dolmen_command, keys, directory)
    found.ours("init", "--mode=archive")
    found.ours("commit", "-b", "main", "-s", "One", "--timestamp=@1704200000", "tree")
    for user in (GOOD, OTHER):
        (directory / f"{user}.gpg").write_bytes(found.gpg("--export", f"{user}@example.org"))
    return found


def test_what_one_signs_the_other_accepts(signed: Signed) -> None:
    directory = signed.directory
    assert signed.verdict("--keyring=good.gpg") == (5, "not-signed")
    signed.ours("sign", f"--gpg-homedir={signed.home}", "--key-id=good@example.org", "main")
    again = signed.dolmen.json(
        *("store", "--repo=repo", "sign", f"--gpg-homedir={signed.home}", "main"),
        "good@example.org",
        cwd=directory,
    )
    assert again["signed"] == []
    assert signed.verdict("--keyring=good.gpg") == (0, "")
    # The real one pulls it with gpg-verify, and refuses it with another key.
    signed.theirs("init", repo="mine")
    for user, code in ((OTHER, 1), (GOOD, 0)):
        name = ("vendor" if user == GOOD else "wrong", f"file://{directory}/repo")
        added = signed.theirs(
            "remote", "add", f"--gpg-import={user}.gpg", "--set=gpg-verify=true", *name, repo="mine"
        )
        assert added.returncode == 0, added.stderr
        pulled = signed.theirs("pull", name[0], "main", repo="mine")
        assert (pulled.returncode != 0) == bool(code), pulled.stderr
    # By the keys of a remote, which `ostree` imported.
    assert signed.dolmen(
        "store", "--repo=mine", "verify", "--remote=vendor", "vendor:main", cwd=directory
    ).ok
    assert not signed.dolmen(
        "store", "--repo=mine", "verify", "--remote=wrong", "vendor:main", cwd=directory
    ).ok
    # And the other way round: two signatures, one of each program.
    done = signed.theirs("gpg-sign", f"--gpg-homedir={signed.home}", "main", "other@example.org")
    assert done.returncode == 0, done.stderr
    assert "Found 2 signatures" in signed.theirs("show", "main").stdout
    assert signed.verdict("--keyring=good.gpg", "--least=2") == (5, "key-unknown")
    assert signed.verdict("--keyring=good.gpg", "--keyring=other.gpg", "--least=2") == (0, "")
    assert signed.verdict(f"--gpg-homedir={signed.home}", "--least=3") == (5, "not-signed")
    # Taken away again.
    signed.ours("gpg-sign", "--delete", "main", signed.fingerprint(GOOD))
    assert signed.verdict("--keyring=good.gpg") == (5, "key-unknown")
    assert "Found 1 signature" in signed.theirs("show", "main").stdout


def test_keyrings(signed: Signed) -> None:
    directory = signed.directory
    signed.ours("sign", f"--gpg-homedir={signed.home}", "main", "good@example.org")
    (directory / "good.asc").write_bytes(signed.gpg("--armor", "--export", "good@example.org"))
    shutil.copytree(directory, directory / "rings", ignore=lambda _d, n: {*n} - {"good.asc"})
    for words in (
        ("--keyring=good.asc",),
        ("--keyring-dir=rings",),
        (f"--gpg-homedir={signed.home}", f"--key-id={signed.fingerprint(GOOD)[-16:]}"),
    ):
        assert signed.verdict(*words) == (0, ""), words
    assert signed.verdict("--keyring=none.gpg") == (7, "no-keyring")
    assert signed.verdict() == (2, "usage")
    other = f"--key-id={signed.fingerprint(OTHER)}"
    assert signed.verdict("--keyring=good.gpg", other) == (5, "not-signed")
    done = signed.dolmen(
        *("store", "--repo=repo", "sign", f"--gpg-homedir={signed.home}", "main", "no@example.org"),
        "--json",
        cwd=directory,
    )
    assert json.loads(done.stdout)["error"]["reason"] == "no-secret-key"


def test_refusals(signed: Signed) -> None:
    """Expired, revoked, unknown, tampered: only after a good signature was accepted."""
    home = signed.directory / "home"
    shutil.copytree(
        signed.home, home, ignore=lambda _d, names: [n for n in names if n.startswith("S.")]
    )
    mine = Signed(signed.dolmen, home, signed.directory)
    try:
        for user, more in ((EXPIRED, ("--faked-system-time", f"{THEN}!")), (REVOKED, ())):
            commit = signed.ours("commit", "-b", "main", "-s", user, "tree").strip()
            data = signed.directory / f"repo/objects/{commit[:2]}/{commit[2:]}.commit"
            blob = mine.gpg(
                *more, "--default-key", f"{user}@example.org", "-b", "-o", "-", str(data)
            )
            _attach(signed, commit, blob)
            if user == REVOKED:
                assert mine.verdict(f"--gpg-homedir={home}") == (0, "")
                paper = home / f"openpgp-revocs.d/{mine.fingerprint(REVOKED)}.rev"
                paper.write_text(paper.read_text().replace(":-----BEGIN", "-----BEGIN"))
                mine.gpg("--import", str(paper))
            assert mine.verdict(f"--gpg-homedir={home}") == (5, f"key-{user}")
    finally:
        run(["gpgconf", "--homedir", str(home), "--kill", "all"], timeout=30)
    one = signed.ours("commit", "-b", "main", "-s", "one", "tree").strip()
    signed.ours("sign", f"--gpg-homedir={signed.home}", "main", "good@example.org")
    assert signed.verdict("--keyring=good.gpg") == (0, "")
    # A signature of another commit.
    two = signed.ours("commit", "-b", "main", "-s", "two", "tree").strip()
    meta = signed.directory / "repo/objects"
    shutil.copy(meta / f"{one[:2]}/{one[2:]}.commitmeta", meta / f"{two[:2]}/{two[2:]}.commitmeta")
    assert signed.verdict("--keyring=good.gpg") == (5, "signature-bad")
    # The commit itself.
    signed.ours("reset", "main", one)
    path = meta / f"{one[:2]}/{one[2:]}.commit"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"one\0", b"eno\0"))
    assert signed.verdict("--keyring=good.gpg") == (7, "object-damaged")


def _attach(signed: Signed, commit: str, blob: bytes) -> None:
    """A signature that libostree would not write any more."""
    from gi.repository import GLib

    from dolmen.store.history.repository import History

    value = GLib.Variant("a{sv}", {"ostree.gpgsigs": GLib.Variant("aay", [blob])})
    repo = History.open(signed.directory / "repo").repo
    repo.write_commit_detached_metadata(commit, value, None)
