"""libostree's own tests (Debian's package ostree-tests), driven against `dolmen store`.

A program called `ostree` comes first on PATH: it hands the verbs of `dolmen store` to Dolmen and
refuses all others, so that nothing is graded but what is ours. Only `ostree --version` is answered
by the stock command, since the tests ask it which features the library has.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = "usr/libexec/installed-tests/libostree"
#: What the scripts call, by the package that has it; the rest is Essential or needed anyway.
NEEDS = {"setfattr": "attr", "cpio": "cpio", "gpg": "gnupg", "ostree": "ostree"}
_SECONDS = 600
_WRAPPER = """#!/bin/bash
# The defaults of ostree that are not Dolmen's are said here: init makes mode bare, and without
# --repo the working directory is looked at first. Names that differ are translated.
stock=%(stock)s
dolmen=(%(front)s store)
verb= named=${OSTREE_REPO:-} mode= skip=
for word; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
        # At once: the tests pipe it into `grep -q`, with pipefail, which need not read to the end.
        --version) printf '%%s\\n' "$("$stock" --version)"; exit ;;
        --repo) skip=yes ;;
        -*) ;;
        *) verb=$word; break ;;
    esac
done
for word; do
    case $word in
        --repo|--repo=*) named=yes ;;
        --mode|--mode=*) mode=yes ;;
    esac
done
words=()
for word; do case $word in -v|--verbose) ;; *) words+=("$word") ;; esac; done
set -- "${words[@]}"
case " %(verbs)s " in
    *" $verb "*) ;;
    *) echo "error: Unknown command '$verb'" >&2; echo "$verb" >>"$REFUSED"; exit 1 ;;
esac
if [ -n "${OSTREE_REPO:-}" ] && [ "$named" != yes ]; then set -- --repo="$OSTREE_REPO" "$@"; fi
if [ -z "$named" ]; then set -- --repo=. "$@"; fi
if [ "$verb" = init ]; then
    # ostree takes words after init without a look, and one test says `init init`.
    words=() seen=
    for word; do
        if [ "$word" = init ]; then [ -z "$seen" ] || continue; seen=yes; fi
        words+=("$word")
    done
    set -- "${words[@]}"
    [ -n "$mode" ] || set -- "$@" --mode=bare
fi
%(sabotage)sexec "${dolmen[@]}" "$@"
"""


@dataclass(frozen=True, slots=True)
class Graded:
    """What one script came to: checks passed (`skipped` of them by itself), those it planned."""

    script: str
    ok: int
    skipped: int
    planned: int
    status: int
    refused: tuple[str, ...]
    text: str

    @property
    def why(self) -> str:
        """Why it ended before its end, if it did."""
        if not self.status:
            return ""
        if self.refused:
            return f"no verb: {' '.join(dict.fromkeys(self.refused))}"
        return f"status {self.status}"


def fetch(work: Path) -> Path:
    """The package of the library's own version, by apt, unpacked below `work`."""
    held = os.environ.get("DOLMEN_OSTREE_TESTS")
    if held:
        return Path(held)
    done = subprocess.run(
        ["apt-get", "download", "-q", "ostree-tests"], cwd=work, stdout=2, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError("apt-get download ostree-tests failed; DOLMEN_OSTREE_TESTS=DIR names it")
    (package,) = work.glob("ostree-tests_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, work / "suite"], check=True, timeout=300)
    return work / "suite"


def all_scripts(suite: Path) -> list[str]:
    """The scripts that drive the command (the other programs bind the library)."""
    return sorted(
        path.name for path in (suite / PLACE).glob("test-*.sh") if os.access(path, os.X_OK)
    )


def write_wrapper(path: Path, *, sabotage: str = "") -> None:
    """Write the program that is called `ostree`; `sabotage`: shell lines before the command."""
    from dolmen.cli.verbs.store import VERBS

    stock = shutil.which("ostree")
    assert stock, "the stock ostree answers --version"
    front = ROOT / "src/dolmen/data/front.sh"
    words = {"stock": stock, "front": front, "verbs": " ".join(VERBS), "sabotage": sabotage}
    path.write_text(_WRAPPER % words)
    path.chmod(0o755)


@contextmanager
def scratch(fallback: Path | None = None) -> Iterator[Path]:
    """A directory for the runs: in memory, where that has user attributes, since much is synced."""
    shared = Path("/dev/shm")
    place = shared if shared.is_dir() and _has_attributes(shared) else fallback
    with tempfile.TemporaryDirectory(prefix="ostree-tests.", dir=place) as name:
        yield Path(name)


def _has_attributes(place: Path) -> bool:
    try:
        with tempfile.NamedTemporaryFile(dir=place) as stream:
            os.setxattr(stream.fileno(), "user.dolmen", b"x")
    except OSError:
        return False
    return True


def grade(
    suite: Path, scripts: Iterable[str], programs: Path | None, work: Path, *, jobs: int = 1
) -> Iterator[Graded]:
    """Run scripts, `jobs` at a time; `programs`: the directory of the wrapper, None for stock."""
    with ThreadPoolExecutor(jobs) as workers:
        yield from workers.map(lambda script: _run(suite, script, programs, work), scripts)


def _run(suite: Path, script: str, programs: Path | None, work: Path) -> Graded:
    directory = work / "run" / script
    directory.mkdir(parents=True)
    # Paths of sockets (gpg-agent's) are short; the script makes its own directory below this.
    refused, log = work / f"{script}.refused", work / f"{script}.log"
    place = os.fspath(suite / PLACE)
    env = {
        **os.environ,
        "G_TEST_SRCDIR": place,
        "G_TEST_BUILDDIR": place,
        "REFUSED": str(refused),
        "LC_ALL": "C.UTF-8",
        "TMPDIR": os.fspath(work),
    }
    if programs is not None:
        env["PATH"] = f"{programs}:{os.environ['PATH']}"
    env.pop("DOLMEN_STORE", None)
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [suite / PLACE / script],
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = child.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            status = -1
        finally:
            # What the script left in its session: web servers, agents.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait(10)
    text = log.read_text(errors="replace")
    oks = re.findall(r"^ok\b.*$", text, re.M)
    plan = re.search(r"^1\.\.(\d+)", text, re.M)
    subprocess.run(["rm", "-rf", directory], check=False, timeout=300)
    return Graded(
        script,
        len(oks),
        sum("# SKIP" in line for line in oks),
        int(plan[1]) if plan else len(oks),
        status,
        tuple(refused.read_text().split()) if refused.exists() else (),
        text,
    )
