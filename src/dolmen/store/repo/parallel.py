"""The same work on many items, on all processors.

`concurrent.futures` and `multiprocessing` take longer to import than most checks do; a pipe of
numbers is queue enough.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_BATCH = 64
#: Below this, starting processes takes longer than they save.
_FEW = 1500
#: What fits into a pipe at once, 4 bytes each (the default capacity of Linux, pipe(7)).
_QUEUE = 16000


def each(
    work: Callable[[Any], Any], items: list[Any], told: Callable[[int], None] | None = None
) -> Iterator[tuple[Any, Any]]:
    """(item, answer) where `work` had one that is no None, in any order.

    Items and answers are what marshal knows: strings, tuples, numbers. `told` hears how many are
    done. The work is done by copies of this process, which end with it.
    """
    workers = min(len(os.sched_getaffinity(0)), 8)
    if workers < 2 or len(items) < _FEW:
        for number, item in enumerate(items, 1):
            answer = work(item)
            if answer is not None:
                yield item, answer
            if told is not None and (number % _BATCH == 0 or number == len(items)):
                told(number)
        return
    size = max(_BATCH, -(-len(items) // _QUEUE))
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    yield from _spread(work, batches, workers, told)


def _spread(
    work: Callable[[Any], Any],
    batches: list[list[Any]],
    workers: int,
    told: Callable[[int], None] | None,
) -> Iterator[tuple[Any, Any]]:
    import signal

    queue, fill = os.pipe()
    numbers = b"".join(number.to_bytes(4, "little") for number in range(len(batches)))
    os.write(fill, numbers)
    os.close(fill)
    children: dict[int, int] = {}  # pipe -> process
    done = reported = 0
    try:
        for _ in range(workers):
            reading, writing = os.pipe()
            process = os.fork()
            if process == 0:
                _worker(work, batches, queue, writing, (reading, *children))
            os.close(writing)
            children[reading] = process
        for batch, answers in _answers(children):
            yield from answers
            done += len(batches[batch])
            reported += 1
            if told is not None:
                told(done)
        if reported < len(batches):  # one was killed, for want of memory perhaps
            raise ChildProcessError("a checking process ended before its work was done")
    finally:
        os.close(queue)
        for reading, process in children.items():
            os.close(reading)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _worker(
    work: Callable[[Any], Any],
    batches: list[list[Any]],
    queue: int,
    writing: int,
    others: tuple[int, ...],
) -> None:
    """Take batches until there are none; never returns."""
    code = 1
    try:
        for other in others:
            os.close(other)
        # Four bytes come whole or not at all: readers of a pipe take turns.
        while number := os.read(queue, 4):
            batch = int.from_bytes(number, "little")
            found = [(item, work(item)) for item in batches[batch]]
            answer = marshal.dumps((batch, [pair for pair in found if pair[1] is not None]))
            data = len(answer).to_bytes(8, "little") + answer
            while data:
                # Nobody reads any more when the parent is gone: the write fails, and so we end.
                data = data[os.write(writing, data) :]
        code = 0
    except BaseException:
        pass
    finally:
        os._exit(code)


def _answers(children: dict[int, int]) -> Iterator[tuple[int, list[tuple[Any, Any]]]]:
    import select

    waiting = dict.fromkeys(children, b"")
    poll = select.poll()
    for reading in waiting:
        poll.register(reading, select.POLLIN)
    while waiting:
        for reading, _ in poll.poll():
            data = os.read(reading, 1 << 16)
            if not data:
                poll.unregister(reading)
                del waiting[reading]
                continue
            data = waiting[reading] + data
            while len(data) >= 8 and len(data) >= 8 + int.from_bytes(data[:8], "little"):
                end = 8 + int.from_bytes(data[:8], "little")
                yield marshal.loads(data[8:end])
                data = data[end:]
            waiting[reading] = data
