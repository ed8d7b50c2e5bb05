"""What an ordinary Debian has that somebody chose: values, read from its files alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dolmen.model import Source
from dolmen.model.system import User


@dataclass(frozen=True, slots=True)
class Placed:
    """A file to be placed: where it lies in the system, what it holds, whose it is."""

    path: str
    content: bytes
    mode: int
    owner: str = "root"
    group: str = "root"


@dataclass(slots=True)
class Adopted:
    """All of it. `notes`: what a person has to look at, one line each."""

    root: Path
    suite: str = ""
    architecture: str = ""
    foreign: tuple[str, ...] = ()
    packages: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    keys: dict[str, bytes] = field(default_factory=dict)
    hostname: str = ""
    locale: str = ""
    locales: tuple[str, ...] = ()
    timezone: str = ""
    kernel: str = ""
    arguments: tuple[str, ...] = ()
    target: str = ""
    enable: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    mask: list[str] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    files: list[Placed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
