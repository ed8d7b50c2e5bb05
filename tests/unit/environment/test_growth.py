"""Groups, variables, scripts, aliases, kept directories and local .debs, without an image."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dolmen.environment import Environment, generations, install, lock, prepare, remove, sync
from dolmen.environment.persisting import place
from dolmen.environment.placing import local_debs, placed
from dolmen.environment.rendering import with_arguments
from dolmen.environment.selecting import Selection
from dolmen.model import Lock, Manifest, parse_lock, parse_manifest, parse_spec
from dolmen.support.errors import DeclarationError, DolmenError, PackageError
from tests.lib.backend import FakeBackend
from tests.lib.debs import make_deb

DEV = '[groups.dev]\npackages = ["curl"]\n'


def write(environment: Environment, *lines: str) -> None:
    environment.manifest.write_text('suite = "bookworm"\n' + "\n".join(lines) + "\n")


def names(environment: Environment) -> set[str]:
    """What the live generation has."""
    live = generations.current(environment)
    assert live is not None
    found = parse_lock(environment.lock_text() or "").selected(live.groups)
    assert live.generation.packages == len(found.packages)
    assert live.generation.lock_digest == found.digest()
    return {package.name for package in found.packages}


def test_groups_are_locked_and_had_by_choice(
    environment: Environment, backend: FakeBackend
) -> None:
    write(environment, 'packages = ["jq"]', DEV)
    install(environment, [], backend=backend, command="install")
    assert names(environment) == {"base-files", "jq"}
    assert "Package: curl" in (environment.lock_text() or "")
    backend.calls.clear()
    outcome = sync(environment, backend=backend, command="sync", groups=Selection(("dev",)))
    assert [change.name for change in outcome.changes.added] == ["curl"]
    assert names(environment) == {"base-files", "jq", "curl"}
    assert "solve" not in backend.calls
    # remembered, by sync and by install
    assert not sync(environment, backend=backend, command="sync").changed
    install(environment, [parse_spec("python3")], backend=backend, command="install")
    assert "curl" in names(environment)
    sync(environment, backend=backend, command="sync", groups=Selection(drop=("dev",)))
    assert names(environment) == {"base-files", "jq", "python3"}


def test_a_group_that_is_not_there(environment: Environment, backend: FakeBackend) -> None:
    write(environment, 'packages = ["jq"]', DEV)
    install(environment, [], backend=backend, command="install", groups=Selection(("dev",)))
    for selection in (Selection(("docs",)), Selection(drop=("docs",))):
        with pytest.raises(DeclarationError) as caught:
            sync(environment, backend=backend, command="sync", groups=selection)
        assert caught.value.reason == "unknown-group"
    # one that was taken out of the manifest is forgotten
    write(environment, 'packages = ["jq"]')
    install(environment, [], backend=backend, command="install")
    assert names(environment) == {"base-files", "jq"}


def test_adding_to_a_group_and_removing_again(
    environment: Environment, backend: FakeBackend
) -> None:
    curl = [parse_spec("curl")]
    install(environment, curl, group="dev", backend=backend, command="install")
    manifest = parse_manifest(environment.manifest_text())
    assert [str(s) for g in manifest.groups for s in g.packages] == ["curl"]
    assert "curl" in names(environment)
    remove(environment, ["curl"], backend=backend, command="remove")
    assert names(environment) == {"base-files"}


def test_only_entering_changes_make_a_generation_without_solving_or_waiting(
    environment: Environment, backend: FakeBackend
) -> None:
    write(environment, 'packages = ["jq"]')
    install(environment, [], backend=backend, command="install")
    write(environment, 'packages = ["jq"]', "[env]", 'GREETING = "it\'s $HOME"', "PS4X = ''")
    backend.calls.clear()
    launcher = prepare(environment, backend=backend, command="sync")
    assert "solve" not in backend.calls
    assert launcher.parent.name == "2"
    environ = (launcher.parent / "environ").read_bytes()
    assert environ == b"GREETING=it's $HOME\0PS4X=\0"
    write(
        environment,
        'packages = ["jq"]',
        "# only a comment",
        "[env]",
        'GREETING = "it\'s $HOME"',
        "PS4X = ''",
    )
    assert prepare(environment, backend=backend, command="sync").parent.name == "2"


def run(script: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [script, *arguments], cwd=cwd, capture_output=True, timeout=20, text=True, check=True
    )
    return done.stdout


def test_scripts_run_in_the_directory_of_the_manifest(
    environment: Environment, backend: FakeBackend, tmp_path: Path
) -> None:
    write(
        environment,
        "[scripts]",
        'test = "echo one; echo two"',
        "odd = '''echo \"it's $#\"; pwd'''",
        "many = '''",
        'for a in "$@"; do',
        '    echo "<$a>"',
        "done'''",
    )
    install(environment, [], backend=backend, command="install")
    scripts = environment.current / "scripts"
    assert run(scripts / "test", "--", "a b", "$x", cwd=tmp_path) == "one\ntwo a b $x\n"
    assert run(scripts / "test", "--", cwd=tmp_path) == "one\ntwo\n"
    found = run(scripts / "odd", "--pure", "--", cwd=tmp_path)
    assert found == f"it's 0\n{environment.directory}\n"
    assert run(scripts / "many", "--", "a b", "", "--", "'", cwd=tmp_path) == (
        "<a b>\n<>\n<-->\n<'>\n"
    )
    # an error in the middle ends it
    write(environment, "[scripts]", "test = 'false; echo no'")
    sync(environment, backend=backend, command="sync")
    with pytest.raises(subprocess.CalledProcessError):
        run(scripts / "test", "--", cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("echo a", (), "a\n"),
        ("echo a", ("b c",), "a b c\n"),
        ("if true; then echo a; fi", (), "a\n"),
        ('echo "[$1]"', ("b",), "[b]\n"),
        ("echo $#", ("b",), "1\n"),
        ("v=xyz; echo ${#v}", ("b",), "3 b\n"),
        ('echo "${1:-none}"', (), "none\n"),
        ("echo a\necho b", ("c",), "a\nb\n"),
    ],
)
def test_arguments_are_appended_where_nobody_reads_them(
    text: str, arguments: tuple[str, ...], expected: str
) -> None:
    argv = ["/bin/sh", "-e", "-c", with_arguments(text), "name", *arguments]
    done = subprocess.run(argv, capture_output=True, timeout=20, text=True, check=True)
    assert done.stdout == expected


def test_aliases_are_commands_that_hide_nothing(
    environment: Environment, backend: FakeBackend
) -> None:
    write(environment, 'packages = ["jq"]', "[aliases]", "hi = 'echo hi'", "jq = 'echo never'")
    install(environment, [], backend=backend, command="install")
    live = environment.current
    assert sorted(path.name for path in (live / "bin").iterdir()) == ["hi", "jq"]
    assert run(live / "aliases/hi", "x y", cwd=environment.directory) == "hi x y\n"


def test_kept_directories_are_copied_once_and_stay(
    environment: Environment, backend: FakeBackend
) -> None:
    write(environment, 'packages = ["jq"]')
    install(environment, [], backend=backend, command="install")
    tree = generations.current(environment).tree  # type: ignore[union-attr]
    (tree / "var/lib/db/main").mkdir(parents=True)
    (tree / "var/lib/db/main/seed").write_text("seed")
    (tree / "var/lib/db/main/seed").chmod(0o444)
    (tree / "var/lib/db/link").symlink_to("main/seed")
    (tree / "var/lib/link").symlink_to("db")
    (tree / "var/lib/file").write_text("")
    (tree / "etc/db").mkdir(parents=True)
    write(environment, 'packages = ["jq"]', 'persist = ["/var/lib/db", "/var/lib/new", "/etc/db"]')
    sync(environment, backend=backend, command="sync")
    kept = place(environment, "/var/lib/db")
    assert (kept / "link").read_text() == "seed"
    (kept / "main/seed").write_text("mine")
    assert (tree / "var/lib/db/main/seed").read_text() == "seed"
    assert place(environment, "/var/lib/new").is_dir()
    # neither another generation nor a sync touches it; what is removed is made again
    install(environment, [parse_spec("curl")], backend=backend, command="install")
    sync(environment, backend=backend, command="sync")
    assert (kept / "main/seed").read_text() == "mine"
    place(environment, "/var/lib/new").rmdir()
    prepare(environment, backend=backend, command="sync")
    assert place(environment, "/var/lib/new").is_dir()


@pytest.mark.parametrize("path", ["/var/lib/link", "/var/lib/file", "/var/lib/db/x", "/etc/none"])
def test_what_cannot_be_kept(environment: Environment, backend: FakeBackend, path: str) -> None:
    write(environment, 'packages = ["jq"]')
    install(environment, [], backend=backend, command="install")
    tree = generations.current(environment).tree  # type: ignore[union-attr]
    (tree / "var/lib/db").mkdir(parents=True)
    (tree / "var/lib/link").symlink_to("/etc")
    (tree / "var/lib/file").write_text("")
    write(environment, 'packages = ["jq"]', 'persist = ["/var/lib/db"]')
    sync(environment, backend=backend, command="sync")
    write(environment, 'packages = ["jq"]', f'persist = ["{path}"]')
    with pytest.raises(DeclarationError) as caught:
        sync(environment, backend=backend, command="sync")
    assert caught.value.reason == "bad-persist"
    assert generations.current_number(environment) == 2
    assert not [p for p in environment.state.iterdir() if p.name.startswith(".new")]


def test_a_deb_beside_the_manifest(environment: Environment, backend: FakeBackend) -> None:
    deb = make_deb(environment.directory / "debs", "tool", "1.0", "amd64")
    typed = local_debs(environment, [str(deb)])
    assert [(found.path, len(found.sha256)) for found in typed] == [("debs/tool_1.0_amd64.deb", 64)]
    install(environment, [], debs=typed, backend=backend, command="install")
    assert parse_manifest(environment.manifest_text()).debs == typed
    assert names(environment) == {"base-files", "tool"}
    found = parse_lock(environment.lock_text() or "").find("tool")
    assert found is not None
    assert found.is_local
    assert found.filename == "debs/tool_1.0_amd64.deb"
    cached = backend.store_path / f"debs/{found.sha256}.deb"
    assert sha256(cached.read_bytes()).hexdigest() == found.sha256

    before = environment.manifest_text(), environment.lock_text()
    good = deb.read_bytes()
    deb.write_bytes(make_deb(environment.directory / "x", "tool", "2.0", "amd64").read_bytes())
    with pytest.raises(DolmenError) as caught:
        lock(environment, backend=backend)
    assert (caught.value.reason, caught.value.exit_code) == ("deb-changed", 3)
    cached.unlink()
    with pytest.raises(DolmenError) as caught:
        sync(environment, backend=backend, command="sync", anew=True)
    assert caught.value.reason == "deb-changed"
    deb.unlink()
    with pytest.raises(DolmenError) as caught:
        sync(environment, backend=backend, command="sync", anew=True)
    assert caught.value.reason == "deb-missing"
    assert (environment.manifest_text(), environment.lock_text()) == before
    deb.write_bytes(good)
    sync(environment, backend=backend, command="sync", anew=True)
    remove(environment, [], debs=[typed[0].path], backend=backend, command="remove")
    assert names(environment) == {"base-files"}


def test_what_is_no_deb_of_ours(environment: Environment, tmp_path: Path) -> None:
    outside = make_deb(tmp_path, "tool", "1.0", "amd64")
    inside = environment.directory / "text.deb"
    inside.write_text("not a package")
    (environment.directory / "link.deb").symlink_to(outside)
    assert local_debs(environment, [str(environment.directory / "link.deb")])
    with pytest.raises(DolmenError) as caught:
        local_debs(environment, [str(outside)])
    assert caught.value.reason == "deb-outside"
    with pytest.raises(PackageError) as refused:
        local_debs(environment, [str(inside)])
    assert refused.value.reason == "bad-archive"
    with pytest.raises(DolmenError) as caught:
        local_debs(environment, [str(environment.directory / "none.deb")])
    assert caught.value.reason == "deb-missing"


def test_a_record_of_an_older_dolmen(environment: Environment, backend: FakeBackend) -> None:
    write(environment, 'packages = ["jq"]')
    install(environment, [], backend=backend, command="install")
    path = environment.current / "generation.json"
    value = json.loads(path.read_text())
    del value["groups"], value["entrance"]
    path.write_text(json.dumps(value))
    assert not sync(environment, backend=backend, command="sync").changed


def test_keys_and_ages_are_placed(environment: Environment, backend: FakeBackend) -> None:
    write(
        environment,
        'snapshot = "14d"',
        "[[sources]]",
        'uris = ["http://a.example/debian"]',
        'suites = ["bookworm"]',
        'signed-by = "keys/vendor.asc"',
    )
    manifest = parse_manifest(environment.manifest_text())
    there = placed(manifest, environment.directory, {"14d": "20260101T000000Z"})
    assert there.sources[0].signed_by == str(environment.directory / "keys/vendor.asc")
    assert there.ages == (("14d", "20260101T000000Z"),)
    # where a checkout lies makes no difference to what its lock answers
    install(environment, [], backend=backend, command="install")
    found = parse_lock(environment.lock_text() or "")
    assert found.inputs == manifest.inputs() != there.inputs()


def test_install_keeps_the_moment_and_lock_reckons_anew(
    environment: Environment, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[tuple[str, str], ...]] = []
    solve = backend.solve

    def spy(manifest: Manifest, **further: Any) -> Lock:
        seen.append(manifest.ages)
        return replace(solve(manifest, **further), snapshots=(("14d", "20260101T000000Z"),))

    monkeypatch.setattr(backend, "solve", spy)
    write(environment, 'snapshot = "14d"', 'packages = ["jq"]')
    install(environment, [], backend=backend, command="install")
    install(environment, [parse_spec("curl")], backend=backend, command="install")
    lock(environment, backend=backend)
    install(environment, [parse_spec("python3")], backend=backend, command="i", refresh=True)
    assert seen == [(), (("14d", "20260101T000000Z"),), (), ()]
