"""What an administrator does to a running machine: layers, other versions, kernel arguments, a
/usr that can be written to, and images that are built there.

The machine has no name server, only a proxy; the way to it is the one of the manual (a line of
/etc/environment), so commands run in a login.
"""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dolmen.model import parse_lock
from dolmen.store.zstandard import Decoder
from tests.lib import sysroots
from tests.lib.command import Dolmen
from tests.lib.machines import Machine, Moment
from tests.lib.proxies import Proxy, debs_of, forwarding
from tests.system.conftest import Resume
from tests.system.lab import HOST, REF, Lab
from tests.system.ways import assert_healthy, assert_linked, rebase, roles, status

pytestmark = [pytest.mark.network, pytest.mark.long, pytest.mark.timeout(3600)]

System = Callable[..., Any]

#: Small packages that the image lacks: the second image has one of them as its own, so that the
#: packages of both with these layers are the same, and are configured once.
LAYER, BOTH = "sl", "hello"
FILE = "/usr/games/sl"
#: One of the image's, not essential and not in its initramfs, whose version in the suite is older
#: than the one of the security archive.
OTHER = "libssh2-1"
#: Conflicts with dracut, which every image has.
CONFLICTING = "initramfs-tools"
#: Of dracut.conf(5): something that every image has, and no initramfs.
LINE = 'install_items+=" /usr/bin/yes "'
SHARE = "/usr/share/dolmen"
#: Of the manifest: what the file has that tells the images apart.
PLACED = 'path = "/etc/dolmen-test.conf"\ntext = '


@pytest.fixture(scope="module")
def proxy(lab: Lab, in_lab: Dolmen) -> Iterator[Proxy]:
    """The way to the archive; what the lab's store has is not fetched."""
    assert in_lab.store is not None
    known: dict[str, Path] = {}
    for name in ("one", "two"):
        lock = parse_lock((lab.directory / name / "dolmen.lock").read_text())
        known |= debs_of(lock, in_lab.store / "debs")
    with forwarding(lab.directory / "proxy", known) as running:
        yield running


@pytest.fixture(scope="module")
def layered(proxy: Proxy, ready: Moment, tmp_path_factory: pytest.TempPathFactory) -> Moment:
    """A machine on which a first layer was laid over its image and waits to be started."""
    machine = ready.resumed(tmp_path_factory.mktemp("layered"))
    try:
        line = f"http_proxy=http://{HOST}:{proxy.port}\\nno_proxy={HOST}\\n"
        machine.run(f"printf '{line}' >>/etc/environment")
        said = login(machine, f"dolmen system install {LAYER} {BOTH} --json-events 2>&1", 1800)
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        seconds = {
            one["phase"]: one["seconds"] for one in lines if one.get("event") == "PhaseFinished"
        }
        print("the first layer:", seconds, flush=True)
        assert {"fetch", "configure", "deploy"} <= seconds.keys()
        # All else is taken from the image.
        assert "initramfs" not in seconds
        names = {uri.rpartition("/")[2].partition("_")[0] for uri in proxy.asked if ".deb" in uri}
        assert {LAYER, BOTH} <= names
        assert len(names) < 10, names
        return machine.kept()
    finally:
        machine.kill()


@pytest.fixture
def system(lab: Lab, in_lab: Dolmen, tmp_path: Path) -> System:
    """What commands say to programs of a sysroot that nobody runs, with the first image."""
    assert in_lab.store is not None
    sysroot = sysroots.Lab(tmp_path)
    sysroot.ostree("pull-local", f"--repo={sysroot.repo}", str(in_lab.store / "repo"), lab.first)

    def say(*words: str) -> Any:
        argv = ("system", *words, f"--sysroot={sysroot.path}")
        return in_lab.json(*argv, env=sysroots.ENVIRONMENT, timeout=900)

    say("deploy", lab.first, "--os=debian")
    return say


def login(machine: Machine, command: str, timeout: float = 300) -> str:
    """What root's login shell prints."""
    return machine.run(f"su - -c {shlex.quote(command)}", timeout)


def answer(machine: Machine, command: str, timeout: float = 300) -> Any:
    """What a command of the system says to programs."""
    return json.loads(login(machine, f"dolmen system {command} --json", timeout).splitlines()[-1])


def refused(machine: Machine, command: str) -> tuple[int, str]:
    """Exit code and reason of a command that was refused, after which all is as it was."""
    before = status(machine)
    done = machine.try_run(f"su - -c {shlex.quote(f'dolmen system {command} --json')}", 600)
    assert done.code, done.out
    assert status(machine) == before
    return done.code, json.loads(done.out.splitlines()[-1])["error"]["reason"]


def version(deployment: dict[str, Any]) -> str:
    """The version of OTHER in a deployment, as dpkg has it."""
    admin = f"--admindir={deployment['path']}/usr/lib/sysimage/dpkg"
    argv = ["dpkg-query", admin, "-W", "-f", "${Version}", OTHER]
    return subprocess.run(argv, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout


def arguments(machine: Machine) -> list[str]:
    """The kernel's."""
    return machine.run("cat /proc/cmdline").split()


def unpacked(deployment: dict[str, Any]) -> bytes:
    """The archive that a deployment's initramfs is."""
    (path,) = Path(deployment["path"]).glob("usr/lib/modules/*/initramfs.img")
    decoder = Decoder()
    found = decoder.decompress(path.read_bytes(), 512 << 20)
    assert decoder.eof
    return found


def images_kept(machine: Machine) -> int:
    """How many of the images that the machine has built for itself its store keeps."""
    return len(machine.run("ls /var/lib/dolmen/repo/refs/heads/system").split())


def assert_layer(machine: Machine) -> None:
    """The layered packages are there."""
    for package in (LAYER, BOTH):
        assert f"ii  {package}" in machine.run(f"dpkg -l {package}")
        assert machine.run(f"dpkg -V {package}") == ""
    machine.run(f"test -x {FILE}")
    assert machine.run("hello").startswith("Hello")


def built_elsewhere(lab: Lab, in_lab: Dolmen, directory: Path) -> str:
    """The commit of what a directory declares, built on this host by the image's own Dolmen."""
    assert in_lab.store is not None
    source = directory.with_name("image")
    argv = ["ostree", f"--repo={in_lab.store / 'repo'}", "checkout", "--user-mode", "-C"]
    argv += ["--subpath=/usr/lib/python3/dist-packages", lab.first, str(source)]
    subprocess.run(argv, check=True, timeout=120)
    (source / "dolmen/data/front.sh").chmod(0o755)
    dolmen = replace(in_lab, source=source)
    return str(dolmen.json("system", "build", cwd=directory, timeout=900)["commit"])


def test_an_upgrade_with_a_layer_fetches_what_the_image_is_declared_to_be(
    lab: Lab, in_lab: Dolmen, system: System, tmp_path: Path
) -> None:
    """With this layer both images have the same packages."""
    laid = system("install", BOTH)
    assert [one["name"] for one in laid["packages"]] == [BOTH]
    share = Path(laid["deployment"]["path"]) / SHARE.lstrip("/")
    shutil.copytree(share, tmp_path / "again")
    assert built_elsewhere(lab, in_lab, tmp_path / "again") == laid["deployment"]["commit"]

    with lab.served() as url:
        here = url.replace(HOST, "127.0.0.1")
        moved = system("rebase", here, REF, f"--key={lab.directory / 'key.gpg'}")
        assert moved["deployment"]["base"] == lab.second
        assert moved["fetched"] < 1 << 20
        assert system("status")["deployments"][0]["layers"]["install"] == [BOTH]
        # Without the layer the image itself is needed, all of it.
        system("remove", BOTH)
    assert system("status")["deployments"][0]["commit"] == lab.second


def test_an_initramfs_with_more_in_it(lab: Lab, system: System) -> None:
    (before,) = system("status")["deployments"]
    assert b"usr/bin/yes" not in unpacked(before)
    made = system("initramfs", f"--add={LINE}")["deployment"]
    assert made["base"] == lab.first
    assert b"usr/bin/yes" in unpacked(made)
    assert system("initramfs")["lines"] == [LINE]
    assert system("initramfs", "--clear")["deployment"]["commit"] == lab.first
    assert system("initramfs")["lines"] == []


def test_another_version_of_a_package_and_back(
    lab: Lab, in_lab: Dolmen, system: System, tmp_path: Path
) -> None:
    (before,) = system("status")["deployments"]
    there = version(before)
    changed = system("override", f"{OTHER}/bookworm")
    older = version(changed["deployment"])
    assert older != there
    (change,) = changed["packages"]
    assert (change["name"], change["before"], change["after"]) == (OTHER, there, older)
    assert change["direction"] == "downgraded"
    first, second = system("status")["deployments"]
    assert first["layers"]["override"] == [f"{OTHER}/bookworm"]
    assert (first["base"], second["commit"]) == (lab.first, lab.first)
    done = in_lab("system", "override", OTHER, f"--sysroot={tmp_path / 'sysroot'}", "--json")
    assert done.returncode == 12
    assert json.loads(done.stdout)["error"]["reason"] == "no-version"
    assert system("override", "--reset", OTHER)["deployment"]["commit"] == lab.first


def test_a_layer_is_what_the_same_manifest_gives_elsewhere(
    lab: Lab, in_lab: Dolmen, layered: Moment, resume: Resume, tmp_path: Path
) -> None:
    machine = resume(layered)
    pending, booted = status(machine)["deployments"]
    assert (pending["role"], pending["staged"], pending["base"]) == ("pending", True, lab.first)
    assert pending["layers"]["install"] == [LAYER, BOTH]
    assert f"layered: {LAYER}, {BOTH}" in login(machine, "dolmen system status")
    assert booted["commit"] == lab.first
    assert_linked(machine)
    share = f"{pending['path']}{SHARE}"
    for name in machine.run(f"cd {share} && find . -type f").split():
        path = tmp_path / "again" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(machine.run(f"base64 {share}/{name}")))
    assert built_elsewhere(lab, in_lab, tmp_path / "again") == pending["commit"]


def test_a_layer_is_there_at_once_survives_an_upgrade_and_goes(
    lab: Lab, layered: Moment, resume: Resume
) -> None:
    machine = resume(layered)
    assert refused(machine, f"install {CONFLICTING}") == (4, "unsatisfiable")
    assert machine.try_run(f"test -e {FILE}").code == 1
    shown = answer(machine, "apply-live")
    assert {LAYER, BOTH} <= {one["name"] for one in shown["packages"]}
    assert_layer(machine)
    machine.run("touch /usr/note")
    # Over the layer, and with it.
    assert answer(machine, "kargs --append=dolmen.test=1")["staged"]
    assert "dolmen.test=1" not in arguments(machine)
    machine.reboot()
    assert_healthy(machine)
    assert_layer(machine)
    assert machine.try_run("test -e /usr/note").code == 1
    assert machine.try_run("touch /usr/note").code == 1
    assert "dolmen.test=1" in arguments(machine)

    with lab.served() as url:
        login(machine, rebase(url), 1800)
        machine.reboot()
        assert_healthy(machine)
        assert_layer(machine)
        assert machine.run("cat /etc/dolmen-test.conf").strip() == "two"
        booted = status(machine)["deployments"][0]
        assert (booted["base"], booted["layers"]["install"]) == (lab.second, [LAYER, BOTH])
        assert "dolmen.test=1" in arguments(machine)

        assert images_kept(machine) == 2
        answer(machine, f"remove {LAYER} {BOTH}", 900)
        assert images_kept(machine) == 0
    machine.send("su - -c 'dolmen system kargs --delete=dolmen.test=1 --reboot'")
    machine.wait()
    assert_healthy(machine)
    assert roles(machine)["booted"] == lab.second
    assert machine.try_run(f"test -e {FILE}").code == 1
    assert machine.try_run(f"dpkg -s {LAYER}").code == 1
    assert machine.run("hello").startswith("Hello")
    assert "dolmen.test=1" not in arguments(machine)
    machine.power_off()


def test_usr_is_unlocked_and_deployments_are_pinned(ready: Moment, resume: Resume) -> None:
    machine = resume(ready)
    assert machine.try_run("touch /usr/note").code == 1
    answer(machine, "unlock")
    machine.run("touch /usr/note")
    assert refused(machine, "unlock --hotfix") == (12, "unlocked")
    machine.reboot()
    assert_healthy(machine)
    assert machine.try_run("test -e /usr/note").code == 1
    answer(machine, "unlock --hotfix")
    machine.run("touch /usr/note")
    # Not before: libostree makes a copy to go back to, and that would be pinned as well.
    answer(machine, "pin booted")
    machine.reboot()
    assert_healthy(machine)
    # It lasts, until there is another deployment.
    machine.run("test -e /usr/note && touch /usr/another")
    booted = status(machine)["deployments"][0]
    assert (booted["role"], booted["unlocked"]) == ("booted", "hotfix")

    machine.send("su - -c 'dolmen system kargs --append=dolmen.test=1 --reboot'")
    machine.wait()
    assert_healthy(machine)
    assert "dolmen.test=1" in arguments(machine)
    assert machine.try_run("test -e /usr/note").code == 1
    before = status(machine)["deployments"]
    assert {one["commit"] for one in before} == {booted["commit"]}
    # What is not pinned goes; the pinned one when it is no longer.
    answer(machine, "cleanup --rollback --kept")
    after = status(machine)["deployments"]
    assert after[0]["role"] == "booted"
    assert [one["pinned"] for one in after] == [False, True]
    assert refused(machine, "cleanup 1") == (12, "deployment-pinned")
    answer(machine, "pin --off 1")
    answer(machine, "cleanup 1")
    assert [one["role"] for one in status(machine)["deployments"]] == ["booted"]
    assert len(machine.run("ls /boot/loader/entries").split()) == 1
    machine.power_off()


def test_images_are_built_on_the_machine(layered: Moment, resume: Resume) -> None:
    machine = resume(layered)
    share = f"{status(machine)['deployments'][0]['path']}{SHARE}"
    machine.run(f"mkdir -p /etc/dolmen && cp -r {share}/. /etc/dolmen")
    answer(machine, "cleanup --pending")
    # From here on upgrades come by themselves, but for the waiting.
    edit(machine, "[system.update]", '[system.update]\nautomatic = "stage"')
    edit(machine, f'{PLACED}"one', f'{PLACED}"built here')
    answer(machine, "deploy /etc/dolmen", 1800)
    pending = status(machine)["deployments"][0]
    assert "from /etc/dolmen" in login(machine, "dolmen system status")
    machine.reboot()
    assert_healthy(machine)
    assert roles(machine)["booted"] == pending["commit"]
    assert machine.run("cat /etc/dolmen-test.conf").strip() == "built here"
    assert_layer(machine)

    edit(machine, f'{PLACED}"built here', f'{PLACED}"built again')
    machine.run("systemctl start dolmen-upgrade.service", 1800)
    found = status(machine)["deployments"][0]
    assert found["staged"]
    assert machine.run(f"cat {found['path']}/usr/etc/dolmen-test.conf").strip() == "built again"
    assert found["origin"]["dolmen"]["directory"] == "/etc/dolmen"


def edit(machine: Machine, before: str, after: str) -> None:
    """Change the manifest of the machine."""
    program = (
        "import pathlib, sys\n"
        "path = pathlib.Path('/etc/dolmen/dolmen.toml')\n"
        "text = path.read_text()\n"
        "assert text.count(sys.argv[1]) == 1, text\n"
        "path.write_text(text.replace(*sys.argv[1:]))\n"
    )
    machine.run(shlex.join(["python3", "-c", program, before, after]))
