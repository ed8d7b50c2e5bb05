"""One command under many faults, and what must hold after each.

    case = Case("tag", ("store", "--repo=repo", "tag", "v1", "main"), RepositoryWorld.filled)
    prove = Proof(RepositoryWorld(zygote, directory), case)
    prove.kills()

The invariants (`Proof.judge`): everything is whole; each thing that a person sees is as it was
before or as it is after; success means that it is as after; a failure says why in one line, and is
none of Python's; the same command again succeeds; after collecting no path is there that would not
be there without the fault; no process is left.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dolmen.support.files import remove_tree
from tests.lib.faults.disks import Disk, Memory
from tests.lib.faults.tracing import (
    CHANGING,
    GROWING,
    OPENING,
    TALKING,
    WRITING,
    Call,
    Fault,
    kill,
    once,
    onward,
    signalled,
)
from tests.lib.faults.worlds import State, World
from tests.lib.faults.zygote import Ended

W = TypeVar("W", bound=World)
#: Every how many-th call is tried; unset: as many as each test says. 1 is all of them.
STRIDE = "DOLMEN_TEST_STRIDE"
#: Exit codes that are nobody's: of Python, and of a defect that the command line caught.
_DEFECTS = (1, 70)


@dataclass(frozen=True, slots=True)
class Case(Generic[W]):
    """A command: its words, and what is there before it.

    `repeats`: exit codes that it may have when its work is done already (0, or the code of "that
    is there already"). `again`: what is typed instead of the same command afterwards, where that
    would do something else (`rollback`). `judge`: says what a person sees, where that is not whole
    before (`repair`). `loose`: parts of the state that may be anything in between. `renew`:
    what is to be removed by hand before it is typed again. `roomless`: it works on a full disk.
    `collect`: what removes what it leaves on purpose, beside the world's own collector.
    """

    name: str
    words: tuple[str, ...]
    prepare: Callable[[W], None]
    repeats: tuple[int, ...] = (0,)
    again: tuple[str, ...] = ()
    judge: Callable[[W], State] | None = None
    loose: tuple[str, ...] = ()
    renew: str = ""
    roomless: bool = False
    collect: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass
class Proof(Generic[W]):
    """A case in a world; made once, asked for one kind of fault after the other."""

    world: W
    case: Case[W]
    calls: list[Call] = field(default_factory=list)
    old: State = field(default_factory=dict)
    new: State = field(default_factory=dict)
    listing: frozenset[str] = frozenset()
    #: How many faults were tried.
    tried: int = 0

    def __post_init__(self) -> None:
        self.case.prepare(self.world)
        self.world.save()
        self.old = self._state()
        ended, self.calls = self.world.traced(*self.case.words, names=TALKING + OPENING[1:])
        assert ended.code == 0, ended
        self.new = self._state()
        assert self.calls
        repeated = self._again()
        assert repeated.code in self.case.repeats, repeated
        self._collect()
        self.listing = frozenset(self.world.listing())

    def kills(self, most: int) -> None:
        """Killed before every call that changes something (`most` of them, spread evenly)."""
        for _position, call in self._points(most, CHANGING):
            self.attempt(kill(call), CHANGING)

    def fails(self, error: str, most: int, *, ever: bool = False) -> None:
        """Every call that can give this error gives it once (or, `ever`: from then on)."""
        names = {"ENOSPC": GROWING, "EMFILE": OPENING, "EROFS": WRITING}.get(error, TALKING)
        for position, call in self._points(most, names, looks=error in ("EIO", "EMFILE")):
            fault = onward(self.calls, position, names, error) if ever else once(call, error)
            self.attempt(fault, names)

    def signals(self, name: str, most: int) -> None:
        """A signal that can be caught, at every call that changes something."""
        for _position, call in self._points(most, CHANGING):
            fault = signalled(call, name)
            code = self.attempt(fault, CHANGING).code
            # It may come too late to be heeded; SIGPIPE alone is nothing to heed.
            number = signal.Signals[name]
            heeded = code in (0, 128 + number, -number) or not call.own
            assert heeded, (self.case.name, fault.name, code)

    def unheard(self) -> None:
        """Nobody reads what it says, as behind `| head`: its work is done, or it says 141."""
        self.world.reset()
        ended = self.world.run(*self.case.words, deaf=True)
        assert ended.code in (0, 128 + signal.SIGPIPE, -signal.SIGPIPE), ended
        self.judge(ended, f"{self.case.name}: unheard")

    def attempt(self, fault: Fault, names: tuple[str, ...]) -> Ended:
        """From the beginning, with this fault; then judge."""
        self.tried += 1
        self.world.reset()
        ended, _calls = self.world.traced(*self.case.words, names=names, fault=fault)
        self.judge(ended, f"{self.case.name}: {fault.name}")
        return ended

    def cuts(self, disk: Disk, most: int) -> None:
        """The power goes: right after success, and right after a kill."""
        self.world.reset()
        disk.settle()
        ended = self.world.run(*self.case.words)
        disk.cut()
        disk.again()
        self.judge(ended, f"{self.case.name}: power cut after success")
        for _position, call in self._points(most, CHANGING):
            fault = kill(call)
            self.world.reset()
            disk.settle()
            ended, _ = self.world.traced(*self.case.words, names=CHANGING, fault=fault)
            disk.cut()
            disk.again()
            self.judge(ended, f"{self.case.name}: {fault.name}, and power cut")

    def fills(self, memory: Memory, parts: Sequence[float]) -> None:
        """The disk is full in bytes, then in inodes, when a part of what is needed is written."""
        self.world.reset()
        before = memory.used()
        self.world.ok(*self.case.words)
        needed = [max(0, after - b) for after, b in zip(memory.used(), before, strict=True)]
        for part in parts:
            for number, name in enumerate(("room", "inodes")):
                self.world.reset()
                memory.limit(**{name: int(needed[number] * part)})
                try:
                    ended = self.world.run(*self.case.words)
                finally:
                    memory.limit()
                self.tried += 1
                where = f"{self.case.name}: {part} of the {name} that it needs"
                assert ended.code == 0 or not self.case.roomless, f"{where}: {ended}"
                self.judge(ended, where)

    def judge(self, ended: Ended, where: str) -> None:
        """Everything that must hold after a fault."""
        where = f"{where}; it ended with {ended.code}: {ended.err.strip()[-2000:]}"
        assert not ended.left, f"{where}\nprocesses are left"
        now = self._state(where)
        self.mixed(now, where)
        if ended.code == 0:
            assert now == self.new, f"{where}\nsuccess, and not done: {difference(now, self.new)}"
        assert ended.code not in _DEFECTS, where
        # What Python says of a signal that came while an object was taken apart is no failure.
        assert "Traceback" not in ended.err.split("Exception ignored in")[0], where
        again = self._again()
        allowed = self.case.repeats if now == self.new else (0, *self.case.repeats)
        assert again.code in allowed, f"{where}\nand then {again}"
        after = self._state(where)
        assert after == self.new, f"{where}\nnot mended by {again}: {difference(after, self.new)}"
        self._collect()
        left = sorted(set(self.world.listing()) - self.listing)
        assert not left, f"{where}\nleft: {left}"

    def mixed(self, now: State, where: str) -> None:
        """Each thing is as before or as after."""
        for name in {*now, *self.old, *self.new}:
            if name in self.case.loose:
                continue
            values = (self.old.get(name), self.new.get(name))
            assert now.get(name) in values, f"{where}\n{name}: {now.get(name)}, not of {values}"

    def _again(self) -> Ended:
        if self.case.renew:
            remove_tree(self.world.here / self.case.renew)
        return self.world.run(*(self.case.again or self.case.words))

    def _collect(self) -> None:
        if self.case.collect:
            self.world.ok(*self.case.collect)
        self.world.collect()

    def _state(self, where: str = "") -> State:
        try:
            return (self.case.judge or type(self.world).state)(self.world)
        except AssertionError as error:
            raise AssertionError(f"{where}\n{error}") from error

    def _points(
        self, most: int, names: Sequence[str], *, looks: bool = False
    ) -> list[tuple[int, Call]]:
        """Positions of calls, each (name, number) once; so many of them, or as STRIDE says."""
        seen: set[tuple[str, int]] = set()
        found = []
        for position, call in enumerate(self.calls):
            key = (call.name, call.number)
            wanted = call.name in names and call.is_ours and (looks or call.creates)
            if wanted and key not in seen:
                seen.add(key)
                found.append((position, call))
        step = int(os.environ.get(STRIDE, 0)) or max(1, -(-len(found) // most))
        # Not the same calls for every command, and the same ones every time.
        return found[sum(self.case.name.encode()) % min(step, max(1, len(found))) :: step]


def difference(one: State, two: State) -> dict[str, tuple[str | None, str | None]]:
    """Where two states differ."""
    names = {*one, *two}
    return {n: (one.get(n), two.get(n)) for n in names if one.get(n) != two.get(n)}
