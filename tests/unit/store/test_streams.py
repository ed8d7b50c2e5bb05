"""Bombs, cut and damaged streams are refused in bounded time and space."""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from dolmen.store import Store
from tests.lib.debs import (
    compress,
    raw_deb,
    tar_bytes,
    tar_member,
)
from tests.unit.store.refusal import (
    BENIGN,
    CONTROL_MEMBERS,
    ROOT,
    deb_of,
    refused,
    taken,
)

pytestmark = pytest.mark.usefixtures("_benign_twin")


@pytest.mark.parametrize("compression", ["gz", "xz"])
def test_bomb(store: Store, debs: Path, compression: str) -> None:
    small = [ROOT, tar_member("./zeros", bytes(1 << 20))]
    taken(store, deb_of(debs, small, compression=compression))
    block = bytes(40 << 20)
    bomb = deb_of(debs, [ROOT, tar_member("./zeros", block)], compression=compression)
    assert bomb.stat().st_size < 1 << 20
    assert refused(store, bomb) == "too-large"


def test_bomb_of_padding(store: Store, debs: Path) -> None:
    data = tar_bytes(BENIGN) + bytes(40 << 20)
    assert refused(store, deb_of(debs, data, compression="gz")) == "too-large"


def test_size_beyond_everything(store: Store, debs: Path) -> None:
    header = tar_member("./huge")[0]
    header.size = 1 << 62
    data = header.tobuf(tarfile.GNU_FORMAT)
    assert refused(store, deb_of(debs, data)) == "too-large"


def test_sparse_member(store: Store, debs: Path) -> None:
    header, _ = tar_member("./sparse")
    header.type = tarfile.GNUTYPE_SPARSE
    assert refused(store, deb_of(debs, header.tobuf(tarfile.GNU_FORMAT))) == "bad-tar"


def test_decoder_memory(store: Store, debs: Path) -> None:
    """A stream that wants a dictionary of 1.5 GiB."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1536 << 20}]
    data = tar_bytes(BENIGN)
    plain = [("debian-binary", b"2.0\n"), ("control.tar", tar_bytes(CONTROL_MEMBERS))]
    twin = [*plain, ("data.tar.xz", lzma.compress(data, preset=0))]
    taken(store, raw_deb(debs, "twin.deb", data=b"", control=b"", ar=twin))
    # Encoding with that dictionary would need the memory; so only its size is made a lie.
    stream = bytearray(lzma.compress(data, filters=[filters[0] | {"dict_size": 1 << 20}]))
    position = stream.index(b"\x21\x01", 12) + 2
    stream[position] = 37  # 1.5 GiB in the coding of the xz format, 5.3.1
    size = (stream[12] + 1) * 4
    stream[12 + size - 4 : 12 + size] = zlib.crc32(stream[12 : 12 + size - 4]).to_bytes(4, "little")
    hostile = [*plain, ("data.tar.xz", bytes(stream))]
    assert (
        refused(store, raw_deb(debs, "evil.deb", data=b"", control=b"", ar=hostile)) == "truncated"
    )


@pytest.mark.parametrize("compression", ["none", "gz", "xz", "zst"])
@pytest.mark.parametrize("keep", [0, 4, 0.5, 0.99])
def test_cut_streams(store: Store, debs: Path, compression: str, keep: float) -> None:
    """Four bytes of zstd make dpkg-deb 1.21.22 spin for ever (CVE-2026-2219)."""
    data = compress(tar_bytes([*BENIGN, tar_member("./noise", os.urandom(50_000))]), compression)
    suffix = "" if compression == "none" else f".{compression}"

    def deb(content: bytes) -> Path:
        members = [
            ("debian-binary", b"2.0\n"),
            ("control.tar", tar_bytes(CONTROL_MEMBERS)),
            (f"data.tar{suffix}", content),
        ]
        return raw_deb(debs, "evil.deb", data=b"", control=b"", ar=members)

    taken(store, deb(data))
    length = int(len(data) * keep) if isinstance(keep, float) else keep
    if keep == 0.99 and compression == "none":
        length = 20_000  # the last hundredth is only padding
    assert refused(store, deb(data[:length])) == "truncated"


@pytest.mark.parametrize("compression", ["gz", "xz"])
def test_damaged_streams(store: Store, debs: Path, compression: str) -> None:
    good = deb_of(debs, BENIGN, compression=compression)
    taken(store, good)
    content = bytearray(good.read_bytes())
    for place in range(len(content) - 60, len(content) - 4, 7):
        content[place] ^= 0xFF
    good.write_bytes(content)
    assert refused(store, good) in ("truncated", "bad-tar", "hash-mismatch", "unsafe-path")


def test_damaged_tar_header(store: Store, debs: Path) -> None:
    """tarfile takes this for the end of the archive, and would import half a package."""
    data = bytearray(tar_bytes(BENIGN))
    data[2 * 512 + 1] ^= 0xFF
    assert refused(store, deb_of(debs, bytes(data))) == "bad-tar"


def test_content_where_none_belongs(store: Store, debs: Path) -> None:
    header, _ = tar_member("./usr/l", kind="l", target="x")
    header.size = 512
    data = tar_bytes(BENIGN[:2])[:1024] + header.tobuf(tarfile.GNU_FORMAT) + bytes(2048)
    assert refused(store, deb_of(debs, data)) == "bad-tar"
