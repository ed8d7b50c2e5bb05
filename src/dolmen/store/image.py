"""What an image is to the store."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.model import Sha256


@dataclass(frozen=True, slots=True)
class Image:
    """`root`: checksum of the root directory, what an image is; `commit`: where it is kept.

    `root` is libostree's content checksum, SHA-256 over dirtree and dirmeta, as `ostree log`
    prints it.
    """

    root: Sha256
    commit: Sha256
