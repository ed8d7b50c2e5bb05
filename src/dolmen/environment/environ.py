"""The variables that a generation sets in the user's own shell, by the prompt hook or direnv.

They stand in the generation's file `environ` as `/proc/PID/environ` has them: `NAME=VALUE`, each
ended by a NUL. Shells read it as data; nothing in it is evaluated, and any value survives. Only
variables that do no harm outside the image are written: the launcher sets all of them inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dolmen.support.errors import DeclarationError

ENVIRON = "environ"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: What would change the host's own programs, the shell itself, or our bookkeeping. The hooks know
#: the same names (`_dolmen_may_set`), so that no file of an older Dolmen gets past them.
_KEPT_INSIDE = re.compile(
    r"PATH|IFS|ENV|HOME|SHELL|PWD|OLDPWD|USER|LOGNAME|UID|EUID|PPID|TERM|TMPDIR|LANG|LC_.*|LD_.*"
    r"|BASH.*|SHELLOPTS|PS[0-4]|PROMPT.*|ZDOTDIR|FPATH|CDPATH|path|fpath|cdpath|status|history"
    r"|version|argv|umask|hostname|pipestatus|fish_.*|DOLMEN_.*|DIRENV_.*|PYTHONHOME|PERL5LIB"
    r"|GCONV_PATH|LOCPATH"
)


def render(variables: Mapping[str, str]) -> str:
    """The text of `environ`; raises DeclarationError ("bad-variable", "bad-text")."""
    lines = []
    for name, value in sorted(variables.items()):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise DeclarationError(
                f"{name!r} cannot be the name of an environment variable", reason="bad-variable"
            )
        if "\0" in value:
            raise DeclarationError(
                f"the value of {name} has a NUL character", reason="bad-text", context=name
            )
        if is_for_host(name):
            lines.append(f"{name}={value}\0")
    return "".join(lines)


def is_for_host(name: str) -> bool:
    """Whether a variable is set in the user's own shell, or only inside the image."""
    return _NAME.fullmatch(name) is not None and _KEPT_INSIDE.fullmatch(name) is None
