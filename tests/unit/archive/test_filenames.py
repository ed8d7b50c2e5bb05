"""Contents indexes made searchable, and what is no such index."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.archive.filenames import LINES, FileNames
from dolmen.archive.filenames_writer import write_names
from dolmen.support.errors import ArchiveError

CONTENTS = """\
bin/bash                                                shells/bash
usr/bin/jq                                              utils/jq
usr/bin/two words                                       misc/odd
usr/games/cowsay                                        games/cowsay
usr/include/stdio.h                                     libdevel/libc6-dev
usr/include/bsd/stdio.h                                 libdevel/libbsd-dev
usr/lib/both                                            libs/one,contrib/libs/two
usr/share/doc/jq/README                                 utils/jq
"""


def made(directory: Path, text: str, kind: str = "gz") -> Path:
    packed = gzip.compress(text.encode()) if kind == "gz" else lzma.compress(text.encode())
    source, target = directory / "source", directory / "made.names"
    source.write_bytes(packed)
    write_names(source, target, kind=kind, tell=lambda _done, _total: None)
    return target


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_names_are_found(tmp_path: Path, kind: str) -> None:
    with FileNames.open(made(tmp_path, CONTENTS, kind)) as names:
        assert names.named("bash") == [("usr/bin/bash", ("bash",))]
        assert names.named("two words") == [("usr/bin/two words", ("odd",))]
        assert names.named("both") == [("usr/lib/both", ("one", "two"))]
        assert [path for path, _packages in names.named("stdio.h")] == [
            "usr/include/stdio.h",
            "usr/include/bsd/stdio.h",
        ]
        assert names.named("nothing") == []
        assert names.named("README") == []  # documents are left out
        assert [path for path, _packages in names.commands("")] == [
            "usr/bin/bash",
            "usr/games/cowsay",
            "usr/bin/jq",
            "usr/bin/two words",
        ]
        assert names.commands("jq") == [("usr/bin/jq", ("jq",))]
        assert names.commands("q") == []


def test_many_blocks(tmp_path: Path) -> None:
    count = 3 * LINES + 7
    text = "".join(f"usr/lib/x/file{number}  libs/p{number % 5}\n" for number in range(count))
    with FileNames.open(made(tmp_path, text)) as names:
        for number in (0, LINES - 1, LINES, 2 * LINES, count - 1):
            found = names.named(f"file{number}")
            assert found == [(f"usr/lib/x/file{number}", (f"p{number % 5}",))]


def test_several_gzip_members(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "made.names"
    source.write_bytes(gzip.compress(b"usr/bin/a  x/a\n") + gzip.compress(b"usr/bin/b  x/b\n"))
    write_names(source, target, kind="gz", tell=lambda _done, _total: None)
    with FileNames.open(target) as names:
        assert names.named("a")
        assert names.named("b")


_PART = st.text(alphabet="abcdefgh.+-_é ", min_size=1, max_size=8).filter(
    lambda part: part.strip() == part
)


@given(
    st.dictionaries(
        st.lists(_PART, min_size=1, max_size=4).map("/".join),
        st.from_regex(r"[a-z]{2,6}/[a-z][a-z0-9+.-]{1,8}", fullmatch=True),
        max_size=30,
    )
)
def test_whatever_was_listed_is_found(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    directory = tmp_path_factory.mktemp("names")
    text = "".join(f"{path}   {package}\n" for path, package in files.items())
    with FileNames.open(made(directory, text)) as names:
        for path, package in files.items():
            found = names.named(path.rpartition("/")[2])
            assert (path, (package.partition("/")[2],)) in found


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_what_cannot_be_decompressed_is_refused(tmp_path: Path, kind: str) -> None:
    made(tmp_path, CONTENTS, kind)
    source = tmp_path / "source"
    for content in (b"no such format", source.read_bytes()[:-9]):
        source.write_bytes(content)
        with pytest.raises(ArchiveError) as caught:
            write_names(source, tmp_path / "bad.names", kind=kind, tell=lambda *_: None)
        assert caught.value.reason == "bad-index"
        assert not (tmp_path / "bad.names").exists()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, CONTENTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not a file of names"):
        FileNames.open(path)
