"""Machines for the tests of whole systems; see lab.py for what is built."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dolmen.support.locking import locked
from tests.lib import machines
from tests.lib.command import Dolmen
from tests.lib.machines import Machine, Moment
from tests.system.lab import Lab, make
from tests.system.ways import assert_healthy, assert_linked, roles, take_from

_SHORT_MENU = (
    "from pathlib import Path; from dolmen.system.boot import environment; "
    'environment.change(Path("/boot/grub/grubenv"), dolmen_timeout="1")'
)

Start = Callable[..., Machine]
Resume = Callable[[Moment], Machine]


@pytest.fixture(scope="session")
def in_lab(
    tmp_path_factory: pytest.TempPathFactory, installed_source: Path, session_store: Path
) -> Dolmen:
    """The command with the lab's store, the session's unless the lab is kept; skips where no
    machine can be started."""
    reason = machines.missing()
    if reason:
        pytest.skip(reason)
    kept = os.environ.get("DOLMEN_TEST_LAB")
    directory = Path(kept) if kept else tmp_path_factory.mktemp("lab")
    directory.mkdir(parents=True, exist_ok=True)
    return Dolmen(installed_source, directory, directory / "store" if kept else session_store)


@pytest.fixture(scope="session")
def lab(in_lab: Dolmen) -> Lab:
    """The images, the disk and the repository; of several sessions the first builds them."""
    with locked(in_lab.directory / "lock", what="the images"):
        return make(in_lab, in_lab.directory)


def _once(lab: Lab, name: str, make: Callable[[Path], Moment]) -> Moment:
    """A moment of the lab: of several sessions the first makes it, in a directory for it."""
    place = lab.directory / name
    with locked(lab.directory / f"{name}.lock", what=f"the machine {name}"):
        note = place / "moment.json"
        if note.exists():
            return Moment.read(note)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        moment = make(place)
        moment.write(note)
        return moment


@pytest.fixture(scope="session")
def ready(lab: Lab) -> Moment:
    """A started, healthy machine with a network: for tests whose subject is not the first start."""

    def make(scratch: Path) -> Moment:
        place = machines.overlay(lab.disk, scratch / "disk.qcow2")
        with Machine(place, scratch, network=True) as machine:
            machine.wait()
            assert_healthy(machine)
            machine.connect()
            # The menu waits for three seconds, and fifty starts are to come.
            machine.run(f"python3 -c '{_SHORT_MENU}'")
            return machine.kept()

    return _once(lab, "ready", make)


@pytest.fixture(scope="session")
def newer(lab: Lab, ready: Moment) -> Moment:
    """The same machine after an upgrade over HTTP. Files in /etc: `other` was changed here, `test`
    by the new image, `both` by both, `own` and /var/lib/note exist here only."""
    return _once(lab, "newer", functools.partial(_upgraded, lab, ready))


def _upgraded(lab: Lab, ready: Moment, scratch: Path) -> Moment:
    machine = ready.resumed(scratch)
    try:
        machine.run(
            "cd /etc && echo mine | tee dolmen-other.conf dolmen-both.conf >dolmen-own.conf"
        )
        machine.run("echo kept >/var/lib/note")
        with lab.served() as url:
            take_from(machine, url)
        # Nothing that runs has changed.
        assert roles(machine) == {"pending": lab.second, "booted": lab.first}
        assert_linked(machine)
        assert machine.try_run("command -v hello").code != 0
        machine.reboot()
        assert_healthy(machine)
        return machine.kept()
    finally:
        machine.kill()


@pytest.fixture
def resume(tmp_path: Path) -> Iterator[Resume]:
    """Go on from a kept moment, each time in a machine of its own; they end with the test."""
    with ExitStack() as stack:
        count = 0

        def begin(moment: Moment) -> Machine:
            nonlocal count
            count += 1
            machine = moment.resumed(tmp_path / f"resumed-{count}")
            stack.callback(machine.kill)
            return machine

        yield begin


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Make machines, each with a fresh copy of a disk (the lab's); they end with the test."""
    with ExitStack() as stack:
        count = 0

        def begin(disk: Path | None = None, **options: object) -> Machine:
            nonlocal count
            count += 1
            scratch = tmp_path / f"machine-{count}"
            scratch.mkdir()
            source = disk or request.getfixturevalue("lab").disk
            place = machines.overlay(source, scratch / "disk.qcow2")
            return stack.enter_context(Machine(place, scratch, **options))  # type: ignore[arg-type]

        yield begin
