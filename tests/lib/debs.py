"""Synthetic .debs in milliseconds, in pure Python: honest ones by `make_deb`, others by `raw_deb`.

Honest ones look as dpkg-deb would make them: `./` first, every parent directory before its
children, root:root, a `md5sums` member, control files by deb-control(5). `raw_deb` writes whatever
tar and ar members it is told to, for hostile archives. Same arguments, same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.model import LockedPackage, Sha256

_EPOCH = 1_600_000_000
_ZSTD_BLOCK = 1 << 17


@dataclass(frozen=True, slots=True)
class File:
    """A regular file with what goes beyond bytes; `xattrs` become pax SCHILY headers."""

    content: bytes | str = b""
    mode: int = 0o644
    uname: str = "root"
    gname: str = "root"
    xattrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class HardLink:
    """A hard link to another path of the same .deb ("usr/bin/x")."""

    path: str


@dataclass(frozen=True, slots=True)
class Dir:
    """A directory; those not named get 0755."""

    mode: int = 0o755
    uname: str = "root"
    gname: str = "root"


Entry = bytes | str | File | Link | HardLink | Dir
Member = tuple[tarfile.TarInfo, bytes]


def make_deb(
    directory: Path,
    name: str,
    version: str = "1.0",
    architecture: str = "all",
    *,
    files: Mapping[str, Entry] | None = None,
    scripts: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    conffiles: Iterable[str] = (),
    triggers: str = "",
    control_files: Mapping[str, bytes | str] | None = None,
    md5sums: bool = True,
    compression: str = "gz",
) -> Path:
    """Write `directory/NAME_VERSION_ARCH.deb` and return its path.

    `files`: path without a leading slash -> content; parents are added. Bytes and texts below a
    `bin` or `sbin` directory become 0755, others 0644. `scripts`: "postinst" -> text, 0755.
    `fields`: further or replacing control fields. `conffiles`: with a leading slash.
    `control_files`: any further control members. `compression`: "none", "gz", "xz", "zst".
    """
    entries = dict(files or {})
    data = _data_members(entries)
    control = _control_text(name, version, architecture, entries, fields or {})
    members: dict[str, tuple[bytes, int]] = {"control": (control.encode(), 0o644)}
    if conffiles:
        members["conffiles"] = ("".join(f"{path}\n" for path in conffiles).encode(), 0o644)
    if md5sums:
        members["md5sums"] = (_md5sums(data), 0o644)
    for script, text in (scripts or {}).items():
        members[script] = (text.encode(), 0o755)
    if triggers:
        members["triggers"] = (triggers.encode(), 0o644)
    for member, content in (control_files or {}).items():
        members[member] = (_bytes(content), 0o644)
    return raw_deb(
        directory,
        f"{name}_{version.replace(':', '%3a')}_{architecture}.deb",
        data=data,
        control=[tar_member("./", kind="d")]
        + [tar_member(f"./{m}", content, mode=mode) for m, (content, mode) in members.items()],
        compression=compression,
    )


def raw_deb(
    directory: Path,
    filename: str,
    *,
    data: Sequence[Member] | bytes,
    control: Sequence[Member] | bytes,
    compression: str = "none",
    ar: Sequence[tuple[str, bytes]] | None = None,
) -> Path:
    """Write a .deb of exactly these tar members (or tar bytes), in this order.

    `ar` replaces the list of ar members altogether (then `data` and `control` do not matter).
    """
    suffix = "" if compression == "none" else f".{compression}"
    if ar is None:
        ar = [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{suffix}", compress(tar_bytes(control), compression)),
            (f"data.tar{suffix}", compress(tar_bytes(data), compression)),
        ]
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / filename
    path.write_bytes(ar_bytes(ar))
    return path


def tar_member(
    name: str,
    content: bytes = b"",
    *,
    kind: str = "f",
    target: str = "",
    mode: int | None = None,
    uname: str = "root",
    gname: str = "root",
    pax: Mapping[str, str] | None = None,
) -> Member:
    """One tar member, unchecked; kinds: f, d, l (symbolic), h (hard), c, b (devices), p (fifo)."""
    info = tarfile.TarInfo(name)
    info.type = {
        "f": tarfile.REGTYPE,
        "d": tarfile.DIRTYPE,
        "l": tarfile.SYMTYPE,
        "h": tarfile.LNKTYPE,
        "c": tarfile.CHRTYPE,
        "b": tarfile.BLKTYPE,
        "p": tarfile.FIFOTYPE,
    }[kind]
    info.mode = {"d": 0o755, "l": 0o777}.get(kind, 0o644) if mode is None else mode
    info.size = len(content)
    info.mtime = _EPOCH
    info.linkname = target
    info.uname, info.gname = uname, gname
    info.pax_headers = dict(pax or {})
    return info, content


def tar_bytes(members: Sequence[Member] | bytes) -> bytes:
    """A tar archive of these members."""
    if isinstance(members, bytes):
        return members
    out = io.BytesIO()
    pax = any(info.pax_headers for info, _ in members)
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    ) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def ar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A common-format ar archive, as deb(5) describes it."""
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(
            f"{name:<16}{_EPOCH:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        )
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def compress(content: bytes, compression: str) -> bytes:
    """Compress as dpkg-deb names it; "zst" stores raw blocks, since Python has no encoder."""
    if compression == "none":
        return content
    if compression == "gz":
        return gzip.compress(content, compresslevel=1, mtime=0)
    if compression == "xz":
        return lzma.compress(content, preset=0)
    if compression == "zst":
        return _zstd_stored(content)
    raise ValueError(compression)


def lock_entry(deb: Path, *, requested: bool = False, release: int = 0) -> LockedPackage:
    """What a lock would say about this .deb, read from its control file."""
    content = deb.read_bytes()
    fields = control_fields(deb)
    fixed = {"Package", "Version", "Architecture", "Essential", "Multi-Arch", "Source"}
    return LockedPackage(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        sha256=Sha256(hashlib.sha256(content).hexdigest()),
        size=len(content),
        filename=f"pool/main/{fields['Package'][0]}/{fields['Package']}/{deb.name}",
        release=release,
        requested=requested,
        essential=fields.get("Essential") == "yes",
        multi_arch=fields.get("Multi-Arch", "no"),
        source=fields.get("Source", ""),
        installed_size=int(fields.get("Installed-Size", "0")),
        fields=tuple((k, v) for k, v in fields.items() if k not in fixed | {"Installed-Size"}),
    )


def control_fields(deb: Path) -> dict[str, str]:
    """The control file of a .deb made here (not zst), continuation lines kept as they are."""
    content = deb.read_bytes()
    offset = 8
    while offset < len(content):
        name = content[offset : offset + 16].decode().strip()
        size = int(content[offset + 48 : offset + 58])
        body = content[offset + 60 : offset + 60 + size]
        offset += 60 + size + size % 2
        if name.startswith("control.tar"):
            if name.endswith(".zst"):
                body = _zstd_unstored(body)
            with tarfile.open(fileobj=io.BytesIO(body), mode="r:*") as archive:
                names = [name for name in archive.getnames() if name in ("./control", "control")]
                member = archive.extractfile(names[0])
                assert member is not None
                return _parse_control(member.read().decode())
    raise ValueError(f"{deb} has no control member")


def _parse_control(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            fields[last] += "\n" + line[1:]
        else:
            last, _, value = line.partition(":")
            fields[last] = value.strip()
    return fields


def _data_members(files: Mapping[str, Entry]) -> list[Member]:
    members = [tar_member("./", kind="d")]
    seen: set[str] = set()

    def parents(path: str) -> None:
        parts = path.split("/")[:-1]
        for index in range(1, len(parts) + 1):
            parent = "/".join(parts[:index])
            if parent not in seen and not isinstance(files.get(parent), (Dir, Link)):
                seen.add(parent)
                members.append(tar_member(f"./{parent}/", kind="d"))

    for path, entry in files.items():
        parents(path)
        seen.add(path)
        if isinstance(entry, Dir):
            members.append(
                tar_member(
                    f"./{path}/", kind="d", mode=entry.mode, uname=entry.uname, gname=entry.gname
                )
            )
        elif isinstance(entry, Link):
            members.append(tar_member(f"./{path}", kind="l", target=entry.target))
        elif isinstance(entry, HardLink):
            mode = next((i.mode for i, _ in members if i.name == f"./{entry.path}"), 0o644)
            members.append(tar_member(f"./{path}", kind="h", target=f"./{entry.path}", mode=mode))
        else:
            members.append(_file_member(path, entry))
    return members


def _file_member(path: str, entry: bytes | str | File) -> Member:
    if not isinstance(entry, File):
        program = any(part in ("bin", "sbin") for part in path.split("/")[:-1])
        entry = File(entry, 0o755 if program else 0o644)
    return tar_member(
        f"./{path}",
        _bytes(entry.content),
        mode=entry.mode,
        uname=entry.uname,
        gname=entry.gname,
        pax={f"SCHILY.xattr.{key}": value for key, value in entry.xattrs.items()},
    )


def _md5sums(data: Sequence[Member]) -> bytes:
    return "".join(
        f"{hashlib.md5(content).hexdigest()}  {info.name.removeprefix('./')}\n"
        for info, content in data
        if info.isreg()
    ).encode()


def _control_text(
    name: str,
    version: str,
    architecture: str,
    files: Mapping[str, Entry],
    fields: Mapping[str, str],
) -> str:
    size = sum(
        len(_bytes(entry.content if isinstance(entry, File) else entry))
        for entry in files.values()
        if isinstance(entry, (bytes, str, File))
    )
    merged = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "Nobody <nobody@example.org>",
        "Installed-Size": str(-(-size // 1024) + len(files)),
        "Section": "misc",
        "Priority": "optional",
        "Description": f"synthetic package {name}",
    } | dict(fields)
    lines = []
    for key, value in merged.items():
        first, *rest = value.split("\n")
        lines.append(f"{key}: {first}\n")
        lines += [f" {line}\n" if line else " .\n" for line in rest]
    return "".join(lines)


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _zstd_stored(content: bytes) -> bytes:
    """A Zstandard frame (RFC 8878) of raw blocks, window 1 MiB, without a checksum."""
    out = [b"\x28\xb5\x2f\xfd\x00\x50"]
    blocks = [content[i : i + _ZSTD_BLOCK] for i in range(0, len(content), _ZSTD_BLOCK)] or [b""]
    for index, block in enumerate(blocks):
        last = int(index == len(blocks) - 1)
        out.append((last | len(block) << 3).to_bytes(3, "little") + block)
    return b"".join(out)


def _zstd_unstored(frame: bytes) -> bytes:
    offset, out, last = 6, [], 0
    while not last:
        header = int.from_bytes(frame[offset : offset + 3], "little")
        last, size = header & 1, header >> 3
        out.append(frame[offset + 3 : offset + 3 + size])
        offset += 3 + size
    return b"".join(out)
