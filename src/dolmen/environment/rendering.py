"""The scripts and aliases of a manifest as files of a generation: plain sh, nothing to interpret.

`scripts/NAME` runs on the host and becomes the launcher; the sh front executes it for
`dolmen run NAME`. `aliases/NAME` is shown inside as a command, last on PATH.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from dolmen.model import Entrance
from dolmen.sandbox.quoting import quote

ALIASES = "aliases"
SCRIPTS = "scripts"
_USES_ARGUMENTS = re.compile(r"\$(?:[@*#1-9]|\{[@*1-9]|\{#\})")

_SCRIPT = """\
#!/bin/sh
# Script {name} of dolmen.toml; written by Dolmen.
_dolmen_live=${{0%/scripts/*}} _dolmen_options=
case $_dolmen_live in /*) ;; *) _dolmen_live=$PWD/$_dolmen_live ;; esac
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    _dolmen_options="$_dolmen_options $1"
    shift
done
[ $# -eq 0 ] || shift
cd {directory} || exit 125
exec "$_dolmen_live/launch" $_dolmen_options -- /bin/sh -e -c {body} {name} "$@"
"""


def render_files(entrance: Entrance, directory: Path) -> dict[str, bytes]:
    """Contents by name below the generation; `directory` is where scripts run."""
    found: dict[str, bytes] = {}
    for name, text in entrance.scripts:
        script = _SCRIPT.format(
            name=quote(name),
            directory=quote(os.fspath(directory)),
            body=quote(with_arguments(text)),
        )
        found[f"{SCRIPTS}/{name}"] = os.fsencode(script)
    for name, text in entrance.aliases:
        found[f"{ALIASES}/{name}"] = os.fsencode(f"#!/bin/sh\n{with_arguments(text)}\n")
    return found


def with_arguments(text: str) -> str:
    """A command line that hands on what is typed behind its name.

    Appended to a single line that does not speak of its arguments ($@, $1, …) itself; what has
    several lines finds them in "$@". Without arguments the line is read as it was written, since
    `fi "$@"` is an error even where there are none.
    """
    if "\n" in text or _USES_ARGUMENTS.search(text):
        return text
    return f'if [ $# -eq 0 ]; then\n{text}\nexit\nfi\n{text} "$@"'
