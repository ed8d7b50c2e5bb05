"""Run the cases: `python3 -m bench.run [--only cold,warm] [--repeat 3]`, as root.

Results of earlier runs are kept in build/benchmarks.json, so that a part can be measured anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import history, report, systems
from bench.cases import CASES, OPTIONAL
from bench.measure import Result
from bench.mirror import Mirror, upstream
from bench.setting import Setting

ROOT = Path(__file__).resolve().parent.parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument(
        "--only", help="cases, separated by commas: " + ", ".join((*CASES, *GROUPS))
    )
    parser.add_argument("--desktop", action="store_true", help="also the desktop of 1000 packages")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each contender (3)")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--filesystem", choices=["ext4", "tmpfs", "directory"], default="ext4")
    parser.add_argument("--dolmen", type=Path, default=ROOT / "src/dolmen/data/front.sh")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/benchmarks.md")
    parser.add_argument("--mirror", type=Path, help="keep the mirror's files here")
    return parser.parse_args()


#: Names that stand for several rows, measured on one file system.
GROUPS: dict[str, Callable[[Setting], Iterable[tuple[str, Result]]]] = {
    "store": lambda setting: history.measure(setting).items(),
    "systems": systems.measure,
}


def measured(name: str, setting: Setting) -> Result:
    """Run a case; once more when the mirror had to fetch something meanwhile."""
    before = setting.mirror.fetched
    result = CASES[name](setting)
    return result if setting.mirror.fetched == before else CASES[name](setting)


def keep(path: Path, results: dict[str, Result]) -> None:
    """Remember what was found so far."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({name: result.as_json() for name, result in results.items()}))


def main() -> int:
    wanted = arguments()
    if os.geteuid() != 0:
        print("make bench needs root: mmdebstrap is measured as root, on file systems of its own")
        return 1
    names = (
        wanted.only.split(",")
        if wanted.only
        else [*(n for n in CASES if n not in OPTIONAL), *GROUPS]
    )
    names += sorted(OPTIONAL) if wanted.desktop else []
    kept = ROOT / "build/benchmarks.json"
    results: dict[str, Result] = {}
    if kept.exists():
        stored = json.loads(kept.read_text())
        results = {name: Result.from_json(value) for name, value in stored.items()}
    uri, keyring = upstream(wanted.suite)
    with tempfile.TemporaryDirectory(prefix="dolmen-mirror-") as scratch:
        mirror = Mirror(wanted.mirror or Path(scratch), uri)
        with mirror.serving():
            setting = Setting(
                mirror, keyring, wanted.suite, wanted.dolmen, wanted.filesystem, wanted.repeat
            )
            for name in names:
                if name in GROUPS:
                    for row, result in GROUPS[name](setting):
                        results[row] = result
                        print(report.summary(row, result), flush=True)
                        keep(kept, results)
                    continue
                results[name] = measured(name, setting)
                print(report.summary(name, results[name]), flush=True)
                keep(kept, results)
    ordered = {name: results[name] for name in (*CASES, *results) if name in results}
    wanted.output.write_text(report.render(ordered, wanted.filesystem))
    print(f"wrote {wanted.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
