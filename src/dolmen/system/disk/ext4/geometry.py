"""Where the fixed parts of an ext4 file system lie: block groups and what each begins with."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.support.errors import UsageError

BLOCK = 4096
INODE = 256
DESCRIPTOR = 64
#: The first inode that is not one of the format's own (`EXT4_GOOD_OLD_FIRST_INO`).
FIRST_INODE = 11
#: A last group with less room than this beside its own parts is left off, as mke2fs does.
_LEAST_ROOM = 50


@dataclass(frozen=True, slots=True)
class Geometry:
    """A file system's shape; all counts are of 4096-byte blocks where nothing else is said."""

    blocks: int
    inodes_per_group: int
    blocks_per_group: int = 32768
    #: Groups whose bitmaps and inode tables lie together at the start of the first of them.
    flex: int = 16
    reserved_descriptor_blocks: int = 0

    @property
    def groups(self) -> int:
        """Number of block groups."""
        return -(-self.blocks // self.blocks_per_group)

    @property
    def inodes(self) -> int:
        """Number of inodes, used or not."""
        return self.groups * self.inodes_per_group

    @property
    def descriptor_blocks(self) -> int:
        """Blocks of the table of group descriptors."""
        return -(-self.groups * DESCRIPTOR // BLOCK)

    @property
    def table_blocks(self) -> int:
        """Blocks of one group's inode table."""
        return self.inodes_per_group * INODE // BLOCK

    @property
    def head_blocks(self) -> int:
        """Superblock, group descriptors and room for more of them, in groups that have these."""
        return 1 + self.descriptor_blocks + self.reserved_descriptor_blocks

    def start(self, group: int) -> int:
        """A group's first block."""
        return group * self.blocks_per_group

    def length(self, group: int) -> int:
        """A group's blocks; fewer in the last one."""
        return min(self.blocks_per_group, self.blocks - self.start(group))

    def backups(self) -> list[int]:
        """The groups that have a superblock (`sparse_super`): 0, 1 and powers of 3, 5 and 7."""
        found = {0, 1}
        for base in (3, 5, 7):
            power = base
            while power < self.groups:
                found.add(power)
                power *= base
        return sorted(group for group in found if group < self.groups)

    def head(self, group: int) -> int:
        """How many blocks of a group its superblock and descriptors take."""
        return self.head_blocks if has_backup(group) else 0

    def bitmaps(self, group: int) -> tuple[int, int, int]:
        """The blocks of a group's block bitmap and inode bitmap, and its inode table's first."""
        first = group - group % self.flex
        count = min(self.flex, self.groups - first)
        base = self.start(first) + self.head(first)
        place = group - first
        return (
            base + place,
            base + count + place,
            base + 2 * count + place * self.table_blocks,
        )

    def fixed(self) -> list[tuple[int, int]]:
        """Everything that no file may use, as sorted (first block, blocks)."""
        found = [(self.start(group), self.head_blocks) for group in self.backups()]
        for first in range(0, self.groups, self.flex):
            count = min(self.flex, self.groups - first)
            start = self.bitmaps(first)[0]
            found.append((start, count * (2 + self.table_blocks)))
        return sorted(found)


def has_backup(group: int) -> bool:
    """Whether a group starts with a copy of the superblock and the descriptors."""
    if group < 2:
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False


def shape(
    size: int, inodes: int, *, blocks_per_group: int = 32768, flex: int = 16, grow: int = 1024
) -> Geometry:
    """The shape of a file system of `size` bytes that holds at least so many inodes.

    It has one inode for 16 KiB, as mke2fs would, and keeps room to grow to `grow` times its
    size while it is mounted (at most what one block of indirect addresses reaches). Raises
    UsageError ("disk-too-small").
    """
    blocks = size // BLOCK
    while True:
        groups = -(-blocks // blocks_per_group)
        if blocks < 64 or not groups:
            raise too_small(f"{size} bytes are no room for an ext4 file system")
        wanted = max(blocks * BLOCK // 16384, inodes + FIRST_INODE)
        # Multiples of 16 fill whole blocks of the table and whole bytes of the bitmap.
        per_group = -(-wanted // groups // 16) * 16 if wanted else 16
        per_group = min(max(per_group, 16), BLOCK * 8)
        found = Geometry(blocks, per_group, blocks_per_group, flex, 0)
        per_block = BLOCK // DESCRIPTOR
        limit = min(blocks * grow, 1 << 32)
        future = -(-limit // blocks_per_group)
        reserved = max(0, min(-(-future // per_block) - found.descriptor_blocks, BLOCK // 4))
        found = Geometry(blocks, per_group, blocks_per_group, flex, reserved)
        last = groups - 1
        needed = found.head(last) + _LEAST_ROOM
        if last % flex == 0:
            needed += 2 + found.table_blocks
        if found.length(last) >= needed:
            break
        blocks = found.start(last)
    if found.inodes < inodes + FIRST_INODE - 1:
        raise too_small(f"{inodes} files do not fit into {size} bytes")
    longest = min(flex, found.groups) * (2 + found.table_blocks) + found.head_blocks
    if longest + _LEAST_ROOM > min(blocks_per_group, blocks):
        if flex > 1:
            return shape(size, inodes, blocks_per_group=blocks_per_group, flex=flex // 2, grow=grow)
        if grow > 1:
            return shape(size, inodes, blocks_per_group=blocks_per_group, flex=flex, grow=1)
        raise too_small(f"{inodes} files do not fit into {size} bytes")
    return found


def too_small(message: str) -> UsageError:
    """The refusal of a size."""
    return UsageError(message, reason="disk-too-small", hint="dolmen system image --size=8G …")
