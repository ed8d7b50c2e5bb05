"""A writer of fresh ext4 file systems (Documentation/filesystems/ext4 of the kernel).

Everything is laid out before a byte is written: sizes are known, so every file is one run of
blocks and the whole is written front to back. It does what a system's root and /boot need and no
more: 4096-byte blocks, extents, metadata checksums, flexible groups, a journal, blocks kept for
growing while mounted. Directories are linear, which the format allows and the kernel reads.
"""
