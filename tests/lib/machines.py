"""Machines for tests: QEMU without hardware help (TCG), a serial log, and an agent to talk to.

The agent (tests/lib/guest_agent.py) is placed in the image by the manifest under test; it listens
on a virtio port, so nothing here depends on a network or a password. Every wait has its time-out; a
machine is a context manager, and its process is gone afterwards whatever happened.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

#: Seconds for a start under TCG on a busy machine; a quiet one takes 20 to 40.
BOOT = 400.0
_OVMF = Path("/usr/share/OVMF")
_AGENT_PORT = "dolmen.test"
_SOCKET = "socket,server=on,wait=off"
#: What a kept moment is called in the disk's file.
_MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command in the machine ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A machine's disk and memory, to go on from any number of times, each time in a copy.

    Costs two seconds where a start costs forty. What goes on shares no disk with others.
    """

    disk: Path
    boot: str
    memory: int
    processors: int
    network: bool

    def write(self, note: Path) -> None:
        """Remember it in a file, for other processes."""
        note.write_text(json.dumps({**asdict(self), "disk": str(self.disk.absolute())}))

    @classmethod
    def read(cls, note: Path) -> Moment:
        """What `write` has remembered."""
        value = json.loads(note.read_text())
        return cls(**{**value, "disk": Path(value["disk"])})

    def resumed(self, scratch: Path) -> Machine:
        """A machine that goes on from there; its clock is set."""
        scratch.mkdir(parents=True, exist_ok=True)
        disk = scratch / "disk.qcow2"
        shutil.copyfile(self.disk, disk)
        machine = Machine(
            disk,
            scratch,
            memory=self.memory,
            processors=self.processors,
            network=self.network,
        )
        machine.boot = self.boot
        machine.start(resume=_MOMENT)
        try:
            machine.run(f"date -s @{time.time():.0f}")
        except BaseException:
            machine.kill()
            raise
        return machine


class MachineError(AssertionError):
    """The machine did not do what it was asked; the end of its serial log says more."""


def missing() -> str:
    """Why no machine can be started here, or ""."""
    for program in ("qemu-system-x86_64", "qemu-img"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return ""


def missing_uefi() -> str:
    """Why no machine with UEFI can be started here, or ""."""
    return missing() or ("" if (_OVMF / "OVMF_CODE_4M.fd").is_file() else "ovmf is not installed")


def overlay(disk: Path, place: Path) -> Path:
    """Make a disk that starts as a copy of `disk`, which stays as it is."""
    with disk.open("rb") as stream:
        kind = "qcow2" if stream.read(4) == b"QFI\xfb" else "raw"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(disk.absolute()), "-F", kind]
    subprocess.run([*argv, str(place)], check=True, timeout=60)
    return place


class Machine:
    """One machine with one disk, from power-on to power-off; may be started again."""

    def __init__(
        self,
        disk: Path,
        scratch: Path,
        *,
        firmware: str = "bios",
        memory: int = 1024,
        processors: int = 1,
        network: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        self.disk = disk
        self.scratch = scratch
        self.firmware = firmware
        self.memory = memory
        self.processors = processors
        self.network = network
        self.extra = tuple(extra)
        self.boot = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None
        self._rest = b""
        self._next = 0
        scratch.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Machine:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self, *, resume: str = "") -> None:
        """Switch on; returns at once. `wait` waits for the system.

        `resume` goes on where `save` of that name was, in the very moment: nothing is started.
        """
        assert self._process is None, "the machine runs already"
        for name in ("serial", "agent", "monitor"):
            (self.scratch / name).unlink(missing_ok=True)
        if not resume:
            self.boot = ""
        self._rest = b""
        argv = [*self._argv(), *(("-loadvm", resume) if resume else ())]
        with (self.scratch / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.scratch
            )
        self._agent = self._connect("agent")

    def kill(self) -> None:
        """The power cut: SIGKILL. What the guest had not flushed may be lost, as with a disk."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def save(self, name: str) -> None:
        """Keep disk and memory as they are under a name, in the disk's file."""
        self.ask_monitor(f"savevm {name}")

    def kept(self) -> Moment:
        """Keep this moment and end the machine, whose disk's file it has become. BIOS only: QEMU
        keeps no variables of UEFI."""
        self.save(_MOMENT)
        self.kill()
        return Moment(self.disk, self.boot, self.memory, self.processors, self.network)

    def forward(self, port: int) -> int:
        """Let the host reach a TCP port of the machine; returns the host's, on loopback."""
        self.ask_monitor(f"hostfwd_add tcp:127.0.0.1:0-:{port}")
        # Protocol[State] FD SourceAddress Port DestAddress Port
        said = self.ask_monitor("info usernet")
        found = re.search(rf"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+{port}\b", said)
        if found is None:
            raise MachineError(said)
        return int(found.group(1))

    def ask_monitor(self, command: str) -> str:
        """Have QEMU do something; returns what it said."""
        with self._connection("monitor") as monitor:
            monitor.settimeout(120)
            monitor.sendall(f"{command}\ninfo version\n".encode())
            said = b""
            while not re.search(rb"\(qemu\).*\(qemu\).*info version.*\(qemu\)", said, re.DOTALL):
                said += monitor.recv(4096)
        if b"Error" in said:
            raise MachineError(said.decode(errors="replace"))
        return said.decode(errors="replace")

    def wait(self, timeout: float = BOOT) -> str:
        """Wait until a system that was not known yet says hello; returns its boot id."""
        message = self._message(
            time.monotonic() + timeout, lambda m: m.get("hello", self.boot) != self.boot
        )
        self.boot = str(message["hello"])
        return self.boot

    def try_run(self, command: str, timeout: float = 120.0) -> Answer:
        """Run a shell command in the machine; `timeout` counts there and a little longer here."""
        assert self._agent is not None
        self._next += 1
        number = self._next
        request = {"id": number, "command": command, "timeout": timeout}
        self._agent.sendall(json.dumps(request).encode() + b"\n")
        answer = self._message(time.monotonic() + timeout + 30, lambda m: m.get("id") == number)
        return Answer(int(answer["code"]), answer["out"], answer["err"])

    def run(self, command: str, timeout: float = 120.0) -> str:
        """Run a shell command that must succeed; returns its output."""
        answer = self.try_run(command, timeout)
        if answer.code:
            raise MachineError(
                f"{command!r} ended with {answer.code}\n{answer.out[-4000:]}\n{answer.err[-4000:]}"
            )
        return answer.out

    def connect(self) -> None:
        """Give the machine its address; the host is 10.0.2.2 there (`network=True`)."""
        self.run(
            "for card in /sys/class/net/e*; do card=${card##*/}; ip link set $card up; "
            "ip addr replace 10.0.2.15/24 dev $card; done; "
            "ip route replace default via 10.0.2.2"
        )

    def send(self, command: str) -> None:
        """Begin a shell command without waiting for its end."""
        assert self._agent is not None
        self._next += 1
        request = {"id": self._next, "command": command, "timeout": 600}
        self._agent.sendall(json.dumps(request).encode() + b"\n")

    def reboot(self, timeout: float = BOOT) -> str:
        """Restart in good order and wait for the system that comes up."""
        self.send("systemctl reboot")
        return self.wait(timeout)

    def power_off(self, timeout: float = 180.0) -> None:
        """Switch off in good order."""
        assert self._process is not None
        self.send("systemctl poweroff")
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"no power-off in {timeout} s\n{self.tail()}") from error
        finally:
            self.kill()

    def choose(self, entry: int, timeout: float = 120.0) -> None:
        """Take the entry with this number when the boot menu next appears."""
        seen = self.log().count("GNU GRUB")
        self.expect("GNU GRUB", timeout, after=seen)
        with self._connection("serial") as serial:
            # The first key ends the countdown; the menu needs a moment for each.
            for key in (*("\x1b[B",) * entry, "\r"):
                serial.sendall(key.encode())
                time.sleep(0.3)

    def expect(self, text: str, timeout: float, *, after: int = 0) -> None:
        """Wait until the serial log has `text` more than `after` times."""
        deadline = time.monotonic() + timeout
        while self.log().count(text) <= after:
            self._alive()
            if time.monotonic() > deadline:
                raise MachineError(f"no {text!r} in {timeout} s\n{self.tail()}")
            time.sleep(0.1)

    def log(self) -> str:
        """All that the serial port has said since the machine was made."""
        try:
            return (self.scratch / "serial.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self) -> str:
        """The end of the serial log, for messages."""
        return self.log()[-4000:]

    def _argv(self) -> list[str]:
        argv = [
            # Whoever kills the test kills the machine too.
            *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"),
            # Little translated code is kept: in QEMU's own gigabyte, what the system before a reset
            # has left there makes loading the next kernel three times as long.
            *("-accel", "tcg,thread=multi,tb-size=128", "-machine", "q35"),
            # No Intel: page tables that are split against Meltdown cost TCG a third of its time.
            *("-cpu", "qemu64", "-smp", str(self.processors), "-m", str(self.memory)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"),
            *("-drive", f"file={self.disk.absolute()},if=virtio,cache=writeback,format=qcow2"),
            # Appended, so that several starts of one machine have one log.
            *("-chardev", f"{_SOCKET},id=s,path=serial,logfile=serial.log,logappend=on"),
            *("-serial", "chardev:s", "-device", "virtio-serial-pci", "-device", "virtio-rng-pci"),
            *("-chardev", f"{_SOCKET},id=a,path=agent"),
            *("-chardev", f"{_SOCKET},id=m,path=monitor", "-mon", "chardev=m,mode=readline"),
            *("-device", f"virtserialport,chardev=a,name={_AGENT_PORT}"),
        ]
        if self.firmware == "uefi":
            variables = self.scratch / "variables.fd"
            if not variables.exists():
                shutil.copyfile(_OVMF / "OVMF_VARS_4M.fd", variables)
            code = f"if=pflash,format=raw,readonly=on,file={_OVMF / 'OVMF_CODE_4M.fd'}"
            argv += ["-drive", code, "-drive", f"if=pflash,format=raw,file={variables.name}"]
        if self.network:
            argv += ["-nic", "user,model=virtio-net-pci"]
        return [*argv, *self.extra]

    def _message(self, deadline: float, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert self._agent is not None
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                with suppress(ValueError):
                    message = json.loads(line)
                    if isinstance(message, dict) and wanted(message):
                        return message
            left = deadline - time.monotonic()
            if left <= 0:
                raise MachineError(f"no answer in time\n{self.tail()}")
            self._agent.settimeout(min(left, 5.0))
            try:
                chunk = self._agent.recv(65536)
            except TimeoutError:
                self._alive()
                continue
            if not chunk:
                self._alive()
                raise MachineError(f"the machine has hung up\n{self.tail()}")
            self._rest += chunk

    def _alive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            log = (self.scratch / "qemu.log").read_text(errors="replace")[-2000:]
            raise MachineError(f"the machine is off\n{log}\n{self.tail()}")

    def _connect(self, name: str) -> socket.socket:
        deadline = time.monotonic() + 30
        here = os.open(self.scratch, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A socket's path has room for 107 bytes; a test's scratch directory may be longer.
            place = f"/proc/self/fd/{here}/{name}"
            while True:
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    client.connect(place)
                    return client
                except OSError:
                    client.close()
                    self._alive()
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        finally:
            os.close(here)

    @contextmanager
    def _connection(self, name: str) -> Iterator[socket.socket]:
        client = self._connect(name)
        try:
            yield client
        finally:
            client.close()
