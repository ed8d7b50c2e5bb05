"""Upgrades from a signed archive repository over HTTP: what is taken, what is refused."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import StoreError
from dolmen.system.boot.environment import block
from dolmen.system.machine.delta import find_delta, take_delta
from dolmen.system.machine.remote import Remote
from tests.lib.archive import Server, Signer, serve
from tests.lib.sysroots import REF, Lab, Said

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    with Signer() as made:
        yield made


class World:
    """A machine that runs 12.1, and a server to upgrade from."""

    def __init__(self, lab: Lab, signer: Signer, server: Server) -> None:
        self.lab = lab
        self.signer = signer
        self.server = server
        self.served = server.root / "repo"
        self.url = f"{server.uri}/repo"
        lab.ostree("init", f"--repo={self.served}", "--mode=archive")
        self.key = lab.directory / "key.gpg"
        self.key.write_text(signer.export("good"))
        toml = f'suite = "bookworm"\n[system.update]\nurl = "{self.url}"\nref = "{REF}"\n'
        self.files = {
            "usr/share/dolmen/dolmen.toml": toml,
            "usr/share/dolmen/update.gpg": signer.export("good"),
        }
        self.first = self.offer("12.1", 1, {"jq": "1.6-1", "old": "1"})
        lab.ostree("pull-local", f"--repo={lab.repo}", str(self.served), self.first)
        assert lab.dolmen("deploy", self.first).code == 0

    def offer(
        self,
        version: str,
        sequence: int,
        packages: dict[str, str] | None = None,
        *,
        key: str | None = "good",
        extra: Mapping[str, str] | None = None,
        **more: object,
    ) -> str:
        """Publish an image; the commit."""
        sign = []
        if key is not None:
            sign = [f"--gpg-sign={self.signer.key(key)}", f"--gpg-homedir={self.signer.home}"]
        files = {**self.files, "usr/bin/tool": version * 1000, **(extra or {})}
        options: dict[str, object] = {"architecture": "amd64", "sizes": True, **more}
        return self.lab.image(
            version,
            packages or {"jq": f"1.6-{sequence}"},
            sequence=sequence,
            files=files,
            repo=self.served,
            sign=sign,
            **options,  # type: ignore[arg-type]
        )

    def delta(self, commit: str, *words: str) -> None:
        """Publish a delta from the first image."""
        ends = (f"--from={self.first}", f"--to={commit}")
        self.lab.ostree("static-delta", "generate", f"--repo={self.served}", *ends, *words)
        self.lab.ostree("summary", f"--repo={self.served}", "-u")

    def path(self, commit: str, kind: str) -> Path:
        return self.served / "objects" / commit[:2] / f"{commit[2:]}.{kind}"

    def refused(self, said: Said, reason: str, code: int) -> None:
        assert (said.reason, said.code) == (reason, code), said
        assert said.json["error"]["hint"]
        status = self.lab.dolmen("status").json
        assert [one["version"] for one in status["deployments"]] == ["12.1"]


def _noise(size: int) -> str:
    """What cannot be packed, the same each time."""
    return random.Random(0).randbytes(size // 2).hex()


@pytest.fixture
def world(lab: Lab, signer: Signer, tmp_path: Path) -> Iterator[World]:
    with serve(tmp_path / "www") as server:
        yield World(lab, signer, server)


def test_an_upgrade_takes_what_is_new(world: World) -> None:
    lab = world.lab
    assert lab.dolmen("upgrade", "--check").json["available"] is False
    assert lab.dolmen("upgrade").json["changed"] is False
    commit = world.offer("12.2", 2, {"jq": "1.7-1", "new": "1"})
    said = lab.dolmen("upgrade", "--check")
    assert (said.json["available"], said.json["version"]) == (True, "12.2")
    said = lab.dolmen("upgrade", "--preview")
    told = [(one["name"], one["direction"]) for one in said.json["packages"]]
    assert told == [("jq", "upgraded"), ("new", "added"), ("old", "removed")]
    size = said.json["size"]
    # nothing was fetched for looking
    assert lab.dolmen("deploy", commit).reason == "no-image"
    done = lab.dolmen("upgrade")
    assert done.json["deployment"]["commit"] == commit, done
    assert done.json["deployment"]["origin"]["origin"] == {"refspec": f"dolmen:{REF}"}
    assert 0.5 < done.json["fetched"] / size < 2
    # the tool, the status, os-release; directories on the way to them; not the kernel
    assert done.json["available"]["objects"] < 16
    roles = [one["role"] for one in lab.dolmen("status").json["deployments"]]
    assert roles == ["default", "rollback"]
    assert lab.dolmen("upgrade").json["changed"] is False


def test_an_image_that_was_given_up_is_not_taken_again(world: World) -> None:
    lab = world.lab
    commit = world.offer("12.2", 2)
    assert lab.dolmen("upgrade").json["changed"]
    # As GRUB leaves it when the tries are up.
    environment = lab.path / "boot/grub/grubenv"
    environment.parent.mkdir(parents=True)
    environment.write_bytes(block({"dolmen_trial": f"{commit}.0", "dolmen_left": "0"}))
    said = lab.dolmen("upgrade", "--check").json
    assert (said["available"], said["given_up"]) == (False, True)
    assert lab.dolmen("upgrade").json["changed"] is False
    newer = world.offer("12.3", 3)
    assert lab.dolmen("upgrade").json["deployment"]["commit"] == newer


def test_a_delta_is_taken_and_nothing_beside_it(world: World) -> None:
    lab = world.lab
    commit = world.offer("12.2", 2, sizes=False)
    world.delta(commit)
    said = lab.dolmen("upgrade", "--preview")
    assert said.json["delta"] is True, said
    world.server.requests.clear()
    done = lab.dolmen("upgrade")
    assert done.json["deployment"]["commit"] == commit, done
    assert done.json["fetched"] == pytest.approx(said.json["size"], rel=0.5)
    # One file is read for the packages that change; directories on the way to it.
    assert world.server.count(".filez") == 1
    assert len(world.server.requests) < 16
    lab.ostree("fsck", f"--repo={lab.repo}", "--quiet")


def test_what_a_delta_leaves_out_comes_beside_it(world: World) -> None:
    """Of an object that is larger than `--min-fallback-size` (in MB) there are no two copies."""
    commit = world.offer("12.2", 2, extra={"usr/bin/large": _noise(1 << 21)})
    world.delta(commit, "--min-fallback-size=1")
    said = world.lab.dolmen("upgrade", "--preview")
    assert said.json["delta"] is True
    assert said.json["size"] > 1 << 20
    world.server.requests.clear()
    done = world.lab.dolmen("upgrade")
    assert done.json["deployment"]["commit"] == commit, done
    assert world.server.count(".filez") == 2
    world.lab.ostree("fsck", f"--repo={world.lab.repo}", "--quiet")


def test_a_delta_that_was_made_is_not_fetched_again(world: World) -> None:
    """An upgrade that was cut off after it: the commit is here, nothing names it."""
    commit = world.offer("12.2", 2)
    world.delta(commit)
    sysroot = world.lab.sysroot()
    with Remote(world.url) as remote:
        offered = find_delta(sysroot, remote, commit, REF)
        assert offered is not None
        heard: list[int] = []
        came = take_delta(sysroot, remote, offered, heard.append)
        assert heard[-1] == came > 0
        assert take_delta(sysroot, remote, offered, heard.append) == 0
    assert (world.lab.repo / f"state/{commit}.commitpartial").exists()
    world.server.requests.clear()
    done = world.lab.dolmen("upgrade")
    assert done.json["deployment"]["commit"] == commit, done
    assert not (world.lab.repo / f"state/{commit}.commitpartial").exists()
    assert not any(path.endswith("/0") for path, _ in world.server.requests)


@pytest.mark.parametrize("damage", ["changed", "gone", "longer", "head", "elsewhere"])
def test_a_delta_that_is_of_no_use(world: World, damage: str) -> None:
    lab = world.lab
    commit = world.offer("12.2", 2)
    world.delta(commit)
    (head,) = world.served.glob("deltas/*/*/superblock")
    part = head.with_name("0")
    whole = part.read_bytes()
    if damage == "changed":
        part.write_bytes(whole[:-9] + bytes(9))
    elif damage == "gone":
        part.unlink()
    elif damage == "longer":
        part.write_bytes(whole + bytes(9))
    elif damage == "head":
        head.write_bytes(b"no delta")
    else:
        other = world.offer("12.3", 3)
        world.delta(other)
        (fine,) = set(world.served.glob("deltas/*/*/superblock")) - {head}
        fine.write_bytes(head.read_bytes())
        commit = other
    done = lab.dolmen("upgrade")
    assert done.json["deployment"]["commit"] == commit, done
    assert world.server.count(".filez") > 1
    lab.ostree("fsck", f"--repo={lab.repo}", "--quiet")


def test_a_delta_vouches_for_nobody(world: World) -> None:
    commit = world.offer("12.2", 2, key=None)
    world.delta(commit)
    world.refused(world.lab.dolmen("upgrade"), "signature-missing", 5)
    commit = world.offer("12.3", 3)
    world.delta(commit)
    assert world.lab.dolmen("upgrade").json["deployment"]["commit"] == commit


def test_sizes_are_asked_for_where_the_commit_has_none(world: World) -> None:
    world.offer("12.2", 2, sizes=False)
    size = world.lab.dolmen("upgrade", "--preview").json["size"]
    assert size > 500
    assert 0.5 < world.lab.dolmen("upgrade").json["fetched"] / size < 2


def test_nobody_s_signature(world: World) -> None:
    world.offer("12.2", 2, key=None)
    world.refused(world.lab.dolmen("upgrade"), "signature-missing", 5)
    world.offer("12.3", 3)
    assert world.lab.dolmen("upgrade").code == 0


def test_somebody_s_signature(world: World) -> None:
    world.offer("12.2", 2, key="unknown")
    world.refused(world.lab.dolmen("upgrade"), "signature-bad", 5)
    world.offer("12.3", 3)
    assert world.lab.dolmen("upgrade").code == 0


def test_an_object_that_was_changed_after_signing(world: World) -> None:
    commit = world.offer("12.2", 2)
    listed = world.lab.ostree("ls", f"--repo={world.served}", "-C", REF, "/usr/bin/tool").split()
    name = next(word for word in listed if len(word) == 64)
    path = world.path(name, "filez")
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(8))
    said = world.lab.dolmen("upgrade")
    assert said.reason in ("remote-corrupt", "remote-failed")
    world.refused(said, said.reason, 5)
    path.write_bytes(whole)
    changed = world.path(commit, "commit")
    signed = changed.read_bytes()
    changed.write_bytes(signed.replace(b"12.2", b"12.3"))
    world.refused(world.lab.dolmen("upgrade"), "remote-corrupt", 5)
    changed.write_bytes(signed)
    assert world.lab.dolmen("upgrade").code == 0


def test_an_older_image_correctly_signed(world: World) -> None:
    world.offer("12.2", 2)
    assert world.lab.dolmen("upgrade").code == 0
    ref = world.served / "refs/heads" / REF
    ref.write_text(world.first + "\n")
    said = world.lab.dolmen("upgrade")
    assert (said.reason, said.code) == ("older-image", 12)
    assert world.lab.dolmen("upgrade", "--check").reason == "older-image"
    said = world.lab.dolmen("upgrade", "--allow-downgrade")
    assert said.json["deployment"]["version"] == "12.1"


def test_another_branch_s_image_under_this_name(world: World) -> None:
    other = world.offer("12.2", 2, ref="debian/other")
    (world.served / "refs/heads" / REF).write_text(other + "\n")
    world.refused(world.lab.dolmen("upgrade"), "other-ref", 12)
    assert world.lab.dolmen("rebase", "debian/other").code == 0


def test_another_architecture_s(world: World) -> None:
    world.offer("12.2", 2, architecture="arm64")
    world.refused(world.lab.dolmen("upgrade"), "other-architecture", 12)


def test_a_server_that_is_gone_and_a_ref_that_never_was(world: World) -> None:
    world.refused(world.lab.dolmen("rebase", "debian/nothing"), "no-ref", 5)
    said = world.lab.dolmen("rebase", "http://127.0.0.1:9/repo", REF)
    world.refused(said, "remote-failed", 5)


def test_the_same_image_from_elsewhere_from_now_on(world: World) -> None:
    moved = world.served.with_name("moved")
    shutil.copytree(world.served, moved)
    said = world.lab.dolmen("rebase", f"{world.url.removesuffix('repo')}moved", REF)
    assert (said.code, said.json["changed"]) == (0, False)
    world.served.rename(world.served.with_name("gone"))
    assert world.lab.dolmen("upgrade", "--check").code == 0
    moved.rename(world.served)
    assert world.lab.dolmen("upgrade", "--check").reason == "no-ref"


def test_another_key_only_when_it_is_named(world: World, tmp_path: Path) -> None:
    world.offer("12.2", 2, key="unknown")
    world.refused(world.lab.dolmen("upgrade"), "signature-bad", 5)
    key = tmp_path / "unknown.gpg"
    key.write_text(world.signer.export("unknown"))
    said = world.lab.dolmen("rebase", world.url, REF, f"--key={key}")
    assert said.code == 0, said
    key.unlink()
    # from now on: only that one
    world.offer("12.3", 3, key="unknown")
    assert world.lab.dolmen("upgrade").code == 0
    world.offer("12.4", 4, key="good")
    assert world.lab.dolmen("upgrade").reason == "signature-bad"


def test_nothing_says_where_from(lab: Lab) -> None:
    lab.image("12.1")
    assert lab.dolmen("deploy", REF).code == 0
    said = lab.dolmen("upgrade")
    assert (said.reason, said.code) == ("no-update-source", 12)
    said = lab.dolmen("rebase", "http://127.0.0.1:9/repo", REF)
    assert (said.reason, said.code) == ("no-key", 12)
    assert json.loads(said.out)["error"]["hint"]


def test_a_delta_leads_also_from_what_was_built_and_not_published(world: World) -> None:
    """A disk is written from the commit that was built; the one of the server names its branch."""
    from dolmen.store.sysroot.publishing import publish

    lab = world.lab
    ref = "debian/published"
    toml = f'suite = "bookworm"\n[system.update]\nurl = "{world.url}"\nref = "{ref}"\n'
    files = {**world.files, "usr/share/dolmen/dolmen.toml": toml}
    commits = []
    for number in (2, 3):
        tool = {"usr/bin/tool": f"12.{number}" * 1000}
        packages = {"jq": f"1.{number}"}
        built = lab.image(
            f"12.{number}", packages, sequence=number, files={**files, **tool}, ref="built"
        )
        done = publish(
            lab.repo,
            built,
            world.served,
            ref,
            keys=[world.signer.key("good")],
            homedir=world.signer.home,
            deltas=1,
        )
        commits.append((built, done.commit))
    (first, published), (_, newer) = commits
    assert first != published
    assert done.deltas == (published,)
    # A machine that has the first one alone.
    other = Lab(lab.directory / "other")
    other.ostree("pull-local", f"--repo={other.repo}", str(lab.repo), first)
    assert other.dolmen("deploy", first).code == 0
    said = other.dolmen("upgrade", "--preview").json
    assert (said["delta"], said["commit"]) == (True, newer)
    world.server.requests.clear()
    taken = other.dolmen("upgrade")
    assert taken.json["deployment"]["commit"] == newer, taken
    assert world.server.count(".filez") == 1
    other.ostree("fsck", f"--repo={other.repo}", "--quiet")


def test_a_machine_that_missed_an_image_finds_a_delta(world: World) -> None:
    from dolmen.store.sysroot.publishing import Published, publish

    lab, ref = world.lab, "debian/published"
    key, home = world.signer.key("good"), world.signer.home

    def published(number: int, *, deltas: int, ref: str = ref) -> Published:
        files = {**world.files, "usr/bin/tool": f"12.{number}" * 1000}
        packages = {"jq": f"1.{number}"}
        built = lab.image(f"12.{number}", packages, sequence=number, files=files, ref="built")
        return publish(lab.repo, built, world.served, ref, keys=[key], homedir=home, deltas=deltas)

    first = published(2, deltas=1)
    assert (first.before, first.deltas) == (None, ())
    assert lab.dolmen("rebase", ref).json["deployment"]["commit"] == first.commit
    published(7, deltas=0, ref="debian/another")
    second = published(3, deltas=0)
    third = published(4, deltas=3)
    # Of this branch, from the newest on.
    assert third.deltas == (second.commit, first.commit)
    world.server.requests.clear()
    taken = lab.dolmen("upgrade")
    assert taken.json["deployment"]["commit"] == third.commit, taken
    assert world.server.count(".filez") == 0
    lab.ostree("fsck", f"--repo={lab.repo}", "--quiet")


def test_what_is_published_can_be_taken(world: World) -> None:
    from dolmen.store.sysroot.publishing import publish

    lab = world.lab
    key = world.signer.key("good")
    source = lab.directory / "built"
    lab.ostree("init", f"--repo={source}", "--mode=bare-user")
    for number in (2, 3):
        unbound = lab.image(
            f"12.{number}",
            {"jq": f"1.{number}"},
            sequence=number,
            files=world.files,
            repo=source,
            ref="built",
        )
        done = publish(
            source,
            unbound,
            world.served,
            "debian/published",
            keys=[key],
            homedir=world.signer.home,
            deltas=1,
        )
        again = publish(source, unbound, world.served, "debian/published")
        assert again.commit == done.commit
        said = lab.dolmen(
            "rebase" if number == 2 else "upgrade", *["debian/published"][: 3 - number]
        )
        assert said.json["deployment"]["commit"] == done.commit, said
    assert done.deltas
    lab.ostree("fsck", f"--repo={world.served}", "--quiet")
    # under another name it is refused
    (world.served / "refs/heads" / REF).write_text(done.commit + "\n")
    assert lab.dolmen("rebase", REF).reason == "other-ref"


def test_layers_are_laid_over_the_new_image_of_which_only_the_declaration_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dolmen.store.sysroot.commits import exists
    from dolmen.system.machine import layering, upgrading
    from dolmen.system.machine.layering_verbs import change_layers
    from dolmen.system.machine.layers import Layers, layers_of

    lab = world.lab
    laid: list[tuple[str, Layers]] = []

    def lay(sysroot: Sysroot, base: str, layers: Layers, **_rest: object) -> str:
        laid.append((base, layers))
        assert exists(sysroot.repository, base, "/usr/share/dolmen/dolmen.toml")
        # newer than the image below: that must not count
        number = len(laid)
        packages = {"htop": "1"}
        return lab.image(f"layered {number}", packages, sequence=90 + number, files=world.files)

    monkeypatch.setattr(layering, "lay", lay)
    sysroot = lab.sysroot()
    outcome = change_layers(sysroot, Layers(install=("htop",)))
    assert outcome.deployment is not None
    assert (outcome.deployment.base, outcome.deployment.version) == (world.first, "layered 1")
    commit = world.offer("12.2", 2)
    done = upgrading.upgrade(sysroot)
    made = done.outcome.deployment
    assert made is not None
    assert (made.base, made.version) == (commit, "layered 2")
    assert (made.sequence, layers_of(made).install) == (1_700_000_002, ("htop",))
    assert [base for base, _ in laid] == [world.first, commit]
    # the rest of the image stayed on the server
    with pytest.raises(StoreError):
        exists(sysroot.repository, commit, "/usr/bin/tool")
    assert not upgrading.upgrade(sysroot).outcome.changed
    # without layers it is the image itself, whole
    last = change_layers(sysroot, Layers()).deployment
    assert last is not None
    assert (last.commit, last.base) == (commit, commit)
