"""Rules of the house that no linter knows (HACKING.md)."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 500


@cache
def files() -> dict[str, str]:
    """Every text file of the project: what git knows, or of an exported tree everything."""
    argv = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout
        names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):
        skipped = {".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}
        names = [
            str(path.relative_to(ROOT))
            for path in ROOT.rglob("*")
            if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)
        ]
    found = {}
    for name in names:
        try:
            found[name] = (ROOT / name).read_text()
        except (OSError, UnicodeDecodeError):
            continue
    return found


def configured_hosts() -> set[str]:
    """The hosts that this machine gets packages from: apt's, pip's and npm's configuration."""
    places = [
        Path("/etc/apt/sources.list"),
        *Path("/etc/apt/sources.list.d").glob("*"),
        *Path("/etc/apt/apt.conf.d").glob("*"),
        Path("/etc/pip.conf"),
        Path("/etc/npmrc"),
        *(Path.home() / name for name in (".pip/pip.conf", ".config/pip/pip.conf", ".npmrc")),
    ]
    text = "\n".join(place.read_text(errors="replace") for place in places if place.is_file())
    text += "\n".join(
        value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "NPM_"))
    )
    hosts = {host.lower() for host in re.findall(r"://(?:[^/\s@]*@)?([A-Za-z0-9.-]+)", text)}
    return {host for host in hosts if "." in host and not re.match(r"127\.|localhost", host)}


def test_there_is_something_to_check() -> None:
    assert "pyproject.toml" in files()
    assert "src/dolmen/model/lock.py" in files()


def test_no_file_names_a_mirror() -> None:
    """Sources come from the host's apt configuration; a name in our files would outlive it."""
    hosts = configured_hosts()
    wrong = [
        f"{name}: {host}"
        for name, text in files().items()
        for host in hosts
        if re.search(rf"(?<![A-Za-z0-9.-]){re.escape(host)}", text, re.IGNORECASE)
    ]
    assert wrong == []


def test_no_file_is_long() -> None:
    long = {
        name: text.count("\n")
        for name, text in files().items()
        if name.endswith((".py", ".sh", ".md")) and text.count("\n") > LONGEST
    }
    assert long == {}
