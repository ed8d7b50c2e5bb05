"""How an environment is entered: variables, aliases, scripts, and what is kept writable.

Nothing of it decides what is solved or built, so changing it costs neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dolmen.model.digest import Sha256, digest_text
from dolmen.model.reading import Reader

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Names that are files of a generation, and words that a user types after `dolmen run`.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")

#: Variables that a manifest may not set, by what they would do without anybody seeing it: run code
#: in every program or shell (LD_PRELOAD, BASH_ENV), change how sh reads its own scripts (IFS), or
#: unsay what the launcher has to decide (PATH, HOME).
CODE = re.compile(
    r"LD_(?:PRELOAD|AUDIT|LIBRARY_PATH|BIND_NOT|ORIGIN_PATH)|GCONV_PATH|LOCPATH|BASH_ENV|ENV"
    r"|BASH_FUNC_.*|BASHOPTS|SHELLOPTS|PROMPT_COMMAND|PS[0-4]|IFS|GLIBC_TUNABLES|MALLOC_TRACE"
)
OURS = re.compile(
    r"PATH|HOME|PWD|OLDPWD|SHELL|USER|LOGNAME|TERM|UID|EUID|PPID|_|DOLMEN_.*|debian_chroot"
)

PERSISTED = re.compile(r"/(?:[A-Za-z0-9_][A-Za-z0-9._+@:-]*/)*[A-Za-z0-9_][A-Za-z0-9._+@:-]*")
#: Where directories may be kept writable, and how deep below at least.
_TOPS = {"var": 2, "srv": 1, "opt": 1, "etc": 1}
_TAKEN = re.compile(
    r"/var/(?:lib/dpkg|lib/apt|cache/apt|run|lock|tmp|lib/dolmen)(?:/.*)?"
    r"|/var/(?:lib|cache|log|spool|opt|mail|backups|local|crash)"
    r"|/etc/(?:passwd-?|group-?|shadow-?|gshadow-?|subuid|subgid|sudoers|sudoers\.d|pam\.d|security"
    r"|ld\.so\..*|alternatives|dpkg|apt|profile|profile\.d|bash\.bashrc|environment|hosts|hostname"
    r"|resolv\.conf|nsswitch\.conf|machine-id|localtime|timezone|os-release|debian_version)(?:/.*)?"
)


@dataclass(frozen=True, slots=True)
class Entrance:
    """`variables`, `aliases` and `scripts` by name, sorted; `persist` sorted.

    An alias is a command of its own inside; a script is run by `dolmen run NAME`, in the directory
    of the manifest.
    """

    variables: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    scripts: tuple[tuple[str, str], ...] = ()
    persist: tuple[str, ...] = ()

    def digest(self) -> Sha256:
        """Names all of it."""
        return digest_text(json.dumps(asdict(self), sort_keys=True))


def read_entrance(reader: Reader, data: dict[str, Any]) -> Entrance:
    """The part of a manifest's values that is about entering; faults go to the reader."""
    return Entrance(
        variables=tuple(_variables(reader, data)),
        aliases=tuple(_lines(reader, data, "aliases")),
        scripts=tuple(_lines(reader, data, "scripts")),
        persist=_persist(reader, data),
    )


def _variables(reader: Reader, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    table = reader.table(data, "env")
    reader.enter("env")
    for name, value in sorted(table.items()):
        if not VARIABLE.fullmatch(name):
            reader.fault(name, f"env: {name[:80]!r} cannot be the name of a variable")
        elif CODE.fullmatch(name):
            reader.fault(
                name,
                f"env: {name} would change every program without anybody seeing it; "
                f"set it where it is needed: a script with env {name}=… COMMAND",
            )
        elif OURS.fullmatch(name):
            reader.fault(name, f"env: {name} is set by whoever enters, or by Dolmen")
        elif not isinstance(value, str):
            reader.fault(name, f"env: the value of {name} is not a string")
        elif "\0" in value:
            reader.fault(name, f"env: the value of {name} has a NUL character")
        else:
            yield name, value
    reader.enter("")


def _lines(reader: Reader, data: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    table = reader.table(data, key)
    reader.enter(key)
    for name, value in sorted(table.items()):
        if not NAME.fullmatch(name):
            reader.fault(
                name, f"{key}: {name[:80]!r} cannot be a name; use letters, digits, . _ : -"
            )
        elif not isinstance(value, str) or not value.strip() or "\0" in value:
            reader.fault(name, f"{key}: {name} is not a command line for sh")
        else:
            yield name, value.strip()
    reader.enter("")


def _persist(reader: Reader, data: dict[str, Any]) -> tuple[str, ...]:
    paths = reader.strings(
        data, "persist", PERSISTED, "an absolute path of a directory, without . and .."
    )
    good: list[str] = []
    for path in sorted(set(paths)):
        top, _, rest = path.lstrip("/").partition("/")
        depth = rest.count("/") + 1 if rest else 0
        if depth < _TOPS.get(top, 99) or _TAKEN.fullmatch(path):
            reader.fault(
                path,
                f"persist: {path} cannot be kept writable; directories below /var/lib, /var/cache, "
                "/var/log, /var/spool, /srv, /opt and /etc can",
            )
        elif any(path.startswith(f"{other}/") for other in good):
            reader.fault(path, f"persist: {path} lies below another path of the list")
        else:
            good.append(path)
    return tuple(good)
