"""Durations and sizes as people write them."""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|min|h|d|w|y)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = ("", "K", "M", "G", "T")


def parse_duration(text: str) -> float:
    """Seconds of "45s", "90m", "24h", "30d", "2w", "1y"; raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no duration, such as 24h, 30d, 2w")
    return float(int(match[1]) * _SECONDS[match[2]])


def parse_size(text: str) -> int:
    """Bytes of "10G", "500 MiB", "1.5g": binary units, whatever their spelling; ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no size, such as 500M or 10G")
    return int(float(match[1]) * 1024 ** _UNITS.index(match[2].upper()))
