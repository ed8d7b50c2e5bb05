"""Proof from files: what the dynamic linker, the kernel or a link would look for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.environment.inspect.elf import Elf, read_elf
from dolmen.environment.inspect.proof import Prover
from tests.lib.locks import locked

SH = Path("/bin/sh").resolve()


def test_a_real_program() -> None:
    found = read_elf(SH)
    assert found is not None
    assert "libc.so.6" in found.needed
    assert found.soname is None


def test_a_real_library() -> None:
    needs = read_elf(SH)
    assert needs is not None
    libraries = [path for path in Path("/usr/lib").glob("*/libc.so.6") if path.exists()]
    if not libraries:
        pytest.skip("libc.so.6 lies elsewhere here")
    found = read_elf(libraries[0].resolve())
    assert found is not None
    assert found.soname == "libc.so.6"


def test_what_is_no_elf_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("\x7fELF in name only")
    assert read_elf(tmp_path / "text") is None
    assert read_elf(tmp_path) is None
    assert read_elf(tmp_path / "missing") is None


CONTENT = SH.read_bytes()[: 1 << 17]


@given(
    st.lists(
        st.tuples(st.integers(4, min(len(CONTENT), 4096) - 1), st.integers(0, 255)), max_size=12
    ),
    st.integers(0, len(CONTENT)),
)
def test_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(CONTENT)
    for at, value in changes:
        data[at] = value
    path = tmp_path_factory.mktemp("elf") / "damaged"
    path.write_bytes(data[:length])
    found = read_elf(path)
    assert found is None or isinstance(found, Elf)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image with a program, a library, a script and an alternative."""
    tree = tmp_path / "tree"
    for directory in ("usr/bin", "usr/lib/x", "etc/alternatives", "var/lib/dpkg/info"):
        (tree / directory).mkdir(parents=True)
    shutil.copy(SH, tree / "usr/bin/program")
    (tree / "usr/lib/x/libc.so.6").write_bytes(b"")
    (tree / "usr/bin/script").write_text("#! /bin/program -e\n")
    (tree / "usr/bin/other").write_text("#!/usr/bin/env program\n")
    os.symlink("program", tree / "usr/bin/again")
    lists = {
        "libc": ("/usr", "/usr/lib/x/libc.so.6"),
        "program": ("/usr", "/usr/bin/program"),
        "script": ("/usr/bin/script", "/usr/bin/other", "/usr/bin/again"),
    }
    for name, paths in lists.items():
        (tree / f"var/lib/dpkg/info/{name}.list").write_text("\n".join(paths) + "\n")
    return tree


def test_linked_to_a_library(tree: Path) -> None:
    (proof,) = Prover(tree).proofs(locked("program"), locked("libc"))
    assert (proof.kind, proof.file, proof.needs, proof.target) == (
        "library",
        "usr/bin/program",
        "libc.so.6",
        "usr/lib/x/libc.so.6",
    )


def test_interpreters_and_links(tree: Path) -> None:
    found = {
        proof.file: proof for proof in Prover(tree).proofs(locked("script"), locked("program"))
    }
    assert found["usr/bin/script"].kind == "interpreter"
    assert found["usr/bin/other"].kind == "interpreter"
    assert found["usr/bin/again"].kind == "link"
    assert {proof.target for proof in found.values()} == {"usr/bin/program"}


def test_nothing_to_prove(tree: Path) -> None:
    assert list(Prover(tree).proofs(locked("libc"), locked("program"))) == []
    assert list(Prover(tree).proofs(locked("unknown"), locked("program"))) == []
