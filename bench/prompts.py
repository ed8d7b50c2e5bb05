"""What the prompt hooks cost: many prompts in one shell, less the shell's own start.

`python3 -m bench.prompts DIRECTORY` measures in an environment that is there, and is allowed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import Result, Sample

_PROMPTS = 500
_ENTERINGS = 20
_DATA = Path(__file__).resolve().parent.parent / "src/dolmen/data"
_SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-c"], ("check.bash", "hook.bash")),
    "zsh": (["zsh", "-f", "-c"], ("hook.zsh",)),
    "fish": (["fish", "--no-config", "-c"], ("hook.fish",)),
}
_LOOP = "for ((n = 0; n < {}; n++)); do {}; done\n"
_LOOPS = {"bash": _LOOP, "zsh": _LOOP, "fish": "for n in (seq {}); {}; end\n"}


def measure(
    result: Result, project: Path, environment: Mapping[str, str], run: Callable[..., object]
) -> None:
    """Fill a result: a prompt inside, a prompt outside, and the one after entering, by shell.

    `run` runs a command of Dolmen in the project's directory.
    """
    run(project, "allow")
    for shell, (argv, files) in _SHELLS.items():
        if not shutil.which(shell):
            continue
        source = "".join((_DATA / name).read_text() for name in files)

        def timed(script: str, times: int, argv: list[str] = argv, source: str = source) -> float:
            best = min(_seconds([*argv, source + script], project, environment) for _ in range(3))
            base = min(_seconds([*argv, source], project, environment) for _ in range(3))
            return (best - base) / times

        loop = _LOOPS[shell]
        inside = timed("_dolmen_hook\n" + loop.format(_PROMPTS, "_dolmen_hook"), _PROMPTS)
        outside = timed("cd /\n" + loop.format(_PROMPTS, "_dolmen_hook"), _PROMPTS)
        again = "_dolmen_seen='' _dolmen_key=''"
        if shell == "fish":
            again = "set -g _dolmen_seen ''; set -g _dolmen_key ''"
        entering = timed(loop.format(_ENTERINGS, f"{again}; _dolmen_hook"), _ENTERINGS)
        result.dolmen.append(Sample(inside, inside, 0))
        result.figures[f"{shell}: inside, ms"] = 1000 * inside
        result.figures[f"{shell}: outside, ms"] = 1000 * outside
        result.figures[f"{shell}: entered or changed, ms"] = 1000 * entering
    if shutil.which("direnv"):
        for _ in range(20):
            spent = _seconds(["direnv", "export", "bash"], project, environment)
            result.peer.append(Sample(spent, spent, 0))


def _seconds(argv: list[str], cwd: Path, environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        argv, check=True, cwd=cwd, env=dict(environment), capture_output=True, timeout=60
    )
    return time.perf_counter() - start


def main() -> None:
    """Print the figures."""
    project = Path(sys.argv[1]).resolve()
    result = Result("a prompt", "5 ms", peer_name="direnv")

    def allow(directory: Path, *arguments: str) -> None:
        argv = [str(_DATA / "front.sh"), *arguments]
        subprocess.run(argv, check=True, cwd=directory, capture_output=True, timeout=60)

    measure(result, project, os.environ, allow)
    for name, value in result.figures.items():
        print(f"{name:32} {value:8.2f}")


if __name__ == "__main__":
    main()
