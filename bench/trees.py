"""Trees to commit: one of 20 000 files; this machine's packages over generations."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

_WORDS = [b"the ", b"store ", b"keeps ", b"of ", b"tree ", b"debian ", b"package\n", b"object "]
_LARGEST_PACKAGE = 1 << 19


def many_files(directory: Path, *, files: int = 20_000, seed: int = 7) -> None:
    """A tree like /usr: 1 400 directories, sizes log-normal around 4 KiB, 8 % symbolic links."""
    chance = random.Random(seed)
    places = [directory / "usr"]
    for number in range(files // 14):
        places.append(chance.choice(places[-200:]) / f"d{number}")
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    binary = chance.randbytes(1 << 20)
    text = b"".join(chance.choice(_WORDS) for _ in range(200_000))
    for number in range(files):
        path = chance.choice(places) / f"f{number}"
        if chance.random() < 0.08:
            path.symlink_to(f"f{chance.randrange(files)}")
            continue
        size = min(int(chance.lognormvariate(8.2, 1.7)), 3_000_000)
        source = text if chance.random() < 0.6 else binary
        start = chance.randrange(len(source) // 2)
        path.write_bytes((b"%d" % number + source[start:] + source * 3)[:size])
        path.chmod(0o755 if chance.random() < 0.1 else 0o644)


def change(directory: Path, *, share: float = 0.01, seed: int = 3) -> None:
    """Append to one file in a hundred."""
    chance = random.Random(seed)
    files = _regular(directory)
    for path in chance.sample(files, int(len(files) * share)):
        data = path.read_bytes()
        path.unlink()  # it may be a hard link
        path.write_bytes(data + b"changed\n")


def _regular(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.rglob("*")) if stat.S_ISREG(path.lstat().st_mode)]


def packages(directory: Path, *, most: int = 200) -> list[list[Path]]:
    """Copy the files of installed packages, by name, none larger than 512 KiB; each one's files."""
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\n"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[list[Path]] = []
    for line in listed.stdout.splitlines():
        name, _, size = line.partition(" ")
        if len(found) < most and size.isdecimal() and 20 < int(size) << 10 < _LARGEST_PACKAGE:
            copied = list(_copied(name, directory))
            if copied:
                found.append(copied)
    return found


def _copied(package: str, directory: Path) -> Iterator[Path]:
    # What `dpkg-query -L` prints, without a process for each.
    listed = Path("/var/lib/dpkg/info") / f"{package}.list"
    for name in listed.read_text().splitlines() if listed.exists() else ():
        source, target = Path(name), directory / name.lstrip("/")
        try:
            if stat.S_ISREG(source.lstat().st_mode) and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                target.chmod(stat.S_IMODE(source.stat().st_mode) | 0o600)
                yield target
        except OSError:
            continue


def upgrade(files: list[list[Path]], *, generation: int, count: int = 10) -> None:
    """New versions of `count` packages: four files in ten change in three places each."""
    chance = random.Random(generation)
    for package in chance.sample(files, count):
        for path in package:
            if chance.random() < 0.4:
                data = bytearray(path.read_bytes())
                for _ in range(3):
                    place = chance.randrange(len(data) + 1)
                    data[place : place + 8] = chance.randbytes(chance.randrange(4, 40))
                path.write_bytes(bytes(data))


def total(directory: Path) -> int:
    """Bytes that a directory takes on disk, a file with several names counted once."""
    seen: set[tuple[int, int]] = set()
    found = 0
    for where, _, names in os.walk(directory):
        for path in (where, *(os.path.join(where, name) for name in names)):
            status = os.lstat(path)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                found += status.st_blocks * 512
    return found
