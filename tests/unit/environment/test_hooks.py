"""The prompt hooks, called in real shells as a prompt would: bash, zsh, fish, each alike."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dolmen.environment import Environment, allow, deny, environ, initialise, install, switch
from dolmen.environment.allowing import record_of
from dolmen.model import parse_spec
from dolmen.support.run import run
from tests.lib import hooks
from tests.lib.backend import FakeBackend

pytestmark = pytest.mark.parametrize("shell", hooks.SHELLS)

ENTER = 'cd "$D"\n_dolmen_hook\nprintenv PATH\n'
PROMPT = "_dolmen_hook\nprintenv PATH\n"
EVIL = "a $(touch HIT) `touch HIT` '\"\\ *\n;touch HIT;#"


@dataclass
class Place:
    """An environment, and a home to note things in."""

    environment: Environment
    backend: FakeBackend
    home: Path

    def run(self, shell: str, script: str, env: Mapping[str, str] | None = None) -> tuple[str, str]:
        variables = {"D": str(self.environment.directory), **(env or {})}
        done = hooks.call(shell, script, home=self.home, cwd=self.home, env=variables)
        assert done.returncode == 0, done
        return done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode()

    @property
    def inside(self) -> str:
        return f"{self.environment.directory}/.dolmen/bin:/usr/bin:/bin\n"


OUTSIDE = "/usr/bin:/bin\n"


def make(directory: Path, backend: FakeBackend, home: Path) -> Place:
    directory.mkdir(parents=True)
    environment = initialise(directory, suite="bookworm")
    install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    return Place(environment, backend, home)


@pytest.fixture
def place(tmp_path: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> Place:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return make(tmp_path / "web", backend, home)


def set_variables(place: Place, variables: Mapping[str, str]) -> None:
    path = place.environment.current / environ.ENVIRON
    path.write_bytes(environ.render(variables).encode("utf-8", "surrogateescape"))
    allow(place.environment, known=True)


def test_only_inside_and_only_once_allowed(place: Place, shell: str) -> None:
    below = place.environment.directory / "a/b"
    below.mkdir(parents=True)
    leave = "cd /\n_dolmen_hook\nprintenv PATH\n"
    out, err = place.run(shell, ENTER + PROMPT + leave)
    assert out == OUTSIDE * 3
    assert err.count("dolmen allow") == 1  # said once
    allow(place.environment, known=True)
    out, err = place.run(shell, ENTER + "cd a/b\n" + PROMPT + leave)
    assert (out, err) == (place.inside * 2 + OUTSIDE, "")
    deny(place.environment.directory)
    assert place.run(shell, ENTER)[0] == OUTSIDE


def test_denied_while_the_shell_is_inside(place: Place, shell: str) -> None:
    allow(place.environment, known=True)
    record = record_of(place.environment.directory)
    out, _err = place.run(shell, ENTER + 'rm "$R"\n' + PROMPT, {"R": str(record)})
    assert out == place.inside + OUTSIDE


@pytest.mark.parametrize(("name", "verb"), [("dolmen.toml", "install"), ("dolmen.lock", "sync")])
def test_a_change_keeps_the_last_good_one(place: Place, shell: str, name: str, verb: str) -> None:
    """D4: the hook says once which file changed and what to type; nothing new is loaded."""
    allow(place.environment, known=True)
    edit = f'echo "# x" >>"$D/{name}"\n'
    out, err = place.run(shell, ENTER + edit + PROMPT + PROMPT)
    assert out == place.inside * 3
    assert err.count("\n") == 1
    assert name in err
    assert err.endswith(f"type: dolmen {verb}\n")
    # A new shell loads what was built from what was allowed, and says it too.
    again, err = place.run(shell, ENTER)
    assert (again, err.count(name)) == (place.inside, 1)


def test_a_touched_file_is_no_change(place: Place, shell: str) -> None:
    allow(place.environment, known=True)
    out, err = place.run(shell, ENTER + 'touch "$D/dolmen.toml"\n' + PROMPT)
    assert (out, err) == (place.inside * 2, "")


def test_what_the_user_builds_stays_allowed(place: Place, shell: str) -> None:
    allow(place.environment, known=True)
    install(place.environment, [parse_spec("curl")], backend=place.backend, command="i")
    assert place.run(shell, ENTER) == (place.inside, "")
    switch(place.environment, "1")
    assert place.run(shell, ENTER) == (place.inside, "")


@pytest.mark.parametrize("name", ["launch", "environ"])
def test_files_of_somebody_else_in_the_state_are_not_loaded(
    place: Place, shell: str, name: str
) -> None:
    allow(place.environment, known=True)
    assert place.run(shell, ENTER)[0] == place.inside
    with (place.environment.current / name).open("a") as stream:
        stream.write("X=1\0")
    out, err = place.run(shell, ENTER)
    assert out == OUTSIDE
    assert "was not built here" in err


def test_state_that_came_with_a_copy_is_not_loaded(place: Place, shell: str) -> None:
    allow(place.environment, known=False)
    out, err = place.run(shell, ENTER)
    assert out == OUTSIDE
    assert err.endswith("type: dolmen sync\n")


def test_before_anything_is_built(place: Place, shell: str) -> None:
    fresh = initialise_only(place)
    env = {"D": str(fresh.directory)}
    allow(fresh, known=False)
    assert place.run(shell, ENTER, env)[1].endswith("type: dolmen install\n")
    fresh.manifest.write_text(fresh.manifest_text() + "# changed\n")
    out, err = place.run(shell, ENTER, env)
    assert out == OUTSIDE
    assert "dolmen.toml changed" in err
    assert err.endswith("type: dolmen allow\n")


def initialise_only(place: Place) -> Environment:
    directory = place.home.parent / "fresh"
    directory.mkdir()
    return initialise(directory, suite="bookworm")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("name", ["", "dolmen.toml", ".dolmen"])
def test_a_directory_of_another_user(place: Place, shell: str, name: str) -> None:
    allow(place.environment, known=True)
    assert place.run(shell, ENTER)[0] == place.inside
    os.chown(place.environment.directory / name, 4242, 4242)
    out, err = place.run(shell, ENTER)
    assert out == OUTSIDE
    assert "another user" in err


def test_names_of_directories_are_data(
    shell: str, tmp_path: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4: newline, quotes, $( ) in $PWD."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    place = make(tmp_path / EVIL / "\x1b]0;x\x07 é", backend, home)
    allow(place.environment, known=True)
    out, err = place.run(shell, ENTER + "cd ..\n" + PROMPT)
    assert (out, err) == (place.inside + OUTSIDE, "")
    deny(place.environment.directory)
    _out, err = place.run(shell, ENTER)
    assert "\x1b" not in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("HIT"))
    # The text that is evaluated is the same everywhere.
    assert EVIL not in hooks.source(shell)


def test_a_path_with_a_colon_cannot_be_loaded(place: Place, shell: str) -> None:
    other = place.home.parent / "a:b"
    place.environment.directory.rename(other)
    out, err = place.run(shell, ENTER, {"D": str(other)})
    assert out == OUTSIDE
    assert "colon" in err


def test_symbolic_links(place: Place, shell: str) -> None:
    """Allowed is the directory, whatever way leads there."""
    allow(place.environment, known=True)
    (place.environment.directory / "sub").mkdir()
    link = place.home / "link"
    link.symlink_to(place.environment.directory / "sub")
    assert place.run(shell, ENTER, {"D": str(link)}) == (place.inside, "")


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "/usr/bin:/bin:", "/usr/bin::/bin", "/bin:/bin"])
def test_leaving_restores_path_exactly(place: Place, shell: str, path: str) -> None:
    allow(place.environment, known=True)
    script = "/usr/bin/printenv PATH\n" + ENTER + "cd /\n" + PROMPT
    out, _err = place.run(shell, script, {"PATH": path})
    before, inside, after = out.splitlines()
    assert inside.endswith(before)
    assert inside != before
    assert after == before


def test_changes_of_path_inside_stay(place: Place, shell: str) -> None:
    allow(place.environment, known=True)
    change = {"fish": "set -gx PATH /opt/x $PATH\n"}.get(shell, "PATH=/opt/x:$PATH\n")
    out, _err = place.run(shell, ENTER + change + "cd /\n" + PROMPT)
    assert out.splitlines()[1] == "/opt/x:/usr/bin:/bin"


@pytest.mark.parametrize("inner", hooks.SHELLS)
def test_a_shell_started_inside_takes_it_back(place: Place, shell: str, inner: str) -> None:
    set_variables(place, {"GREETING": "hello", "EDITOR": "vi"})
    left = 'env | grep -c "^_DOLMEN\\|^GREETING"\nprintenv EDITOR PATH\n'
    ask = "_dolmen_hook\nprintenv GREETING EDITOR PATH\ncd /\n_dolmen_hook\n"
    script = f"{hooks.source(inner)}\n{ask}{left}"
    start = f'cd "$D"\n_dolmen_hook\n{inner} -c "$INNER"\n'
    out, err = place.run(shell, start, {"INNER": script, "EDITOR": "nano"})
    assert err == ""
    assert out == f"hello\nvi\n{place.inside}0\nnano\n{OUTSIDE}"


def test_options_of_the_users_shell_do_not_matter(place: Place, shell: str) -> None:
    set_variables(place, {"ONE": "a b", "TWO": "*"})
    options = {
        "bash": "set -euf +B; IFS=:/; shopt -s nocasematch nullglob extglob; set -o noclobber\n",
        "zsh": "setopt errexit nounset shwordsplit noglob ksharrays noclobber\nIFS=:/\n",
        "fish": "set -g fish_features all; set -g IFS :\n",
    }[shell]
    out, err = place.run(shell, options + ENTER + "printenv ONE TWO\ncd /\n" + PROMPT)
    assert (out, err) == (f"{place.inside}a b\n*\n{OUTSIDE}", "")


def test_one_environment_after_the_other(place: Place, shell: str) -> None:
    other = make(place.home.parent / "other", place.backend, place.home)
    allow(place.environment, known=True)
    allow(other.environment, known=True)
    there = 'cd "$O"\n_dolmen_hook\nprintenv PATH\n'
    out, _err = place.run(shell, ENTER + there + ENTER, {"O": str(other.environment.directory)})
    assert out == place.inside + other.inside + place.inside


def test_inert_without_a_home(place: Place, shell: str) -> None:
    """D8: HOME unset or relative: nothing is allowed, nothing breaks."""
    allow(place.environment, known=True)
    assert place.run(shell, ENTER)[0] == place.inside
    for home in ("relative", ""):
        out, _err = place.run(shell, ENTER, {"HOME": home})
        assert out == OUTSIDE


def test_a_foreign_record_counts_for_nothing(place: Place, shell: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give files away")
    allow(place.environment, known=True)
    assert place.run(shell, ENTER)[0] == place.inside
    os.chown(record_of(place.environment.directory), 4242, 4242)
    assert place.run(shell, ENTER)[0] == OUTSIDE


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    values=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
        min_size=1,
        max_size=6,
    )
)
@example(values=["", " ", "\n", "a\n\n", "'\"\\$`$(id)", "%s%n\\n\\c", "=", "-n", "é\u202e"])
def test_values_survive(place: Place, shell: str, values: list[str]) -> None:
    """D3: whatever a value holds comes out as it went in."""
    variables = {f"V{index}": value for index, value in enumerate(values)}
    set_variables(place, variables)
    show = "env -0 MARK=1\n"
    out, err = place.run(shell, f'cd "$D"\n_dolmen_hook\n{show}cd /\n_dolmen_hook\n{show}')
    assert err == ""
    inside, outside = (
        dict(item.partition("=")[::2] for item in part.split("\0"))
        for part in out.split("MARK=1\0")[:2]
    )
    assert {name: inside.get(name) for name in variables} == variables
    assert not [name for name in outside if name in variables or name.startswith("_DOLMEN")]


@pytest.mark.parametrize(
    "entry",
    ["A B=1", "A;id=2", "BASH_FUNC_x%%=() { id; }", "LD_PRELOAD=/x", "PATH=/x", "=x", "x"],
)
def test_names_that_do_harm_are_not_set(place: Place, shell: str, entry: str) -> None:
    """D3, though no such file is ever written: the hooks do not rely on that."""
    set_variables(place, {"GOOD": "1"})
    assert "GOOD=1\n" in place.run(shell, 'cd "$D"\n_dolmen_hook\nenv\n')[0]
    (place.environment.current / environ.ENVIRON).write_text(f"{entry}\0GOOD=1\0")
    allow(place.environment, known=True)
    out, _err = place.run(shell, 'cd "$D"\n_dolmen_hook\nenv\n')
    assert "GOOD=1\n" in out
    assert "/x" not in out.replace("/x-", "")
    assert "BASH_FUNC" not in out
    assert "id=2" not in out


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_prompt_starts_no_process(place: Place, shell: str, tmp_path: Path) -> None:
    """No process at a prompt, inside or outside; one when a directory is entered."""
    allow(place.environment, known=True)
    trace = tmp_path / "trace"

    def processes(script: str) -> int:
        text = hooks.source(shell) + 'cd "$D"\n' + script
        argv = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", str(trace)]
        argv += [*hooks.argv(shell), text]
        env = {"PATH": "/usr/bin:/bin", "HOME": str(place.home), "LC_ALL": "C.UTF-8"}
        env["D"] = str(place.environment.directory)
        assert run(argv, timeout=60, env=env, cwd=place.home).ok
        return trace.read_text().count("execve(")

    entered = processes("_dolmen_hook\n")
    assert entered >= 2  # the shell, sha256sum, and for fish env(1)
    assert processes("_dolmen_hook\n" * 10) == entered
    assert processes("_dolmen_hook\ncd /\n" + "_dolmen_hook\n" * 10) == entered


PROMPTS = {
    "bash": 'PS1="> "\n_dolmen_prompt=yes\ncd "$D"\n_dolmen_hook\necho "${PS1@P}"\n'
    'cd /\n_dolmen_hook\necho "${PS1@P}"\n',
    "zsh": 'setopt promptsubst\nPS1="> "\n_dolmen_prompt=yes\ncd "$D"\n_dolmen_hook\n'
    "_dolmen_show_name\nprint -P -- $PS1\n"
    "cd /\n_dolmen_hook\n_dolmen_show_name\nprint -P -- $PS1\n",
    "fish": 'function fish_prompt; echo "> "; end\n_dolmen_wrap_prompt\ncd "$D"\n_dolmen_hook\n'
    "fish_prompt\ncd /\n_dolmen_hook\nfish_prompt\n",
}


@pytest.mark.parametrize(
    "name", ["web", "$(touch HIT)`touch HIT`", "%n%F{red}\\u\\$(id)", "\x1b[31m"]
)
def test_the_name_in_the_prompt_is_only_text(
    place: Place, shell: str, name: str, backend: FakeBackend
) -> None:
    """D5: expansions of prompts (promptvars, promptsubst, %-escapes, backslashes)."""
    other = make(place.home.parent / "named" / name, backend, place.home)
    allow(other.environment, known=True)
    out, err = other.run(shell, PROMPTS[shell])
    inside, outside = out.splitlines()
    assert err == ""
    shown = re.sub(r"[^A-Za-z0-9._+-]", "-", name)
    assert (inside.rstrip(), outside.rstrip()) == (f"({shown}) >", ">")
    assert not list(place.home.parent.rglob("HIT"))
