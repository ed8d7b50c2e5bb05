"""What each verb says and how it ends; the work itself is a fake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.cli.main import VERBS
from dolmen.image.verify import Difference
from dolmen.sandbox import Finding
from dolmen.support.errors import PackageError, SolveError
from tests.lib.backend import FakeBackend
from tests.unit.cli.conftest import Say


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(say: Say, verb: str) -> None:
    said = say(verb, "--help")
    assert said.code == 0
    assert "Examples:" in said.out
    assert f"dolmen {verb}" in said.out
    assert said.err == ""


def test_the_main_help_lists_every_verb(say: Say) -> None:
    said = say("--help")
    assert said.code == 0
    assert all(f"  {verb}" in said.out for verb in VERBS)


def test_the_day_of_a_user(say: Say) -> None:
    assert say("init", "--suite", "bookworm").code == 0
    said = say("install", "jq", "curl")
    assert said.code == 0
    assert "+ jq 1.6-2\n" in said.out
    assert "+ curl 7.88.1-10\n" in said.out
    assert said.err.startswith("Resolved 3 packages in ")
    assert say("install", "jq").out.startswith("Nothing to do: generation 1 ")
    assert "- curl 7.88.1-10\n" in say("remove", "curl").out
    assert say("lock", "--check").code == 0
    assert say("sync", "--locked").code == 0
    assert "* " in say("generations").out
    assert say("rollback").out.startswith("Generation 1 is live")
    assert say("switch", "2").out.startswith("Generation 2 is live")
    assert Path("dolmen.lock").exists()


def test_json(say: Say) -> None:
    assert say("init", "--suite", "bookworm", "--json").json["directory"] == os.getcwd()
    value = say("--json", "install", "jq").json
    assert value["changed"] is True
    assert value["generation"]["number"] == 1
    assert [change["name"] for change in value["added"]] == ["base-files", "jq"]
    assert say("install", "--json").json["changed"] is False
    assert say("lock", "--check", "--json").json["stale"] is False
    assert say("generations", "--json").json[0]["live"] is True


def test_quiet(say: Say) -> None:
    say("init", "--suite", "bookworm")
    said = say("install", "-q", "jq")
    assert (said.code, said.out, said.err) == (0, "", "")


def test_dry_run(say: Say) -> None:
    say("init", "--suite", "bookworm")
    said = say("install", "--dry-run", "jq")
    assert said.code == 0
    assert "Would be 2 packages" in said.out
    assert not Path("dolmen.lock").exists()


def test_install_makes_the_directory_it_is_told(say: Say) -> None:
    said = say("install", "--dir", "foo", "--suite", "trixie", "jq")
    assert said.code == 0
    assert 'suite = "trixie"' in Path("foo/dolmen.toml").read_text()
    assert say("install", "--dir", "foo", "--suite", "bookworm").code == 2
    assert say("install", "-C", "foo", "--suite", "trixie").code == 0


def test_errors_have_reasons_and_codes(say: Say, backend: FakeBackend) -> None:
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("install", "jq"), 3, "no-environment"),
        (("install", "-C", "x", "--", "-o=APT::Update"), 3, "bad-spec"),
        (("install", "-C", "x", "jq;id"), 3, "bad-spec"),
        (("install", "-C", "x", "nothing"), 4, "unknown-package"),
        (("sync", "-C", "x"), 3, "no-environment"),
        (("lock", "-C", "x"), 3, "no-environment"),
        (("run", "-C", "x", "true"), 3, "no-environment"),
        (("frobnicate",), 2, "usage"),
        (("install", "--nonsense"), 2, "usage"),
        (("remove",), 2, "usage"),
        (("run",), 2, "usage"),
        (("run", "--locked", "--frozen", "true"), 2, "usage"),
        (("shell", "-p", "jq", "--locked"), 2, "usage"),
        (("shell", "--suite", "trixie"), 2, "usage"),
        (("sync", "--locked", "--frozen"), 2, "usage"),
    ]
    for argv, code, reason in cases:
        said = say("--json", *argv)
        assert (said.code, said.json["error"]["reason"]) == (code, reason), argv
        assert said.json["error"]["exit_code"] == code
        assert not Path("x").exists()


def test_stale_lock(say: Say) -> None:
    say("install", "-C", ".", "--suite", "bookworm", "jq")
    text = Path("dolmen.toml").read_text()
    Path("dolmen.toml").write_text(text.replace('"jq"', '"curl"'))
    for argv in (("lock", "--check"), ("sync", "--locked"), ("run", "--locked", "true")):
        said = say(*argv)
        assert said.code == 9, argv
        assert "hint: dolmen install\n" in said.err


def test_an_error_for_people(say: Say, backend: FakeBackend) -> None:
    say("init", "--suite", "bookworm")
    backend.failures["solve"] = SolveError(
        "no \x1b[31mway\u202e", context="curl", details=["a needs b"], hint="dolmen search b"
    )
    said = say("install", "curl")
    assert said.code == 4
    assert said.err.splitlines()[-4:] == [
        "error: no \ufffd[31mway",
        "  curl",
        "  a needs b",
        "hint: dolmen search b",
    ]
    assert said.out == ""


def test_a_misspelt_verb(say: Say) -> None:
    said = say("instal")
    assert said.code == 2
    assert "'install'" in said.err


def test_unknown_failures_have_no_traceback(
    say: Say, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("init", "--suite", "bookworm")
    backend.failures["solve"] = RuntimeError("boom")
    said = say("install", "jq")
    assert said.code == 1
    assert "RuntimeError: boom" in said.err
    assert "Traceback" not in said.err
    assert "DOLMEN_DEBUG=1" in said.err
    monkeypatch.setenv("DOLMEN_DEBUG", "1")
    with pytest.raises(RuntimeError):
        say("install", "jq")


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (OSError(28, "No space left on device", "/x"), 7, "disk-full"),
        (OSError(30, "Read-only file system", "/x"), 7, "read-only"),
        (OSError(24, "Too many open files"), 8, "os-error"),
        (PackageError("x", reason="script-failed"), 6, "script-failed"),
    ],
)
def test_failures_of_the_system(
    say: Say, backend: FakeBackend, error: BaseException, code: int, reason: str
) -> None:
    say("init", "--suite", "bookworm")
    backend.failures["build"] = error
    said = say("install", "jq", "--json")
    assert (said.code, said.json["error"]["reason"]) == (code, reason)


def test_interrupted(say: Say, backend: FakeBackend) -> None:
    say("init", "--suite", "bookworm")
    backend.failures["build"] = KeyboardInterrupt()
    assert say("install", "jq").code == 130
    backend.failures.clear()
    assert say("install", "jq").code == 0


def test_verify(say: Say, backend: FakeBackend) -> None:
    assert say("verify", "-C", ".").code == 3
    say("install", "-C", ".", "--suite", "bookworm", "jq")
    said = say("verify")
    assert said.code == 0
    assert said.out.startswith("Reproducible: ")
    backend.differences = tuple(Difference(f"/etc/{n}", "content") for n in range(60))
    said = say("verify", "--json")
    assert said.code == 10
    error = said.json["error"]
    assert error["reason"] == "not-reproducible"
    assert error["details"][0] == "/etc/0: content"
    assert error["details"][-1] == "and 10 more paths"


def test_doctor(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Finding("bubblewrap", True, "works")
    bad = Finding("overlay", False, "refused", "no-overlay", "modprobe overlay", ("EPERM",))
    monkeypatch.setattr("dolmen.sandbox.probe", lambda directory=None: (good,))
    assert say("doctor").code == 0
    monkeypatch.setattr("dolmen.sandbox.probe", lambda directory=None: (good, bad))
    said = say("doctor")
    assert said.code == 8
    assert "hint: modprobe overlay" in said.out
    said = say("doctor", "--json")
    assert said.code == 8
    assert said.json["findings"][1]["reason"] == "no-overlay"


class BecameError(Exception):
    def __init__(self, argv: list[str]) -> None:
        super().__init__(argv)
        self.argv = argv


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is executed; what would have been is raised (and seen, thanks to DOLMEN_DEBUG)."""

    def execv(_path: str, argv: list[str]) -> None:
        raise BecameError(argv)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setenv("DOLMEN_DEBUG", "1")


@pytest.mark.usefixtures("become")
@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["run", "echo", "--pure"], ["--", "echo", "--pure"]),
        (["run", "--pure", "--network", "--", "echo"], ["--pure", "--network", "--", "echo"]),
        (["run", "--", "--", "x"], ["--", "--", "x"]),
        (["run", "--frozen", "-C", ".", "a b", "-C", "x"], ["--", "a b", "-C", "x"]),
        (["shell"], ["--"]),
        (["shell", "--", "sh", "-c", "x"], ["--", "sh", "-c", "x"]),
    ],
)
def test_run_and_shell_become_the_launcher(say: Say, argv: list[str], expected: list[str]) -> None:
    say("install", "-C", ".", "--suite", "bookworm", "jq")
    with pytest.raises(BecameError) as caught:
        say(*argv)
    launcher, *rest = caught.value.argv
    assert launcher == os.path.abspath(".dolmen/generations/1/launch")
    assert rest == expected


@pytest.mark.usefixtures("become")
def test_ad_hoc_leaves_nothing_here(say: Say, backend: FakeBackend) -> None:
    with pytest.raises(BecameError) as caught:
        say("shell", "-p", "jq", "-p", "curl", "--suite", "trixie", "--", "jq", "-n")
    assert caught.value.argv[0].startswith(str(backend.store_path / "shells"))
    assert caught.value.argv[1:] == ["--", "jq", "-n"]
    assert os.listdir() == []
