"""Where packages come from, in the terms of sources.list(5)'s deb822 style."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """One deb822 source; every URI serves every suite with every component.

    `signed_by` is an absolute path of a keyring, or the text of an ASCII-armoured public key.
    `snapshot` is a time stamp (YYYYMMDDTHHMMSSZ) of the snapshot service, an age ("14d") from which
    one is reckoned, "now", or None, which means what the manifest says for all.
    `valid_until_max` bounds the age of Release files that do not expire by themselves, seconds.
    `name` is what specs and pins may call it, `priority` as in apt_preferences(5); with more than
    500 its packages may replace the suite's own.
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    signed_by: str | None = None
    snapshot: str | None = None
    valid_until_max: int | None = None
    name: str | None = None
    priority: int | None = None
