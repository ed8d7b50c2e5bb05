"""The stand-in for py_compile, run by this very Python, and what is kept of its work."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from dolmen.image import bytecode
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run
from tests.lib.locks import lock_of, locked

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    """A tree with this Python's own py_compile where Debian keeps it."""
    module = importlib.util.find_spec("py_compile")
    assert module is not None
    assert module.origin is not None
    place = tmp_path / f"lower/usr/lib/python{VERSION}"
    place.mkdir(parents=True)
    (place / "py_compile.py").write_bytes(Path(module.origin).read_bytes())
    return tmp_path / "lower"


@pytest.fixture
def stand_in(lower: Path, tmp_path: Path) -> Path:
    files = tmp_path / "files"
    files.mkdir()
    ((script, target),) = bytecode.replacements(lower, files)
    assert target == f"/usr/lib/python{VERSION}/py_compile.py"
    text = script.read_text().replace("/run/dolmen/python", str(files / "python"))
    script.write_text(text)
    return script


def _source(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    os.utime(path, (0, 0))
    return path


def _compile(stand_in: Path, *names: Path, stdin: bytes | None = None) -> Completed:
    return run(
        [sys.executable, "-E", "-S", str(stand_in), *map(str, names)],
        env={**CLEAN_ENVIRONMENT, "SOURCE_DATE_EPOCH": "1577836800"},
        input=stdin,
        timeout=60,
    )


def _cached(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def test_bound_to_the_time_stamp_and_not_to_the_hash(stand_in: Path, tmp_path: Path) -> None:
    source = _source(tmp_path, "one.py", "x = 1\n")
    assert _compile(stand_in, source).ok
    head = _cached(source).read_bytes()[:16]
    assert head[4:12] == bytes(8)
    assert int.from_bytes(head[12:], "little") == 6


def test_what_is_done_is_left_alone(stand_in: Path, tmp_path: Path) -> None:
    source = _source(tmp_path, "one.py", "x = 1\n")
    assert _compile(stand_in, source).ok
    before = _cached(source).stat().st_ino
    assert _compile(stand_in, source).ok
    assert _cached(source).stat().st_ino == before
    source.write_text("y = 22\n")
    assert _compile(stand_in, source).ok
    assert _cached(source).stat().st_ino != before


def test_result_does_not_depend_on_company(stand_in: Path, tmp_path: Path) -> None:
    text = "def f(path, name, self):\n    return {'path': path, 'name': name, 'self': self}\n"
    source = _source(tmp_path, "one.py", text)
    assert _compile(stand_in, source).ok
    alone = _cached(source).read_bytes()
    _cached(source).unlink()
    company = [_source(tmp_path, f"c{i}.py", text + f"path{i} = name = {i}\n") for i in range(9)]
    assert _compile(stand_in, *company, source).ok
    assert _cached(source).read_bytes() == alone


def test_names_on_standard_input(stand_in: Path, tmp_path: Path) -> None:
    source = _source(tmp_path, "a b.py", "x = 1\n")
    assert _compile(stand_in, Path("-"), stdin=f"{source}\n".encode()).ok
    assert _cached(source).exists()


def test_faults_are_told_and_the_rest_is_done(stand_in: Path, tmp_path: Path) -> None:
    bad, good = _source(tmp_path, "bad.py", "x = = 1\n"), _source(tmp_path, "good.py", "x = 1\n")
    done = _compile(stand_in, bad, good)
    assert done.returncode == 1
    assert b"bad.py" in done.stderr
    assert _cached(good).exists()


def test_interpreter_is_part_of_the_key() -> None:
    one = lock_of(locked("python3.11-minimal", "1"), locked("app"))
    two = lock_of(locked("python3.11-minimal", "2"), locked("app"))
    assert bytecode.interpreter_key(lock_of(locked("app"))) is None
    first, second = bytecode.interpreter_key(one), bytecode.interpreter_key(two)
    assert first
    assert second
    assert first != second
    package = locked("app")
    assert bytecode.reference(package, first) != bytecode.reference(package, second)
