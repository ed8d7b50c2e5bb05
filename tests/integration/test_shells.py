"""A day in bash, zsh and fish on a terminal: the hook, direnv, completions, scripts."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.support.run import run
from tests.lib import hooks
from tests.lib.command import Dolmen
from tests.lib.terminal import Terminal, terminal

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux"),
]

START = {
    "bash": (".bashrc", 'PS1="ready> "\n', 'eval "$(dolmen hook bash --prompt)"\n'),
    "zsh": (
        ".zshrc",
        'PS1="ready> "\nautoload -Uz compinit\ncompinit -u\n',
        'eval "$(dolmen hook zsh --prompt)"\n',
    ),
    "fish": (
        ".config/fish/config.fish",
        'function fish_prompt; echo -n "ready> "; end\nfunction fish_greeting; end\n',
        "dolmen hook fish --prompt | source\n",
    ),
}
COMPLETION = {
    "bash": 'eval "$(dolmen completion bash)"\n',
    "zsh": 'eval "$(dolmen completion zsh)"\n',
    "fish": "dolmen completion fish | source\n",
}
DIRENV = {
    "bash": 'eval "$(direnv hook bash)"\n',
    "zsh": 'eval "$(direnv hook zsh)"\n',
    "fish": "direnv hook fish | source\n",
}
STATUS = {"bash": "$?", "zsh": "$?", "fish": "$status"}


@dataclass(frozen=True)
class Project:
    """An environment with jq in it, and `dolmen` on PATH."""

    dolmen: Dolmen
    bin: Path

    @contextmanager
    def shell(self, name: str, home: Path, cwd: Path, *, extra: str = "") -> Iterator[Terminal]:
        file, before, hook = START[name]
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(before + extra + hook)
        environment = {
            "HOME": str(home),
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "SHELL": f"/bin/{name}",
            "DOLMEN_STORE": str(self.dolmen.store),
        }
        with terminal([name, "-i"], directory=home, cwd=cwd, environment=environment) as it:
            it.wait_for("ready> ")
            yield it

    def at(self, home: Path) -> Dolmen:
        """The command with the home directory that the terminal has."""
        return Dolmen(self.dolmen.source, home.parent / "web", self.dolmen.store)


@pytest.fixture(scope="module")
def project(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    base = tmp_path_factory.mktemp("shells")
    (base / "web").mkdir()
    dolmen = Dolmen(installed_source, base / "web", session_store)
    dolmen.ok("install", "-C", ".", "--suite", "bookworm", "jq")
    (base / "bin").mkdir()
    (base / "bin/dolmen").write_text(f'#!/bin/sh\nexec {dolmen.front} "$@"\n')
    (base / "bin/dolmen").chmod(0o755)
    return Project(dolmen, base / "bin")


@pytest.fixture
def home(project: Project) -> Iterator[Path]:
    """The same home for terminal and command, without records of earlier tests.

    A new one each time: the shell of the test before may still be writing its history.
    """
    path = Path(tempfile.mkdtemp(prefix="home.", dir=project.dolmen.directory.parent))
    yield path
    manifest = project.dolmen.directory / "dolmen.toml"
    manifest.write_text((project.dolmen.directory / ".dolmen/current/dolmen.toml").read_text())


@pytest.mark.parametrize("shell", hooks.SHELLS)
def test_the_hook(project: Project, home: Path, shell: str) -> None:
    web = project.dolmen.directory
    (web / "src").mkdir(exist_ok=True)
    with project.shell(shell, home, home) as it:
        path = '"$PATH"'
        before = it.ask(path)
        it.type(f"cd {web}")
        it.wait_for("dolmen allow")
        assert it.ask(path) == before
        it.type("dolmen allow")
        it.wait_for("Allowed ")
        it.wait_for("(web) ready> ")
        it.type("cd src")
        assert it.ask(path) == f"{web}/.dolmen/bin:{before}"
        it.type(
            "jq -n 40+2; uname >/dev/null; echo code:$((1+1))"
            if shell != "fish"
            else "jq -n 40+2; echo code:(math 1+1)"
        )
        it.wait_for("code:2")
        assert "\n42\n" in it.screen()
        it.type("echo '# edit' >>../dolmen.toml")
        it.wait_for("type: dolmen install")
        assert it.ask(path) == f"{web}/.dolmen/bin:{before}"
        assert it.screen().count("type: dolmen install") == 1
        it.type("false")
        it.type(f"echo st:{STATUS[shell]}:")
        it.wait_for("st:1:")  # the hook leaves the last command's code alone
        it.type("cd")
        assert it.ask(path) == before
        it.clear()
        it.press("Enter")
        assert "(web)" not in it.wait_for("ready> ")


@pytest.mark.parametrize("shell", hooks.SHELLS)
@pytest.mark.skipif(not shutil.which("direnv"), reason="needs direnv")
@pytest.mark.parametrize("both", [False, True], ids=["direnv", "direnv and hook"])
def test_direnv(project: Project, home: Path, shell: str, both: bool) -> None:
    web = project.dolmen.directory
    library = home / ".config/direnv/lib/dolmen.sh"
    library.parent.mkdir(parents=True)
    library.write_text(project.dolmen.ok("hook", "direnv"))
    (web / ".envrc").write_text("use dolmen\nPATH_add scripts\n")
    start = START[shell]
    if not both:
        START[shell] = (start[0], start[1], "")
    try:
        with project.shell(shell, home, home, extra=DIRENV[shell]) as it:
            path = '"$PATH"'
            before = it.ask(path)
            it.type(f"cd {web}")
            it.wait_for("is blocked")
            assert it.ask(path) == before
            it.type("direnv allow")
            it.wait_for("dolmen allow")
            it.type("dolmen allow")
            it.wait_for("Allowed ")
            it.type("cd .")
            inside = f"{web}/scripts:{web}/.dolmen/bin:{before}"
            _until(it, path, inside)
            it.type("jq -n 40+2")
            it.wait_for("\n42\n")
            it.type("cd")
            _until(it, path, before)
            it.type("env | grep -c '^_DOLMEN\\|^DIRENV_D' ; echo done:")
            it.wait_for("\n0\ndone:")
    finally:
        START[shell] = start
        (web / ".envrc").unlink()


def _until(it: Terminal, command: str, wanted: str) -> None:
    """Both hooks may need a prompt more to agree."""
    for _ in range(20):
        it.clear()
        found = it.ask(command)
        if found == wanted:
            return
        time.sleep(0.2)
    assert found == wanted


@pytest.mark.parametrize("shell", hooks.SHELLS)
def test_completions(project: Project, home: Path, shell: str) -> None:
    web = project.dolmen.directory
    cases = {
        "dolmen verif": "dolmen verify",
        "dolmen install --dry": "dolmen install --dry-run",
        "dolmen switch ": "dolmen switch 1",
        "dolmen remove ": "dolmen remove jq",
        "dolmen run j": "dolmen run jq",
        "dolmen install fd-fin": "dolmen install fd-find",
        "dolmen doctor --color=al": "dolmen doctor --color=always",
        "dolmen hook fi": "dolmen hook fish",
        f"dolmen --dir {web.parent}/we": f"dolmen --dir {web}/",
        "dolmen run -p fd-fin": "dolmen run -p fd-find",
        "dolmen run -- wc dolmen.to": "dolmen run -- wc dolmen.toml",
    }
    with project.shell(shell, home, web, extra=COMPLETION[shell]) as it:
        for typed, completed in cases.items():
            it.clear()
            it.keys(typed)
            it.press("Tab")
            it.wait_for(completed)
            it.press("C-u")


def test_scripts_name_their_packages(project: Project, home: Path, tmp_path: Path) -> None:
    """`#!/usr/bin/env -S dolmen run -p …`: the second start needs no Python on the host."""
    script = home / "count"
    script.write_text(
        "#!/usr/bin/env -S dolmen run --suite bookworm -p jq,file -- jq -nf\n"
        "# packages: jq, file\n"
        "[1, 2, 3] | add\n"
    )
    script.chmod(0o755)
    env = project.dolmen.environment({"PATH": f"{project.bin}:/usr/bin:/bin", "HOME": str(home)})
    first = run([str(script)], timeout=300, env=env, cwd=tmp_path)
    assert (first.returncode, first.stdout) == (0, b"6\n"), first
    trace = tmp_path / "trace"
    argv = ["strace", "-f", "-e", "trace=execve", "-o", str(trace), str(script)]
    second = run(argv, timeout=60, env=env, cwd=tmp_path)
    assert (second.returncode, second.stdout) == (0, b"6\n"), second
    assert "python" not in trace.read_text()


def test_a_missing_command(project: Project) -> None:
    done = project.dolmen("run", "--", "jq", "-n", "1")
    assert done.ok
    done = project.dolmen("run", "--", "vi", "--version")
    assert done.returncode == 127
    assert b"hint: dolmen install vim" in done.stderr
    # Links of alternatives lead nowhere from outside; inside they do.
    assert project.dolmen("run", "--", "awk", "BEGIN { exit 3 }").returncode == 3


@pytest.mark.parametrize("options", [(), ("--pure",)])
def test_a_terminal_that_the_image_does_not_know(
    project: Project, tmp_path: Path, options: tuple[str, ...]
) -> None:
    known = {"TERM": "xterm"}
    told = ("run", *options, "--", "tput", "setaf", "1")
    assert project.dolmen.ok(*told, env={"TERM": "xterm-256color"}) == "\x1b[31m"
    entry = tmp_path / "entry"
    entry.write_text("mine|a terminal of mine,\n\tsetaf=\\E[mine%p1%dm,\n")
    made = tmp_path / "terminfo"
    assert run(["tic", "-x", "-o", str(made), str(entry)], timeout=20, env=known).ok
    mine = {"TERM": "mine", "TERMINFO": str(made)}
    assert project.dolmen.ok(*told, env=mine) == "\x1b[mine1m"


@pytest.mark.parametrize("shell", hooks.SHELLS)
def test_shell_in_a_shell(project: Project, home: Path, shell: str) -> None:
    """The user's own shell where the image has it; a shell in a shell says so; codes pass."""
    with project.shell(shell, home, project.dolmen.directory) as it:
        it.type("dolmen shell")
        it.type(f"{project.dolmen.front} shell")
        it.wait_for("this is a shell inside web already")
        it.type("exit 3")
        it.type("exit 5")
        it.type(f"echo st:{STATUS[shell]}:")
        it.wait_for("st:5:")
