"""SHA-256 digests as values of their own type, always 64 lower-case hexadecimal digits."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

Sha256 = NewType("Sha256", str)

_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_sha256(text: str) -> Sha256:
    """Check and convert; raises ValueError."""
    if not _SHA256.fullmatch(text):
        raise ValueError(f"not a SHA-256 digest: {text[:80]!r}")
    return Sha256(text)


def digest_text(text: str) -> Sha256:
    """The digest of a text in UTF-8."""
    return Sha256(hashlib.sha256(text.encode()).hexdigest())
