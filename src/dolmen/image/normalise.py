"""Makes what the maintainer scripts wrote a function of the lock, after the table in `rules`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dolmen.image import keystore, rules, tex

#: Seconds; the SOURCE_DATE_EPOCH of every build (2020-01-01). A constant, because an image is a
#: function of its packages: not of the day, nor of the Release file that named them.
EPOCH = 1577836800


def dropped(path: str) -> bool:
    """Whether a path that the scripts made is left out of the image."""
    return rules.action(path.lstrip("/")) == "delete"


def normalise(upper: Path) -> None:
    """Rewrite files in the upper directory in place; it holds copies of our own, no hard links."""
    for path in _files(upper / "var/log"):
        if rules.action(str(path.relative_to(upper))) == "empty" and path.stat().st_size:
            os.truncate(path, 0)
    shadow = upper / "etc/shadow"
    if shadow.is_file():
        shadow.write_text(clamp_shadow(shadow.read_text()))
    certificates = upper / "etc/ssl/certs/java/cacerts"
    if certificates.is_file():
        certificates.write_bytes(keystore.with_constant_dates(certificates.read_bytes(), EPOCH))
    tex.normalise(upper)
    for link in _snakeoil_links(upper / "etc/ssl/certs"):
        link.unlink()


def clamp_shadow(text: str) -> str:
    """Bound the day of the last password change (shadow(5), field 3) by EPOCH; Debian #857803."""
    day = EPOCH // 86400
    lines = []
    for line in text.split("\n"):
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdecimal() and int(fields[2]) > day:
            fields[2] = str(day)
        lines.append(":".join(fields))
    return "\n".join(lines)


def _files(directory: Path) -> Iterator[Path]:
    for parent, _directories, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _snakeoil_links(directory: Path) -> Iterator[Path]:
    """`<hash>.0` links to the self-signed certificate; their names follow the host's name."""
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if path.is_symlink() and os.readlink(path).endswith("ssl-cert-snakeoil.pem"):
                yield path
