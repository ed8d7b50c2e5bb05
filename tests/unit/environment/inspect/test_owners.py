"""Who brings a file of the image: shipped, by alternatives, through links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.environment import Environment, generations, initialise, install
from dolmen.environment.inspect.owners import Owner, installed_owners, unambiguous
from dolmen.environment.inspect.view import View, view
from dolmen.model import parse_spec
from tests.lib.backend import FakeBackend


@pytest.fixture
def seen(environment: Environment, backend: FakeBackend) -> View:
    """An environment whose image has files of jq and python3, and a name made by alternatives."""
    install(environment, [parse_spec("jq"), parse_spec("python3")], backend=backend, command="i")
    live = generations.current(environment)
    assert live is not None
    tree = live.tree
    for directory in ("usr/bin", "usr/sbin", "usr/include", "etc/alternatives", "usr/share/jq"):
        (tree / directory).mkdir(parents=True, exist_ok=True)
    for path in ("usr/bin/jq", "usr/bin/python3.11", "usr/include/jq.h", "usr/bin/vim.tiny"):
        (tree / path).write_text("")
    (tree / "usr/bin/python3").unlink(missing_ok=True)
    os.symlink("python3.11", tree / "usr/bin/python3")
    os.symlink("/etc/alternatives/vi", tree / "usr/bin/vi")
    os.symlink("/usr/bin/vim.tiny", tree / "etc/alternatives/vi")
    os.symlink("python3", tree / "usr/bin/snake")
    info = tree / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "jq.list").write_text("/.\n/bin/jq\n/usr/include/jq.h\n/usr/share/jq\n")
    (info / "python3.list").unlink(missing_ok=True)
    (info / "python3:amd64.list").write_text(
        "/.\n/usr/bin/python3\n/usr/bin/python3.11\n/usr/bin/vim.tiny\n"
    )
    return view(environment, backend=backend)


def one(seen: View, name: str) -> Owner:
    (owner,) = installed_owners(seen, name)
    return owner


def test_commands(seen: View) -> None:
    assert one(seen, "jq") == Owner("jq", "usr/bin/jq", "ships", "", "1.6-2")
    assert one(seen, "python3").package == "python3"
    assert one(seen, "python3").how == "ships"


def test_names_made_by_alternatives(seen: View) -> None:
    owner = one(seen, "vi")
    assert (owner.package, owner.how, owner.target) == (
        "python3",
        "alternative",
        "usr/bin/vim.tiny",
    )


def test_names_that_are_links_of_nobody(seen: View) -> None:
    owner = one(seen, "snake")
    assert (owner.package, owner.how) == ("python3", "link")


@pytest.mark.parametrize("name", ["/usr/bin/jq", "/bin/jq", "bin/jq", "/usr/bin/../bin/jq"])
def test_paths_in_any_spelling(seen: View, name: str) -> None:
    assert one(seen, name).path == "usr/bin/jq"


def test_files_by_their_name_alone(seen: View) -> None:
    assert one(seen, "jq.h").path == "usr/include/jq.h"
    assert one(seen, "include/jq.h").path == "usr/include/jq.h"


@pytest.mark.parametrize("name", ["nothing", "/usr/bin/nothing", "/include/jq.h", "..", "/"])
def test_nothing(seen: View, name: str) -> None:
    assert installed_owners(seen, name) == () or name == "/"


def test_without_an_image(tmp_path: Path, backend: FakeBackend) -> None:
    directory = tmp_path / "empty"
    directory.mkdir()
    environment = initialise(directory, suite="bookworm")
    assert installed_owners(view(environment, backend=backend), "jq") == ()


def test_a_changed_lock_is_not_the_image(seen: View) -> None:
    assert seen.tree() is not None
    assert seen.environment is not None
    changed = View(seen.manifest, seen.state, seen.environment, f"{seen.lock_text}\n")
    assert changed.tree() is None


def test_which_package_to_take() -> None:
    jq, other = Owner("jq", "usr/bin/jq", "ships"), Owner("gojq", "usr/bin/jq", "ships")
    assert unambiguous("jq", [other, jq]) == "jq"
    assert unambiguous("x", [other]) == "gojq"
    assert unambiguous("x", [jq, other]) is None
    assert unambiguous("x", []) is None
