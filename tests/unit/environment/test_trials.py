"""Trials on disk: records, holding, what changed, and how they end; nothing is mounted here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dolmen.environment import Environment, install, keeping, layers, sync, trials, trying
from dolmen.environment.needs import NeedsReader
from dolmen.environment.trials import Trial
from dolmen.model import parse_manifest, parse_spec
from dolmen.support.errors import BusyError, DeclarationError, DolmenError, PackageError
from tests.lib.backend import FakeBackend, snapshot

STANZA = """\
Package: {0}
Status: install ok {2}
Architecture: amd64
Version: {1}

"""


def status(*packages: str, state: str = "installed") -> str:
    return "".join(STANZA.format(*package.split("="), state) for package in packages)


@pytest.fixture
def trial(environment: Environment, backend: FakeBackend) -> Trial:
    """A trial over jq 1.6-2, on an image with apt."""
    install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    tree = (environment.current / "tree").resolve()
    (tree / "usr/bin/apt-get").touch()
    write(tree / "var/lib/dpkg/status", status("base-files=12", "jq=1.6-2"))
    write(tree / "etc/motd", "before\n")
    return trying.begin(environment, "trial", backend=backend)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def now_has(trial: Trial, *packages: str, state: str = "installed") -> None:
    write(trial.upper / "var/lib/dpkg/status", status(*packages, state=state))


def reason(call: object, *arguments: object, **options: object) -> str:
    assert callable(call)
    with pytest.raises(DolmenError) as caught:
        call(*arguments, **options)
    return caught.value.reason


def test_a_fresh_trial_has_changed_nothing(environment: Environment, trial: Trial) -> None:
    assert trials.names(environment) == ("trial",)
    assert trials.find(environment, None) == trial
    assert layers.changes(trial) == layers.LayerChanges()
    assert (trial.upper / "usr/sbin/policy-rc.d").read_text().endswith("exit 101\n")


def test_it_goes_on_where_it_was(
    environment: Environment, backend: FakeBackend, trial: Trial
) -> None:
    write(trial.upper / "etc/new", "x")
    assert trying.begin(environment, "trial", backend=backend) == trial
    assert [file.path for file in layers.changes(trial).files] == ["/etc/new"]


def test_what_has_changed(trial: Trial) -> None:
    now_has(trial, "base-files=13", "curl=7.88.1-10")
    write(trial.upper / "etc/motd", "after\n")
    write(trial.upper / "var/log/dpkg.log", "noise")
    write(trial.upper / "usr/bin/curl", "theirs")
    write(trial.upper / "var/lib/dpkg/info/curl.list", "/.\n/bin\n/bin/curl\n")
    found = layers.changes(trial)
    assert [(c.name, c.after) for c in found.added] == [("curl", "7.88.1-10")]
    assert [(c.name, c.before) for c in found.removed] == [("jq", "1.6-2")]
    assert [(c.before, c.after) for c in found.changed] == [("12", "13")]
    assert [p.name for p in found.requested] == ["curl"]
    assert [(f.path, f.what) for f in found.files] == [("/etc/motd", "changed")]


def test_what_was_shown_inside_is_no_change(trial: Trial) -> None:
    from dataclasses import replace

    shown = replace(trial, shares=("/data/a/b", "/home/u"))
    for name in ("data/a/b", "home/u", "srv"):
        (trial.upper / name).mkdir(parents=True)
    assert layers.drop(shown, "/data")
    assert layers.drop(shown, "/home")
    assert not layers.drop(shown, "/srv")
    write(trial.upper / "data/mine", "x")
    assert not layers.drop(shown, "/data")
    assert [f.path for f in layers.changes(shown).files] == ["/data/mine"]


def test_keep_goes_by_way_of_manifest_and_lock(
    environment: Environment, backend: FakeBackend, trial: Trial
) -> None:
    backend.universe |= {"curl": "9.0-1"}
    now_has(trial, "base-files=12", "curl=7.88.1-10")
    backend.calls.clear()
    before = snapshot(environment)
    plan = keeping.keep(environment, None, backend=backend, dry_run=True)
    assert plan.outcome.dry_run
    assert snapshot(environment) == before
    kept = keeping.keep(environment, None, backend=backend)
    assert kept.dropped
    assert not kept.left_out
    assert trials.names(environment) == ()
    assert [str(s) for s in parse_manifest(environment.manifest_text()).packages] == ["curl"]
    # The version that was tried, not the archive's newest.
    assert "Version: 7.88.1-10\n" in (environment.lock_text() or "")
    assert not sync(environment, backend=backend, command="sync").changed


def test_files_of_ones_own_are_named_and_the_trial_stays(
    environment: Environment, backend: FakeBackend, trial: Trial
) -> None:
    now_has(trial, "base-files=12", "jq=1.6-2", "curl=7.88.1-10")
    write(trial.upper / "usr/local/bin/x", "mine")
    kept = keeping.keep(environment, None, backend=backend)
    assert [file.path for file in kept.left_out] == ["/usr/local/bin/x"]
    assert not kept.dropped
    assert trials.names(environment) == ("trial",)
    assert keeping.drop(environment, None) == "trial"


def test_what_is_not_the_archives_is_refused(
    environment: Environment, backend: FakeBackend, trial: Trial
) -> None:
    before = snapshot(environment)
    now_has(trial, "base-files=12", "jq=1.6-2", "mine=1")
    changed = snapshot(environment)
    assert reason(keeping.keep, environment, None, backend=backend) == "unknown-package"
    now_has(trial, "base-files=99", "jq=1.6-2")
    assert reason(keeping.keep, environment, None, backend=backend) == "not-as-tried"
    assert changed.keys() == snapshot(environment).keys()
    assert before["dolmen.toml"] == snapshot(environment)["dolmen.toml"]
    assert os.readlink(environment.current) == "generations/1"


def test_half_done_is_refused(environment: Environment, backend: FakeBackend, trial: Trial) -> None:
    now_has(trial, "base-files=12", "jq=1.6-2", state="half-configured")
    with pytest.raises(PackageError) as caught:
        keeping.keep(environment, None, backend=backend)
    assert caught.value.reason == "half-installed"


def test_nothing_to_keep(environment: Environment, backend: FakeBackend, trial: Trial) -> None:
    assert reason(keeping.keep, environment, None, backend=backend) == "nothing-to-keep"
    assert reason(keeping.keep_as_is, environment, None, backend=backend) == "nothing-to-keep"
    write(trial.upper / "etc/motd", "after\n")
    assert reason(keeping.keep, environment, None, backend=backend) == "nothing-to-keep"


def test_as_is_needs_the_generation_it_began_on(
    environment: Environment, backend: FakeBackend, trial: Trial
) -> None:
    write(trial.upper / "etc/motd", "after\n")
    install(environment, [parse_spec("curl")], backend=backend, command="install curl")
    tree = (environment.current / "tree").resolve()
    write(tree / "var/lib/dpkg/status", status("base-files=12", "jq=1.6-2", "curl=7.88.1-10"))
    assert reason(keeping.keep_as_is, environment, None, backend=backend) == "trial-outdated"


def test_only_one_at_a_time(environment: Environment, backend: FakeBackend, trial: Trial) -> None:
    now_has(trial, "base-files=12", "jq=1.6-2", "curl=7.88.1-10")
    fd = trials.hold(environment, "trial")
    try:
        assert trials.is_running(environment, "trial")
        for call in (keeping.keep, keeping.keep_as_is):
            with pytest.raises(BusyError) as caught:
                call(environment, None, backend=backend)
            assert caught.value.reason == "trial-running"
        assert reason(keeping.drop, environment, None) == "trial-running"
    finally:
        os.close(fd)
    assert not trials.is_running(environment, "trial")
    assert keeping.keep(environment, None, backend=backend).dropped


def test_names(environment: Environment, backend: FakeBackend, trial: Trial) -> None:
    trying.begin(environment, "other", backend=backend)
    assert trials.names(environment) == ("other", "trial")
    assert reason(trials.find, environment, None) == "which-trial"
    assert reason(trials.find, environment, "third") == "no-trial"
    for name in ("", "..", "a/b", ".new.x", "-x", "x" * 65):
        assert reason(trials.find, environment, name) == "bad-trial-name"
    assert keeping.drop(environment, "other") == "other"
    assert keeping.drop(environment, None) == "trial"
    assert reason(keeping.drop, environment, None) == "no-trial"


def test_a_copy_is_a_strangers(environment: Environment, trial: Trial) -> None:
    copy = trial.directory.with_name("copy")
    shutil.copytree(trial.directory, copy, symlinks=True)
    assert reason(trials.find, environment, "copy") == "foreign-trial"
    (copy / "trial.json").write_text("{}")
    assert reason(trials.find, environment, "copy") == "bad-trial"
    assert keeping.drop(environment, "copy") == "copy"
    assert trials.find(environment, None) == trial


def test_the_image_below_is_needed(environment: Environment, trial: Trial) -> None:
    for directory in environment.generations.iterdir():
        shutil.rmtree(directory)
    needs = NeedsReader().of_directory(environment.directory)
    assert needs is not None
    assert trial.image in needs.images


def test_without_apt_it_is_added_below(environment: Environment, backend: FakeBackend) -> None:
    backend.universe |= {"apt": "2.6.1"}
    install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    live = (environment.current / "tree").resolve()
    trial = trying.begin(environment, "x", backend=backend)
    assert trial.helpers == ("apt",)
    assert trial.tree != live
    assert "apt" not in environment.manifest_text()
    lock = trials.lock_of(trial)
    assert lock is not None
    assert lock.find("apt")


def test_nothing_live_nothing_to_try(environment: Environment, backend: FakeBackend) -> None:
    with pytest.raises(DeclarationError) as caught:
        trying.begin(environment, "x", backend=backend)
    assert caught.value.reason == "no-generation"
