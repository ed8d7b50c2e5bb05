"""Trials as commits: what they hold, what comes back, and what is refused."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.environment import (
    Environment,
    carrying,
    generations,
    install,
    keeping,
    layers,
    trials,
    trying,
)
from dolmen.environment.trials import Trial
from dolmen.model import Spec
from dolmen.store.history import references, revisions
from dolmen.store.history.repository import History
from dolmen.store.history.tree import Tree
from dolmen.support.errors import BusyError, DeclarationError, PackageError, StoreError
from dolmen.support.files import remove_tree
from tests.lib.storing import StoreBackend


@dataclass
class World:
    environment: Environment
    backend: StoreBackend

    @property
    def history(self) -> History:
        return History.open(self.backend.store.path / "repo")

    def trial(self, name: str = "trial") -> Trial:
        trial = trying.begin(self.environment, name, backend=self.backend)
        upper = trial.upper
        (upper / "etc").mkdir(exist_ok=True)
        (upper / "etc/jq.conf").write_text("edited\n")
        (upper / "opt/deep").mkdir(parents=True)
        (upper / "opt/deep/secret").write_text("s")
        (upper / "opt/deep/secret").chmod(0o600)
        (upper / "opt/deep").chmod(0o750)
        (upper / "opt/link").symlink_to("/nowhere")
        (upper / "usr/bin").mkdir(parents=True, exist_ok=True)
        os.mknod(upper / "usr/bin/jq", stat.S_IFCHR, 0)
        (upper / "var/lib/apt/lists").mkdir(parents=True, exist_ok=True)
        (upper / "var/lib/apt/lists/an_index").write_text("much")
        return trial

    def commit(self, **more: object) -> carrying.CommittedTrial:
        return carrying.commit_trial(self.environment, None, backend=self.backend, **more)  # type: ignore[arg-type]


@pytest.fixture
def world(environment: Environment) -> Iterator[World]:
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    backend = StoreBackend(place / "store")
    install(environment, [Spec("jq")], backend=backend, command="install jq")
    yield World(environment, backend)
    remove_tree(place)


def listed(upper: Path) -> dict[str, tuple[int, str]]:
    """What a layer holds; directories that are only on the way count as well."""
    found = {}
    for directory, _, names in os.walk(upper):
        for name in [*names, "."]:
            path = Path(directory, name)
            status = path.lstat()
            text = ""
            if stat.S_ISREG(status.st_mode):
                text = path.read_text()
            elif stat.S_ISLNK(status.st_mode):
                text = os.readlink(path)
            found[str(path.relative_to(upper))] = (status.st_mode, text)
    return found


def test_a_trial_comes_back_as_it_was(world: World) -> None:
    trial = world.trial()
    done = world.commit(subject="One")
    assert done.branch == "trial/project/trial"
    commits = list(revisions.log(world.history, done.branch))
    assert [c.subject for c in commits] == ["One", f"Image {trial.image}"]
    assert commits[1].content == trial.image
    tree = Tree(world.history, done.checksum)
    assert b"".join(tree.read(tree.find("/etc/jq.conf"))) == b"edited\n"
    with pytest.raises(StoreError):
        tree.find("/var/lib/apt/lists/an_index")
    again = carrying.resume_trial(world.environment, done.branch, "again", backend=world.backend)
    mine, theirs = listed(trial.upper), listed(again.upper)
    mine.pop("var/lib/apt/lists/an_index")
    assert {k: v for k, v in theirs.items() if not k.startswith("var/lib/apt")} == {
        k: v for k, v in mine.items() if not k.startswith("var/lib/apt")
    }
    assert again.image == trial.image
    assert layers.changes(again) == layers.changes(trial)
    # Files of its own: writing to them must not reach the store.
    assert (again.upper / "opt/deep/secret").stat().st_nlink == 1


def test_a_commit_of_the_same_and_one_on_top(world: World) -> None:
    trial = world.trial()
    one = world.commit()
    assert world.commit() == carrying.CommittedTrial("trial", one.branch, one.checksum, False)
    (trial.upper / "opt/more").write_text("more")
    two = world.commit()
    assert two.changed
    assert revisions.resolve(world.history, f"{one.branch}^") == one.checksum
    assert len(list(revisions.log(world.history, one.branch))) == 3
    with pytest.raises(StoreError) as caught:
        world.commit(branch="image/x")
    assert caught.value.reason == "ref-reserved"


def test_a_branch_of_something_else_gets_the_image_first(world: World) -> None:
    world.trial()
    world.commit(branch="topic")
    world.backend.universe["jq"] = "2.0"
    from dolmen.environment import update

    update(world.environment, backend=world.backend, command="update")
    world.environment.state.joinpath("trials").rename(world.environment.directory / "away")
    other = world.trial()
    done = world.commit(branch="topic")
    found = [c.content for c in revisions.log(world.history, "topic")]
    assert len(found) == 4
    assert found[1] == other.image
    assert (
        carrying.resume_trial(world.environment, done.checksum, "x", backend=world.backend).image
        == other.image
    )


def test_kept_from_there_it_is_the_same_image(world: World) -> None:
    world.trial()
    done = world.commit()
    carrying.resume_trial(world.environment, done.branch, "again", backend=world.backend)
    from dolmen.environment import rollback

    images = []
    for name in ("again", "trial"):
        keeping.keep_as_is(world.environment, name, backend=world.backend)
        live = generations.current(world.environment)
        assert live is not None
        images.append(live.generation.image)
        rollback(world.environment)
    assert images[0] == images[1]


def test_a_file_for_another_machine(world: World, tmp_path: Path) -> None:
    world.trial()
    done = world.commit()
    file = tmp_path / "trial.tar"
    carrying.write_file(world.backend, done.branch, file)
    other = StoreBackend(world.backend.store.path.parent / "other")
    directory = tmp_path / "elsewhere"
    shutil.copytree(world.environment.directory, directory, ignore=lambda *_: {".dolmen"})
    environment = Environment(directory)
    install(environment, [Spec("curl")], backend=other, command="install curl")
    assert carrying.read_file(other, file) == done.branch
    trial = carrying.resume_trial(environment, done.branch, backend=other)
    assert (trial.upper / "etc/jq.conf").read_text() == "edited\n"
    assert (trial.tree / "usr/bin/jq").exists()  # the image came along
    assert carrying.read_file(other, file, "renamed") == "renamed"
    # And again what is in there: a repository.
    with tarfile.open(file) as archive:
        names = archive.getnames()
    assert "config" in names
    assert f"refs/heads/{done.branch}" in names


def test_what_is_refused(world: World, tmp_path: Path) -> None:
    trial = world.trial()
    with trials.held(world.environment, "trial"), pytest.raises(BusyError):
        world.commit()
    done = world.commit()
    with pytest.raises(DeclarationError) as caught:
        carrying.resume_trial(world.environment, done.branch, "trial", backend=world.backend)
    assert caught.value.reason == "trial-taken"
    references.create(world.history, "plain", trial.commit)
    for revision, reason in (("plain", "not-a-trial"), ("none", "no-revision")):
        with pytest.raises(StoreError) as refused:
            carrying.resume_trial(world.environment, revision, "x", backend=world.backend)
        assert refused.value.reason == reason
    shutil.rmtree(trial.upper / "etc")
    (trial.upper / "etc").symlink_to("/tmp")
    hostile = world.commit(branch="hostile")
    with pytest.raises(StoreError) as refused:
        carrying.resume_trial(world.environment, hostile.checksum, "x", backend=world.backend)
    assert refused.value.reason == "not-a-trial"
    assert trials.names(world.environment) == ("trial",)
    file = tmp_path / "no.tar"
    with tarfile.open(file, "w") as archive:
        archive.add(__file__, "../escape")
    with pytest.raises(PackageError) as bad:
        carrying.read_file(world.backend, file)
    assert bad.value.reason == "unsafe-path"
