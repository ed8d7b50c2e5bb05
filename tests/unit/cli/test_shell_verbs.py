"""allow, deny, hook, completion; and what run says about commands that are missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from dolmen.cli import completing
from dolmen.cli.main import VERBS
from dolmen.cli.verbs import hook
from dolmen.environment import commands, missing
from tests.lib.backend import FakeBackend
from tests.unit.cli.conftest import Say

FRONT = Path(__file__).resolve().parents[3] / "src/dolmen/data/front.sh"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return path


def test_allow_and_deny(say: Say) -> None:
    assert say("allow").code == 3
    say("init", "--suite", "bookworm")
    said = say("allow")
    assert said.code == 0
    assert said.out.endswith("type: dolmen install\n")
    say("install", "jq")
    said = say("allow")
    assert "bookworm" in said.out
    assert "jq" in said.out
    assert "Nothing is built" not in said.out
    assert say("deny", ".").out.startswith("Denied ")
    assert "was not allowed" in say("deny").out
    assert say("deny", "/nonexistent").code == 0


def test_allow_as_json(say: Say) -> None:
    say("install", "-C", ".", "--suite", "bookworm", "jq")
    value = say("allow", "--json").json
    assert value["built"] is True
    assert Path(value["record"]).is_file()
    assert say("deny", "--json").json["changed"] is True


def test_hook_without_python_is_the_same(say: Say) -> None:
    for shell in hook.PARTS:
        text = say("hook", shell).out
        assert text
        for options in ([], ["--prompt"]) if shell in hook.PROMPT else ([],):
            done = subprocess.run(
                [FRONT, "hook", shell, *options], capture_output=True, check=True, timeout=20
            )
            assert done.stdout.decode() == say("hook", shell, *options).out
            assert done.stdout.decode().startswith(text)
    assert say("hook", "csh").code == 2
    assert say("hook", "direnv", "--prompt").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_sound_and_name_everything(say: Say, shell: str, tmp_path: Path) -> None:
    said = say("completion", shell)
    assert said.code == 0
    assert all(verb in said.out for verb in VERBS)
    for option in ("dry-run", "locked", "frozen", "json-events"):
        assert option in said.out
    assert "@TABLE@" not in said.out
    if shutil.which(shell):
        path = tmp_path / "script"
        path.write_text(said.out)
        subprocess.run([shell, "-n", path], check=True, timeout=20)


def test_what_values_are() -> None:
    verbs = {verb.name: verb for verb in completing.table()}
    assert verbs["install"].kind == "package"
    assert verbs["remove"].kind == "requested"
    assert verbs["switch"].kind == "generation"
    assert verbs["hook"].kind == "=bash zsh fish direnv"
    assert verbs["allow"].kind == "directory"
    assert verbs["run"].passes_on
    assert not verbs["install"].passes_on
    kinds = {name: option.kind for option in verbs["run"].options for name in option.names}
    assert kinds["-p"] == "package"
    assert kinds["--suite"] == "suite"
    assert kinds["-C"] == "directory"
    assert kinds["--pure"] == ""


@pytest.mark.parametrize(
    ("packages", "word"),
    [
        ((), "dolmen which cowsay"),
        (("cowsay",), "dolmen install cowsay"),
        (("cowsay", "cowpy"), "dolmen which cowsay"),
    ],
)
def test_a_missing_command(
    say: Say, monkeypatch: pytest.MonkeyPatch, packages: Sequence[str], word: str
) -> None:
    monkeypatch.setattr(missing, "packages_with", lambda *a, **k: tuple(packages))
    say("install", "-C", ".", "--suite", "bookworm", "jq")
    said = say("run", "cowsay", "moo")
    assert said.code == 127
    assert f"hint: {word}" in said.err
    assert "cowsay" not in Path("dolmen.toml").read_text()
    said = say("--json", "run", "cowsay")
    assert said.json["error"]["reason"] == "no-command"


def test_auto(
    say: Say, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With --auto the command runs from an environment of its own; this one stays as it is."""
    became: list[Sequence[str]] = []

    def become(argv: Sequence[str]) -> None:
        became.append(argv)
        raise SystemExit(0)

    monkeypatch.setattr("dolmen.cli.entering._become", become)
    monkeypatch.setattr(missing, "packages_with", lambda *a, **k: ("curl",))
    say("install", "-C", ".", "--suite", "bookworm", "jq")
    before = Path("dolmen.lock").read_text()
    with pytest.raises(SystemExit):
        say("run", "--auto", "curl", "-V")
    assert str(backend.store_path / "shells") in became[0][0]
    assert became[0][-2:] == ["curl", "-V"]
    with pytest.raises(SystemExit):
        say("run", "--auto", "jq")
    assert str(Path.cwd()) in became[1][0]
    assert Path("dolmen.lock").read_text() == before
    monkeypatch.chdir(tmp_path)  # where there is no environment at all
    with pytest.raises(SystemExit):
        say("run", "--auto", "curl")
    assert str(backend.store_path / "shells") in became[2][0]


def test_has_command(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/link").symlink_to("/etc/alternatives/link")
    (tree / "usr/bin/data").write_text("")
    local = tmp_path / "home/bin"
    local.mkdir(parents=True)
    (local / "mine").write_text("")
    (local / "mine").chmod(0o755)
    environ = {"HOME": str(tmp_path / "home"), "PATH": f"/usr/bin:{local}"}
    assert commands.has_command(tree, "link", environ)
    assert commands.has_command(tree, "./any/thing", environ)
    assert commands.has_command(tree, "mine", environ)
    assert not commands.has_command(tree, "data", environ)
    assert not commands.has_command(tree, "ls", environ)
    assert not commands.has_command(tree, "mine", {"PATH": str(local)})
