from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolmen.sandbox import host_files, launcher
from dolmen.sandbox.launcher import _watched
from dolmen.support.errors import DeclarationError

ODD = 'it\'s $(touch pwned) `id` "x" ;&|\\ *'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / ODD / "trees" / "0123abc"
    for name in ("usr/bin", "etc", "var/lib", "home", "opt"):
        (tree / name).mkdir(parents=True)
    for command in ("sh", "true", "cmd", "python3", "launch", "--pure"):
        (tree / "usr/bin" / command).write_text("")
    (tree / "etc/hosts").write_text("")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    return tree


def printed(
    tmp_path: Path,
    text: str,
    *argv: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What the launcher would execute, one word a line."""
    script = tmp_path / "launch"
    script.write_text(text)
    return subprocess.run(
        ["sh", str(script), "--print", *argv],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=cwd or tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"} | (env or {}),
        stdin=subprocess.DEVNULL,
    )


def test_dash_and_bash_parse_it(tree: Path) -> None:
    text = launcher(tree, name=ODD, fallback="dolmen shell", shell_environment={"A": ODD})
    for shell in (["dash", "-n"], ["bash", "--posix", "-n"]):
        subprocess.run(shell, input=text, text=True, timeout=20, check=True)


def test_every_placeholder_is_filled(tree: Path) -> None:
    text = launcher(tree)
    assert re.findall(r"@[A-Z_]+@", text) == []
    assert text.startswith("#!/bin/sh\n")


def test_odd_paths_and_values_arrive_whole(tree: Path, tmp_path: Path) -> None:
    host_files(tmp_path / "host", tree)
    done = printed(
        tmp_path, launcher(tree, shell_environment={"VALUE": ODD}), "--", "cmd", ODD, "--bind"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    at = lines.index("VALUE")
    assert lines[at - 1 : at + 2] == ["--setenv", "VALUE", ODD]
    assert str(tree / "usr") in lines
    last = len(lines) - 1 - lines[::-1].index("--")
    assert lines[last + 1 :] == ["cmd", ODD, "--bind"]
    assert "--unshare-user" in lines[: lines.index("--")]
    assert not (tmp_path / "pwned").exists()


@settings(max_examples=15)
@given(
    value=st.text(
        st.characters(exclude_characters="\0\n\r\x85\u2028\u2029", exclude_categories=["Cs"])
    )
)
def test_any_value_of_a_variable(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    directory = tmp_path_factory.mktemp("value")
    tree = directory / "tree"
    for name in ("usr/bin", "etc"):
        (tree / name).mkdir(parents=True)
    (tree / "usr/bin/true").write_text("")
    host_files(directory / "host", tree)
    done = printed(directory, launcher(tree, shell_environment={"VALUE": value}), "true")
    lines = done.stdout.split("\n")
    assert lines[lines.index("VALUE") + 1] == value


@pytest.mark.parametrize("name", ["A B", "A=1;id", "BASH_FUNC_x%%", "", "1"])
def test_bad_variables_are_refused(tree: Path, name: str) -> None:
    launcher(tree, shell_environment={"GOOD": "1"})
    with pytest.raises(DeclarationError) as caught:
        launcher(tree, shell_environment={name: "1"})
    assert caught.value.reason == "bad-variable"


def test_only_what_the_image_can_carry_is_bound(tree: Path, tmp_path: Path) -> None:
    host_files(tmp_path / "host", tree)
    lines = printed(tmp_path, launcher(tree), "true").stdout.splitlines()
    assert "/etc/hosts" in lines
    assert "/etc/passwd" in lines
    assert "/etc/localtime" not in lines  # not in this tree


def test_a_missing_tree_goes_to_the_fallback_once(tree: Path, tmp_path: Path) -> None:
    host_files(tmp_path / "host", tree)
    text = launcher(tree, fallback='printf "%s\\n" again "$dolmen_here"')
    assert "again" not in printed(tmp_path, text, "true").stdout
    (tree / "usr").rename(tree / "gone")
    done = printed(tmp_path, text, "--pure", "--", "cmd", "a b")
    assert done.stdout.splitlines() == ["again", str(tmp_path), "--pure", "--", "cmd", "a b"]
    assert printed(tmp_path, text, "cmd", env={"DOLMEN_FALLBACK": "1"}).returncode == 125
    assert printed(tmp_path, launcher(tree), "cmd").returncode == 125


def test_a_command_that_is_nowhere(tree: Path, tmp_path: Path) -> None:
    host_files(tmp_path / "host", tree)
    (tree / "usr/bin/java").symlink_to("/etc/alternatives/java")  # leads into the image only
    mine = tmp_path / "bin"
    mine.mkdir()
    (mine / "own").write_text("")

    def code(command: str, **extra: str) -> int:
        path = {"PATH": f"{mine}:/usr/bin:/bin"}
        return printed(
            tmp_path, launcher(tree, shell_environment=extra), command, env=path
        ).returncode

    assert [code(name) for name in ("java", "own", "./x", "nowhere")] == [0, 0, 0, 127]
    assert code("nowhere", PATH="/elsewhere") == 0  # not ours to judge


def test_bad_options(tree: Path, tmp_path: Path) -> None:
    host_files(tmp_path / "host", tree)
    assert printed(tmp_path, launcher(tree), "--unknown", "true").returncode == 2
    assert printed(tmp_path, launcher(tree), "--host-files").returncode == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("python3", ["python3", "-V"]), ("launch", ["launch", "-V"]), ("--pure", ["--pure", "-V"])],
)
def test_links_run_what_they_are_called(
    tree: Path, tmp_path: Path, name: str, expected: list[str]
) -> None:
    host_files(tmp_path / "host", tree)
    (tmp_path / "launch").write_text(launcher(tree))
    (tmp_path / "launch").chmod(0o755)
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / name
    link.symlink_to("../launch")
    fake = tmp_path / "fake"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    text = (tmp_path / "launch").read_text()
    (tmp_path / "launch").write_text(re.sub(r"\S*bin/bwrap", str(fake), text))
    done = subprocess.run(
        [str(link), "-V"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        cwd="/",
        env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.splitlines()[-2:] == expected


def share(tmp_path: Path, text: str, cwd: str, *, home: str = "/nonexistent") -> list[str]:
    """The host directories that a working directory adds; sh is told where it is."""
    # No need to have such directories: the text after the look at the real one is what is tested.
    text = text.replace("dolmen_cwd=$PWD\n", f"dolmen_cwd='{cwd}' dolmen_logical='{cwd}'\n")
    lines = printed(tmp_path, text, "true", env={"HOME": home}).stdout.splitlines()
    return [
        lines[n + 1]
        for n, line in enumerate(lines)
        if line == "--bind" and lines[n + 1] not in ("/proc", "/tmp", home)
    ]


@pytest.mark.parametrize(
    ("cwd", "shown"),
    [
        ("/data/a/b", ["/data"]),
        ("/data", ["/data"]),
        ("/srv/a/b/c", ["/srv/a"]),
        ("/srv/a", ["/srv/a"]),
        ("/srv", ["/srv"]),
        ("/mnt/disk/x", ["/mnt/disk"]),
        ("/opt/tool/src", ["/opt/tool"]),
        ("/home/other/x", ["/home/other"]),
        ("/home/me/x", []),
        ("/tmp/x", []),
        ("/", []),
        ("/proc/1", []),
        ("/var/www/site/x", ["/var/www"]),
        ("/var/lib/app/x", ["/var/lib/app"]),
        ("/usr/local/src/x", ["/usr/local/src"]),
        ("/run/build/x", ["/run/build"]),
        ("/boot/grub", ["/boot"]),
    ],
)
def test_what_a_working_directory_shows(
    tree: Path, tmp_path: Path, cwd: str, shown: list[str]
) -> None:
    (tree / "usr/local").mkdir()
    host_files(tmp_path / "host", tree)
    assert share(tmp_path, launcher(tree), cwd, home="/home/me") == shown


@pytest.mark.parametrize("cwd", ["/etc/apt", "/usr/share/doc", "/opt/own/x", "/var/lib/own/x"])
def test_directories_that_the_image_has_itself(tree: Path, tmp_path: Path, cwd: str) -> None:
    for name in ("opt/own", "var/lib/own"):
        (tree / name).mkdir()
    host_files(tmp_path / "host", tree)
    text = launcher(tree).replace("dolmen_cwd=$PWD\n", f"dolmen_cwd='{cwd}' dolmen_logical=''\n")
    assert printed(tmp_path, text, "true").returncode == 125
    (tree / cwd.lstrip("/")).mkdir(parents=True)
    done = printed(tmp_path, text, "true")
    assert done.returncode == 0
    assert cwd in done.stderr


def test_what_starts_is_watched_where_times_tell(tmp_path: Path) -> None:
    """In a tree of the store, where every file has the time 0; links lead inside."""
    tree = tmp_path / "tree"
    for name in ("usr/bin/bash", "usr/bin/env", "usr/lib/x/ld-linux-x.so.2", "usr/bin/python3.11"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
        os.utime(tree / name, (0, 0))
    (tree / "usr/bin/sh").symlink_to("/usr/bin/bash")
    (tree / "usr/bin/python3").symlink_to("../bin/python3.11")
    (tree / "usr/bin/perl").symlink_to("/etc/passwd")
    names = ("usr/bin/bash", "usr/bin/env", "usr/bin/python3.11", "usr/lib/x/ld-linux-x.so.2")
    assert _watched(tree) == [tree / name for name in names]
    # Written to already: all the more.
    (tree / "usr/bin/env").touch()
    assert tree / "usr/bin/env" in _watched(tree)
    for name in names:
        (tree / name).touch()
    assert _watched(tree) == []
