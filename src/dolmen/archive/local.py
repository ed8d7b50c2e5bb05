""".debs beside the manifest, solved together with the archive's (runs in the worker).

They come to libapt as a Packages file of their own, `APT::Sources::With` (apt's `--with-source`),
which lasts as long as this process. Their control files are a stranger's, so only the fields that
solving needs are taken over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dolmen.archive.requests import Request
from dolmen.archive.universe import Universe
from dolmen.model import Spec
from dolmen.model.lock import CARRIED_FIELDS
from dolmen.model.package import LOCAL
from dolmen.model.stanza import Stanza, parse_stanzas, render_stanza
from dolmen.support.errors import SolveError
from dolmen.support.files import write_atomic

_FIELDS = (
    "Package",
    "Source",
    "Version",
    "Architecture",
    "Essential",
    "Multi-Arch",
    "Maintainer",
    "Installed-Size",
    *CARRIED_FIELDS,
    "Description",
)


def write_index(root: Path, debs: Sequence[Mapping[str, Any]]) -> Path:
    """Write the Packages file below a source set's directory, in a place of its own.

    Raises SolveError ("bad-deb").
    """
    text = "\n".join(_stanza(deb) for deb in debs)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = root / "local" / name / "Packages"
    if not path.exists() or path.read_bytes() != text.encode():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    return path


def local_requests(universe: Universe, debs: Sequence[Mapping[str, Any]]) -> list[Request]:
    """Every one of them is wanted, in just its version.

    Raises SolveError ("unknown-architecture").
    """
    found: list[Request] = []
    for deb in debs:
        stanza = _control(deb)
        name, version, architecture = (
            _value(stanza, field) for field in ("Package", "Version", "Architecture")
        )
        known = architecture in ("all", *universe.architectures)
        package = universe.package(name, architecture) if known else None
        versions = package.version_list if package is not None else ()
        match = next((v for v in versions if _is_it(universe, v, deb, version)), None)
        if match is None:
            raise SolveError(
                f"{deb['path']} is for {architecture}, but this environment is for "
                f"{' and '.join(universe.architectures)}",
                reason="unknown-architecture",
                context=str(deb["path"]),
                hint=f'in dolmen.toml: foreign-architectures = ["{architecture}"]',
            )
        spec = Spec(name, None if architecture == "all" else architecture, version)
        found.append(Request(spec, package, match))
    return found


def _is_it(universe: Universe, found: Any, deb: Mapping[str, Any], version: str) -> bool:
    if found.ver_str != version:
        return False
    files = [file for file, _ in found.file_list if not file.not_source]
    if any(universe.records.release(file) == LOCAL for file in files):
        return True
    # apt takes two entries of one version for one package only where they are the same file
    return bool(universe.records.section(found).get("SHA256", "").lower() == deb["sha256"])


def _stanza(deb: Mapping[str, Any]) -> str:
    stanza = _control(deb)
    fields = [(name, _value(stanza, name)) for name in _FIELDS]
    fields += [
        ("Filename", str(deb["path"])),
        ("Size", str(deb["size"])),
        ("SHA256", str(deb["sha256"])),
    ]
    return render_stanza(fields)


def _control(deb: Mapping[str, Any]) -> Stanza:
    stanzas, faults = parse_stanzas(str(deb["control"]))
    if (
        len(stanzas) != 1
        or faults
        or not all(_value(stanzas[0], name) for name in ("Package", "Version", "Architecture"))
    ):
        raise SolveError(
            f"{deb['path']} has a control file that is not as Debian's are",
            reason="bad-deb",
            context=json.dumps(faults[0][1]) if faults else "",
            hint=f"dpkg-deb --info {deb['path']}",
        )
    return stanzas[0]


def _value(stanza: Stanza, name: str) -> str:
    field = stanza.find(name)
    return field.value if field is not None else ""
