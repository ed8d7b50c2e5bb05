"""How much a pull of a commit moves, by what the commit says of its objects (ostree.sizes)."""

from __future__ import annotations

from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dolmen.store.repo.commits import Commit
    from dolmen.store.repo.repository import Repository

#: OstreeObjectType's numbers.
KINDS = {1: "file", 2: "dirtree", 3: "dirmeta", 4: "commit"}


class Sizes:
    """Bytes and objects, of all and of those that are not here."""

    __slots__ = ("archived", "needed", "needed_archived", "needed_unpacked", "objects", "unpacked")

    def __init__(self) -> None:
        self.archived = self.unpacked = self.objects = 0
        self.needed_archived = self.needed_unpacked = self.needed = 0

    def lines(self) -> list[str]:
        """As `ostree show --print-sizes`."""
        return [
            f"Compressed size (needed/total): "
            f"{format_size(self.needed_archived)}/{format_size(self.archived)}",
            f"Unpacked size (needed/total): "
            f"{format_size(self.needed_unpacked)}/{format_size(self.unpacked)}",
            f"Number of objects (needed/total): {self.needed}/{self.objects}",
        ]

    def value(self) -> dict[str, int]:
        """For JSON, in bytes."""
        return {name: getattr(self, name) for name in self.__slots__}


def sizes(repository: Repository, commit: Commit) -> Sizes:
    """Read a commit's sizes; raises StoreError ("no-metadata")."""
    kept = commit.metadata().get("ostree.sizes")
    if kept is None or kept.type != "aay":
        raise StoreError(
            "No metadata key ostree.sizes in commit " + commit.checksum,
            reason="no-metadata",
            hint="dolmen store commit --generate-sizes",
        )
    found = Sizes()
    for entry in kept.value:
        checksum, rest = entry[:32].hex(), entry[32:]
        archived, rest = _number(rest)
        unpacked, rest = _number(rest)
        kind = KINDS.get(rest[0], "file") if rest else "file"
        found.archived += archived
        found.unpacked += unpacked
        found.objects += 1
        if not repository.has(checksum, kind):
            found.needed_archived += archived
            found.needed_unpacked += unpacked
            found.needed += 1
    return found


def _number(data: bytes) -> tuple[int, bytes]:
    """A number of seven bits a byte, the lowest first, and what follows."""
    value = 0
    for index, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, data[index + 1 :]
    raise StoreError("Corrupted ostree.sizes", reason="object-damaged", hint="dolmen store fsck")


def format_size(count: int) -> str:
    """Bytes as g_format_size writes them: powers of 1000, one decimal, no-break space."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB", "EB"):
        value /= 1000
        if value < 1000 or unit == "EB":
            break
    return f"{value:.1f}\N{NO-BREAK SPACE}{unit}"
