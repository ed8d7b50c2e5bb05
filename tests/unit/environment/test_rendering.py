"""Whatever a manifest says reaches shells as it is (D3)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dolmen.environment import environ
from dolmen.environment.rendering import render_files, with_arguments
from dolmen.model import Entrance

TEXT = st.text(
    st.one_of(
        st.sampled_from("'\"$\\`\n\t !#*?~;&|<>(){}[]=%-"),
        st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]),
    ),
    max_size=20,
)
#: Of a directory: a path component.
NAMES = TEXT.map(lambda text: text.replace("/", "").encode()[:40].decode(errors="ignore")).filter(
    lambda text: text not in ("", ".", "..")
)
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LAUNCH = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
READERS = {
    "dash": 'printf "%s\\0" "$VALUE"',
    "bash": 'printf "%s\\0" "$VALUE"',
    "zsh": 'printf "%s\\0" "$VALUE"',
    "fish": 'printf "%s\\0" "$VALUE"',
}


@FEW
@given(directory=NAMES, arguments=st.lists(TEXT, max_size=3), line=TEXT)
def test_scripts_get_their_arguments_and_their_directory(
    directory: str, arguments: list[str], line: str
) -> None:
    with tempfile.TemporaryDirectory() as top:
        home = Path(top) / directory
        home.mkdir()
        quoted = line.replace("'", "'\\''")
        text = f"printf '%s\\0' \"$PWD\" '{quoted}'"
        entrance = Entrance(scripts=(("s", text),))
        live = Path(top) / "it's live"
        (live / "scripts").mkdir(parents=True)
        (live / "launch").write_text(LAUNCH)
        (live / "launch").chmod(0o755)
        for name, content in render_files(entrance, home).items():
            (live / name).write_bytes(content)
            (live / name).chmod(0o755)
        done = subprocess.run(
            [live / "scripts/s", "--pure", "--", *arguments],
            capture_output=True,
            timeout=20,
            check=True,
        )
        words = [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]
        # Several lines, and texts that speak of their arguments, take care of them themselves.
        appended = arguments if with_arguments(text) != text else []
        assert words == [str(home), line, *appended]


@pytest.mark.parametrize("shell", sorted(READERS))
@FEW
@given(value=TEXT)
def test_variables_reach_shells_through_environ(shell: str, value: str) -> None:
    """`environ` is what execve(2) takes, so nothing is there to be quoted."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    text = environ.render({"VALUE": value})
    assert text == f"VALUE={value}\0"
    name, _, found = text.rstrip("\0").partition("=")
    options = {"zsh": ["-f"], "fish": ["--no-config"], "bash": ["--norc"]}.get(shell, [])
    done = subprocess.run(
        [shell, *options, "-c", READERS[shell]],
        env={name: found, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.split(b"\0")[0].decode() == value


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "BASH_ENV", "IFS", "PS1", "HOME"])
def test_what_would_change_the_host_stays_out_of_environ(name: str) -> None:
    assert environ.render({name: "x", "GOOD": "1"}) == "GOOD=1\0"
