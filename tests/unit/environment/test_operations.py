"""Every operation moves from one whole state to another, or leaves everything as it was."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dolmen.environment import (
    Environment,
    check,
    generations,
    initialise,
    install,
    lock,
    prepare,
    remove,
    sync,
)
from dolmen.model import parse_lock, parse_manifest, parse_spec
from dolmen.support.errors import DeclarationError, DolmenError, SolveError, StaleError
from dolmen.support.files import remove_tree
from tests.lib.backend import FakeBackend, snapshot


def add(environment: Environment, backend: FakeBackend, *names: str, **options: object) -> object:
    specs = [parse_spec(name) for name in names]
    return install(environment, specs, backend=backend, command="install", **options)  # type: ignore[arg-type]


def names(environment: Environment) -> set[str]:
    text = environment.lock_text()
    assert text is not None
    return {p.name for p in parse_lock(text).packages if p.requested}


def test_init_writes_a_manifest(environment: Environment) -> None:
    assert parse_manifest(environment.manifest_text()).suite == "bookworm"
    assert (environment.state / ".gitignore").read_text() == "*\n"


def test_init_never_overwrites(environment: Environment) -> None:
    before = snapshot(environment)
    with pytest.raises(DeclarationError) as caught:
        initialise(environment.directory, suite="trixie")
    assert caught.value.reason == "exists"
    assert snapshot(environment) == before


def test_init_refuses_a_bad_suite(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        initialise(tmp_path, suite='x"\npackages = ["evil"]\n#')
    assert caught.value.reason == "bad-manifest"
    assert list(tmp_path.iterdir()) == []


def test_install_makes_a_generation(environment: Environment, backend: FakeBackend) -> None:
    outcome = install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    assert outcome.changed
    assert outcome.generation is not None
    assert outcome.generation.number == 1
    assert [c.name for c in outcome.changes.added] == ["base-files", "jq"]
    assert names(environment) == {"jq"}
    live = environment.current
    assert os.readlink(live) == "generations/1"
    assert (live / "launch").stat().st_mode & 0o111
    assert os.readlink(environment.state / "bin/jq") == "../launch"
    assert (live / "dolmen.lock").read_text() == environment.lock_text()
    assert (live / "tree").is_dir()


def test_install_again_does_nothing(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    before, backend.calls = snapshot(environment), []
    outcome = install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    assert not outcome.changed
    assert backend.calls == []
    assert snapshot(environment) == before


def test_install_keeps_versions(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    backend.universe["jq"] = "2.0-1"
    outcome = install(environment, [parse_spec("curl")], backend=backend, command="install curl")
    assert [c.name for c in outcome.changes.added] == ["curl"]
    assert outcome.changes.changed == ()


def test_lock_moves_versions(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    backend.universe["jq"] = "2.0-1"
    outcome = lock(environment, backend=backend)
    assert [(c.before, c.after) for c in outcome.changes.changed] == [("1.6-2", "2.0-1")]
    assert backend.calls.count("build") == 1
    outcome = sync(environment, backend=backend, command="sync")
    assert outcome.generation is not None
    assert outcome.generation.number == 2
    assert [(c.before, c.after) for c in outcome.changes.changed] == [("1.6-2", "2.0-1")]


def test_remove(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq", "curl")
    outcome = remove(environment, ["jq"], backend=backend, command="remove jq")
    assert [c.name for c in outcome.changes.removed] == ["jq"]
    assert outcome.changes.removed[0].requested
    assert names(environment) == {"curl"}
    assert not (environment.state / "bin/jq").is_symlink()


def test_remove_of_what_is_not_there(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    before = snapshot(environment)
    with pytest.raises(DeclarationError) as caught:
        remove(environment, ["curl"], backend=backend, command="remove curl")
    assert caught.value.reason == "not-in-manifest"
    assert snapshot(environment) == before


@pytest.mark.parametrize("step", ["solve", "build", "register", "launcher", "host_files"])
def test_failure_leaves_all_as_it_was(
    environment: Environment, backend: FakeBackend, step: str
) -> None:
    add(environment, backend, "jq")
    before = snapshot(environment)
    backend.failures[step] = SolveError("no")
    with pytest.raises(SolveError):
        add(environment, backend, "curl")
    assert snapshot(environment) == before
    backend.failures.clear()
    add(environment, backend, "curl")
    assert names(environment) == {"jq", "curl"}
    assert os.readlink(environment.current) == "generations/2"


@pytest.mark.parametrize("function", ["publish", "activate"])
@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
def test_failure_between_the_pointers_is_taken_back(
    environment: Environment,
    backend: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    error: BaseException,
) -> None:
    add(environment, backend, "jq")
    before = snapshot(environment)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(generations, function, fail)
        with pytest.raises(type(error)):
            add(environment, backend, "curl")
    assert snapshot(environment) == before
    add(environment, backend, "curl")
    assert names(environment) == {"jq", "curl"}
    assert not [n for n in snapshot(environment) if "/.new." in n]


def test_install_into_a_new_directory(tmp_path: Path, backend: FakeBackend) -> None:
    environment = Environment(tmp_path / "a/b")
    add(environment, backend, "jq", create="trixie")
    assert parse_manifest(environment.manifest_text()).suite == "trixie"
    assert names(environment) == {"jq"}


def test_failed_install_leaves_no_new_directory(tmp_path: Path, backend: FakeBackend) -> None:
    environment = Environment(tmp_path / "new")
    with pytest.raises(SolveError):
        add(environment, backend, "nothing", create="bookworm")
    assert not environment.directory.exists()
    (tmp_path / "there").mkdir()
    environment = Environment(tmp_path / "there")
    with pytest.raises(SolveError):
        add(environment, backend, "nothing", create="bookworm")
    assert list(environment.directory.iterdir()) == []


def test_dry_run_changes_nothing(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    before = snapshot(environment)
    outcome = install(
        environment, [parse_spec("curl")], backend=backend, command="install", dry_run=True
    )
    assert outcome.dry_run
    assert [c.name for c in outcome.changes.added] == ["curl"]
    assert backend.calls.count("build") == 1
    assert snapshot(environment) == before


def test_edit_by_hand_is_installed(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    text = environment.manifest_text().replace('"jq"', '"curl"')
    environment.manifest.write_text(text)
    add(environment, backend)
    assert names(environment) == {"curl"}


def test_comments_make_no_generation(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    environment.manifest.write_text("# mine\n" + environment.manifest_text())
    backend.calls = []
    outcome = add(environment, backend)
    assert not outcome.changed  # type: ignore[attr-defined]
    assert "solve" not in backend.calls
    live = environment.current
    assert (live / "dolmen.toml").read_text() == environment.manifest_text()
    assert environment.manifest_text().startswith("# mine\n")


def test_edit_during_the_build_is_kept(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")

    def edit(step: str) -> None:
        if step == "build":
            environment.manifest.write_text("# meanwhile\n" + environment.manifest_text())

    backend.hook = edit
    add(environment, backend, "curl")
    text = environment.manifest_text()
    assert text.startswith("# meanwhile\n")
    assert {s.name for s in parse_manifest(text).packages} == {"jq", "curl"}


def test_mode_and_link_of_the_manifest_stay(
    environment: Environment, backend: FakeBackend, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere.toml"
    environment.manifest.rename(real)
    real.chmod(0o640)
    environment.manifest.symlink_to(real)
    add(environment, backend, "jq")
    assert environment.manifest.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert '"jq"' in real.read_text()


def test_two_at_once_both_succeed(environment: Environment, backend: FakeBackend) -> None:
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            add(environment, backend, name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in ("jq", "curl", "python3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert names(environment) == {"jq", "curl", "python3"}
    assert os.readlink(environment.current) == "generations/3"


def test_check(environment: Environment, backend: FakeBackend) -> None:
    with pytest.raises(DeclarationError) as missing:
        check(environment)
    assert missing.value.reason == "no-lock"
    add(environment, backend, "jq")
    assert len(check(environment).packages) == 2
    environment.manifest.write_text(environment.manifest_text().replace('"jq"', '"curl"'))
    with pytest.raises(StaleError) as caught:
        check(environment)
    assert caught.value.reason == "lock-stale"
    assert caught.value.exit_code == 9
    assert caught.value.details == ("+ curl", "- jq")


def test_sync_modes(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    environment.manifest.write_text(environment.manifest_text().replace('"jq"', '"curl"'))
    with pytest.raises(StaleError):
        sync(environment, backend=backend, command="sync", mode="locked")
    assert not sync(environment, backend=backend, command="sync", mode="frozen").changed
    environment.manifest.unlink()
    assert not sync(environment, backend=backend, command="sync", mode="frozen").changed
    with pytest.raises(DeclarationError) as caught:
        sync(environment, backend=backend, command="sync")
    assert caught.value.reason == "no-environment"


def test_sync_in_a_fresh_clone(
    environment: Environment, backend: FakeBackend, tmp_path: Path
) -> None:
    add(environment, backend, "jq")
    clone = Environment(tmp_path / "clone")
    clone.directory.mkdir()
    for name in ("dolmen.toml", "dolmen.lock"):
        (clone.directory / name).write_bytes((environment.directory / name).read_bytes())
    backend.calls = []
    outcome = sync(clone, backend=backend, command="sync", mode="locked")
    assert outcome.changed
    assert "solve" not in backend.calls


def test_sync_without_a_lock(environment: Environment, backend: FakeBackend) -> None:
    with pytest.raises(DeclarationError) as caught:
        sync(environment, backend=backend, command="sync")
    assert caught.value.reason == "no-lock"


def test_a_damaged_lock_is_solved_anew(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    environment.lock.write_text("Rubbish\n")
    with pytest.raises(DeclarationError) as caught:
        sync(environment, backend=backend, command="sync")
    assert caught.value.reason == "bad-lock"
    add(environment, backend)
    assert names(environment) == {"jq"}


def test_a_newer_lock_is_not_overwritten(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    text = environment.lock_text()
    assert text is not None
    environment.lock.write_text(text.replace("Dolmen-Lock: 1", "Dolmen-Lock: 99"))
    before = snapshot(environment)
    with pytest.raises(DeclarationError) as caught:
        add(environment, backend, "curl")
    assert caught.value.reason == "lock-format"
    assert snapshot(environment) == before


def test_a_lost_tree_is_made_again(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    live = generations.current(environment)
    assert live is not None
    remove_tree(live.tree)
    sync(environment, backend=backend, command="sync")
    assert live.tree.is_dir()


def test_bad_text_is_a_clear_error(environment: Environment, backend: FakeBackend) -> None:
    environment.manifest.write_bytes(b'suite = "b\xff"\n')
    with pytest.raises(DolmenError) as caught:
        add(environment, backend, "jq")
    assert caught.value.reason == "not-utf8"


def test_line_ends_stay(environment: Environment, backend: FakeBackend) -> None:
    text = environment.manifest_text().replace("\n", "\r\n")
    environment.manifest.write_bytes(text.encode())
    add(environment, backend, "jq")
    after = environment.manifest.read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n")
    assert not add(environment, backend, "jq").changed  # type: ignore[attr-defined]
    assert environment.manifest.read_bytes() == after


@pytest.mark.parametrize("name", ["two\nlines", "caf\udce9", "$(id) 'x' \"y\"", "-rf", "ünï"])
def test_odd_names_of_directories(tmp_path: Path, backend: FakeBackend, name: str) -> None:
    environment = Environment(tmp_path / name)
    add(environment, backend, "jq", create="bookworm")
    launcher = prepare(environment, backend=backend, command="sync")
    assert launcher.parent.name == "1"
    assert launcher.parent.parent.parent.parent.name == name
