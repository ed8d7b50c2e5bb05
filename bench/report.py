"""docs/benchmarks.md: what was measured, on what, when and how."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Result, Sample, median

_METHOD = """\
Whole processes are timed from start to end by wait4(2), each on a fresh file system (new ext4 with
a journal on a loop device, unless said otherwise), with the same mirror on loopback that serves the
archive's own signed indices, and the same packages. Contenders take turns; the table has medians,
with the fastest and the slowest run in brackets. *Warm* means: index fetched, .debs imported, base
known, image new (the same .debs under another lock). Times include everything that a user waits
for, downloads from the loopback mirror too. `make bench` repeats it.
"""


def machine() -> list[str]:
    """What the figures depend on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    lines = [f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} CPUs"]
    if memory:
        lines.append(f"{int(memory.group(1)) / 1e6:.0f} GB of memory")
    lines.append(f"Linux {platform.release().split('-')[0]}")
    lines.append(f"Debian {Path('/etc/debian_version').read_text().strip()}")
    for package in ("mmdebstrap", "apt", "dpkg", "bubblewrap", "libostree-1-1"):
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package],
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode == 0:
            lines.append(f"{package} {done.stdout}")
    return lines


def seconds(samples: Sequence[Sample]) -> str:
    """Median, fastest and slowest, in a unit that suits."""
    if not samples:
        return ""
    times = [sample.seconds for sample in samples]
    values = (statistics.median(times), min(times), max(times))
    if values[0] < 0.1:
        middle, low, high = (f"{1000 * value:.1f}" for value in values)
        return f"{middle} ms ({low}–{high})"
    middle, low, high = (f"{value:.2f}" for value in values)
    return f"{middle} s ({low}–{high})"


def number(value: float) -> str:
    """A figure: whole where it counts things, two digits behind the point where it is small."""
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def row(result: Result) -> str:
    """One line of the table."""
    peer = f"{result.peer_name} {seconds(result.peer)}" if result.peer else ""
    ratio = f"{result.ratio:.2f}" if result.ratio is not None else ""
    more = ", ".join(f"{name}: {number(value)}" for name, value in result.figures.items())
    return (
        f"| {result.title} | {seconds(result.dolmen)} | {peer} | {ratio} | {more} | {result.aim} |"
    )


def render(results: Mapping[str, Result], filesystem: str) -> str:
    """The whole page."""
    peaks = [
        (max(sample.peak_kib for sample in samples) / 1024, result.title)
        for result in results.values()
        for samples in (result.dolmen,)
        if samples
    ]
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with file system {filesystem}:",
        "",
        *(f"- {line}" for line in machine()),
        f"- load average of the last 15 minutes at the end: {os.getloadavg()[2]:.1f} "
        "(above 1 the machine had other work: read the ratios)",
        "",
        "| work | Dolmen | peer | times faster | more | aim |",
        "|---|---|---|---|---|---|",
        *(row(result) for result in results.values()),
        "",
    ]
    if peaks:
        peak, title = max(peaks)
        lines += [
            f"Peak memory of any process, scripts of packages included: {peak:.0f} MiB ({title}).",
            "",
        ]
    lines += ["## Method", "", _METHOD.rstrip()]
    return "\n".join(lines) + "\n"


def summary(name: str, result: Result) -> str:
    """One line for the terminal."""
    peer = f", {result.peer_name} {median(result.peer):.3f} s" if result.peer else ""
    ratio = f": {result.ratio:.2f} times faster" if result.ratio is not None else ""
    figures = "".join(f"; {key} {number(value)}" for key, value in result.figures.items())
    peak = max(sample.peak_kib for sample in result.dolmen) // 1024
    mine = median(result.dolmen)
    return f"{name}: dolmen {mine:.3f} s{peer}{ratio}{figures}; peak {peak} MiB"
