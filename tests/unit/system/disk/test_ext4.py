"""The ext4 writer, judged by e2fsck and debugfs."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dolmen.support.errors import HostError, UsageError
from dolmen.system.disk.ext4.crc32c import crc32c, crc32c_many
from dolmen.system.disk.ext4.geometry import BLOCK, Geometry, shape
from dolmen.system.disk.ext4.writing import estimate
from dolmen.system.disk.nodes import IMMUTABLE, Node, directory, file, link, place, walk
from tests.lib.disks import CAPABILITY, MIB, check_ext4, debugfs, regular, run, write_ext4


def test_crc32c_is_the_known_one() -> None:
    assert crc32c(0xFFFFFFFF, b"123456789") ^ 0xFFFFFFFF == 0xE3069283


@given(
    st.integers(1, 40).flatmap(
        lambda size: st.lists(
            st.tuples(st.binary(min_size=size, max_size=size), st.integers(0, 0xFFFFFFFF)),
            min_size=1,
            max_size=9,
        )
    )
)
def test_many_sums_at_once_are_single_sums(records: list[tuple[bytes, int]]) -> None:
    length = len(records[0][0])
    data = b"".join(record + b"##" for record, _ in records)
    registers = [register for _, register in records]
    assert crc32c_many(registers, data, length, length + 2) == [
        crc32c(register, record) for record, register in records
    ]


def sample() -> Node:
    root = directory(mtime=1_700_000_000)
    place(root, "a/b/text", file(b"hello\n", mtime=1_600_000_000))
    twice = file(b"x" * 5000, 0o4755)
    place(root, "a/one", twice)
    place(root, "two", twice)
    place(root, "large", file(bytes(range(256)) * 9000))
    place(root, "short", link("a/one"))
    place(root, "long", link("y" * 300))
    place(root, "edge", link("z" * 60))
    place(root, "empty", file(b""))
    ping = place(root, "ping", file(b"ping", 0o755))
    ping.xattrs = (CAPABILITY,)
    many = place(root, "attributes", file(b"many"))
    many.xattrs = (("user.big", b"q" * 700), ("user.empty", b""), ("trusted.t", b"1234567"))
    shadow = place(root, "shadow", file(b"root", 0o640))
    shadow.gid, shadow.uid = 42, 70000
    fixed = place(root, "fixed", directory(0o2775))
    fixed.flags = IMMUTABLE
    crowd = place(root, "crowd", directory())
    for number in range(1500):
        crowd.entries[b"name-%d" % number] = file(b"")
    return root


def test_everything_is_there_as_it_was_meant(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    root = sample()
    write_ext4(disk, root, 64 * MIB)
    check_ext4(disk)
    out = tmp_path / "out"
    out.mkdir()
    files = [node for node in regular(root) if node.size]
    debugfs(disk, *(f"dump <{node.number}> {out}/{node.number}" for node in files))
    for node in files:
        assert (out / str(node.number)).read_bytes() == b"".join(node.chunks())
    listed = debugfs(disk, "stat a/one", "stat two", "stat shadow", "stat fixed", "stat long")
    assert listed.count("Links: 2") >= 2
    assert "Mode:  04755" in listed
    assert "User: 70000   Group:    42" in listed
    assert "Flags: 0x80010" in listed
    assert "Size: 300" in listed
    assert debugfs(disk, "ls -l crowd").count("name-") == 1500
    assert "0100000200200000" in debugfs(disk, "ea_get -x ping security.capability").replace(
        " ", ""
    )
    assert "q" * 700 in debugfs(disk, "ea_get attributes user.big")
    assert '"a/one"' in debugfs(disk, "stat short")
    assert "0x5f5e1000" in debugfs(disk, "stat a/b/text")


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    sums = set()
    for name in ("one", "two"):
        write_ext4(tmp_path / name, sample(), 64 * MIB)
        sums.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(sums) == 1


def test_it_grows_by_e2fsprogs_own_means(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    write_ext4(disk, sample(), 96 * MIB)
    with disk.open("r+b") as stream:
        stream.truncate(900 * MIB)
    # resize2fs wants a check after the last mount, or a stamp of one.
    run("e2fsck", "-f", "-p", disk)
    run("resize2fs", disk)
    check_ext4(disk)
    assert "Block count:              230400" in run("dumpe2fs", "-h", disk)


@pytest.mark.parametrize("size", [9, 40, 128, 129, 136, 200, 1000, 2049, 20000, 70000])
def test_every_size_is_sound(tmp_path: Path, size: int) -> None:
    disk = tmp_path / "disk"
    root = directory()
    place(root, "file", file(b"content"))
    write_ext4(disk, root, size * MIB, journal=MIB * 4)
    check_ext4(disk)
    assert disk.stat().st_blocks * 512 < 30 * MIB


def test_a_file_in_many_pieces_gets_a_tree_of_extents(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    geometry = Geometry(65536, 64, blocks_per_group=512, flex=1, reserved_descriptor_blocks=0)
    root = directory()
    content = bytes(range(256)) * 16 * 6000
    large = place(root, "large", file(content))
    place(root, "after", file(b"after"))
    write_ext4(disk, root, 65536 * BLOCK, geometry=geometry)
    check_ext4(disk)
    out = tmp_path / "out"
    listed = debugfs(disk, "extents large", f"dump <{large.number}> {out}")
    assert listed.count("\n") > 10
    assert out.read_bytes() == content


def test_a_file_longer_than_an_extent_reaches(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    size = 150 * MIB
    root = directory()
    large = place(root, "large", file(b""))
    large.size = size
    large.source = lambda: (bytes(MIB) for _ in range(size // MIB))
    made = write_ext4(disk, root, 200 * MIB)
    check_ext4(disk)
    assert made.used > size
    assert "Size: 157286400" in debugfs(disk, "stat large")


def test_what_does_not_fit_is_refused() -> None:
    root = directory()
    place(root, "large", file(bytes(20 * MIB)))
    with pytest.raises(UsageError) as caught:
        write_ext4(Path("/dev/null"), root, 16 * MIB)
    assert caught.value.reason == "disk-too-small"
    crowd = directory()
    for number in range(9000):
        crowd.entries[b"%d" % number] = file(b"")
    with pytest.raises(UsageError) as caught:
        shape(8 * MIB, 200_000)
    assert caught.value.reason == "disk-too-small"


def test_attributes_that_no_block_holds_are_refused(tmp_path: Path) -> None:
    root = directory()
    node = place(root, "file", file(b"content"))
    node.xattrs = (("user.large", b"x" * 3000),)
    write_ext4(tmp_path / "disk", root, 16 * MIB)
    check_ext4(tmp_path / "disk")
    for name, value, reason in (
        ("user.large", b"x" * 5000, "xattr-too-large"),
        ("other.name", b"x", "xattr-unknown"),
    ):
        node.xattrs = ((name, value),)
        with pytest.raises(HostError) as caught:
            write_ext4(tmp_path / "disk", root, 16 * MIB)
        assert caught.value.reason == reason


def test_an_access_list_has_the_form_of_the_disk(tmp_path: Path) -> None:
    root = directory()
    node = place(root, "journal", directory(0o2755))
    # setfacl -m g:4:rx: version 2, then tag, rights and number of each entry.
    entries = ((1, 7, -1), (4, 5, -1), (8, 5, 4), (16, 5, -1), (32, 5, -1))
    value = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little")
        + rights.to_bytes(2, "little")
        + (number & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, rights, number in entries
    )
    node.xattrs = (("system.posix_acl_access", value),)
    write_ext4(tmp_path / "disk", root, 16 * MIB)
    check_ext4(tmp_path / "disk")
    assert "system.posix_acl_access" in debugfs(tmp_path / "disk", "ea_list journal")


_SIZES = st.sampled_from((0, 1, 59, 60, 4095, 4096, 4097, 12288, 70000))
_NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
_XATTRS = st.dictionaries(
    st.sampled_from(("user.a", "user.bb", "trusted.x", "security.capability", "user." + "n" * 90)),
    st.integers(0, 900).map(lambda size: b"v" * size),
    max_size=4,
).map(lambda found: tuple(sorted(found.items())))
_OWNERS = st.sampled_from((0, 1, 65534, 65536, 4_000_000))


@st.composite
def _file(draw: st.DrawFn) -> Node:
    size = draw(_SIZES)
    node = file(b"d" * size, draw(st.sampled_from((0o644, 0o600, 0o4755, 0o2755))))
    node.xattrs, node.uid, node.gid = draw(_XATTRS), draw(_OWNERS), draw(_OWNERS)
    node.mtime = draw(st.sampled_from((0, 1_700_000_000, 1 << 31, (1 << 32) + 7)))
    return node


_LEAVES = _file() | st.sampled_from((1, 59, 60, 61, 4095)).map(lambda size: link("t" * size))


def _directory(children: dict[bytes, Node]) -> Node:
    node = directory()
    node.entries.update(children)
    return node


_TREES = st.dictionaries(
    _NAMES,
    st.recursive(
        _LEAVES,
        lambda inner: st.dictionaries(_NAMES, inner, max_size=6).map(_directory),
        max_leaves=12,
    ),
    max_size=8,
).map(_directory)


@settings(max_examples=15)
@given(tree=_TREES, again=st.booleans())
@example(tree=directory(), again=False)
def test_any_tree_is_sound(
    tmp_path_factory: pytest.TempPathFactory, tree: Node, again: bool
) -> None:
    disk = tmp_path_factory.mktemp("ext4") / "disk"
    files = [node for node in walk(tree) if stat.S_ISREG(node.mode)]
    if again and files:
        tree.entries[b"once more"] = files[0]
    write_ext4(disk, tree, 24 * MIB, journal=4 * MIB)
    check_ext4(disk)
    out = disk.parent
    wanted = [node for node in files if node.size]
    debugfs(disk, *(f"dump <{node.number}> {out}/{node.number}" for node in wanted))
    for node in wanted:
        assert (out / str(node.number)).read_bytes() == b"".join(node.chunks())


@given(st.integers(100, 3000))
@settings(max_examples=8)
def test_directories_of_any_length_are_sound(
    tmp_path_factory: pytest.TempPathFactory, count: int
) -> None:
    disk = tmp_path_factory.mktemp("ext4") / "disk"
    root = directory()
    crowd = place(root, "crowd", directory())
    for number in range(count):
        crowd.entries[b"%d" % number * (1 + number % 40)] = file(b"")
    assert estimate(root, journal=0) < 24 * MIB
    write_ext4(disk, root, 24 * MIB)
    check_ext4(disk)
