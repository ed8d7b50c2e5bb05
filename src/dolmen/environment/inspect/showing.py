"""All about one package: from the environment where it is there, else from the archive."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dolmen.archive import Catalogue, Offer, catalogue
from dolmen.environment.inspect.view import View
from dolmen.environment.inspect.why import why
from dolmen.model import LockedPackage
from dolmen.support.errors import ArchiveError, SolveError
from dolmen.support.events import Emit, Notice, ignore

RELATIONS = (
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Provides",
    "Conflicts",
    "Breaks",
    "Replaces",
)
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Version:
    """One version that the archive offers."""

    version: str
    architecture: str
    suite: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A package; sizes in bytes. `description` is the whole of it where that is known, else the
    synopsis. `why`: the packages from a request to this one (only itself where it was requested);
    empty where it is not installed."""

    name: str
    version: str
    architecture: str
    suite: str
    installed: bool
    requested: bool
    essential: bool
    section: str
    source: str
    maintainer: str
    homepage: str
    size: int
    installed_size: int
    description: str
    relations: tuple[tuple[str, str], ...]
    why: tuple[str, ...]
    versions: tuple[Version, ...]
    providers: tuple[str, ...] = ()


def show(seen: View, name: str, *, refresh: bool = False, emit: Emit = ignore) -> Shown:
    """Describe a package, also one that others provide.

    Raises SolveError ("unknown-package", "virtual-package") and, where the package is not
    installed, ArchiveError.
    """
    bare, _, architecture = name.partition(":")
    package = None
    if seen.lock_text is not None:
        package = seen.lock().find(bare, architecture or None)
    try:
        offered = catalogue(seen.manifest, state=seen.state, refresh=refresh, emit=emit)
    except ArchiveError:
        if package is None or refresh:
            raise
        # everything about it is in the lock; without a network its other versions stay unknown
        return _installed(seen, package, [])
    offers = [o for o in offered.offers(bare) if architecture in ("", o.architecture)]
    if package is not None:
        return _installed(seen, package, offers)
    if not offers:
        return _virtual(seen, offered, bare, name)
    fields = _fields(offered.stanza(offers[0]))
    return _offered(fields, _whole(seen, fields, refresh, emit), offers)


def _virtual(seen: View, offered: Catalogue, bare: str, name: str) -> Shown:
    providers = offered.providers(bare)
    if not providers:
        from dolmen.archive.elsewhere import elsewhere
        from dolmen.archive.requests import suggestions

        close = suggestions(bare, offered.names())
        places = elsewhere(seen.state, bare)
        raise SolveError(
            f"there is no package {name[:80]}",
            reason="unknown-package",
            details=[*map(str, places), *([f"did you mean {', '.join(close)}?"] if close else [])],
            hint=f"dolmen show --suite {places[0].suite} {bare}"
            if places
            else f"dolmen show {close[0]}"
            if close
            else f"dolmen search {bare[:80]}",
        )
    return Shown(
        name=bare,
        version="",
        architecture="",
        suite="",
        installed=False,
        requested=False,
        essential=False,
        section="",
        source="",
        maintainer="",
        homepage="",
        size=0,
        installed_size=0,
        description="",
        relations=(),
        why=(),
        versions=(),
        providers=tuple(offer.name for offer in providers),
    )


def _installed(seen: View, package: LockedPackage, offers: list[Offer]) -> Shown:
    fields = _status(seen, package)
    lock = seen.lock()
    found = why(seen, f"{package.name}:{package.architecture}", proofs=False)
    chain = found.chains[0] if found.chains else None
    steps = (chain.start, *(step.needs for step in chain.steps)) if chain else (package.name,)
    return Shown(
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        suite="" if package.is_local else lock.releases[package.release].suite,
        installed=True,
        requested=package.requested,
        essential=package.essential,
        section=package.get("Section"),
        source=package.source or package.name,
        maintainer=fields.get("Maintainer", ""),
        homepage=fields.get("Homepage", ""),
        size=package.size,
        installed_size=package.installed_size * 1024,
        description=fields.get("Description", "") or package.get("Description"),
        relations=tuple((field, package.get(field)) for field in RELATIONS if package.get(field)),
        why=(package.name,) if package.requested or package.essential else steps,
        versions=_versions(offers),
    )


def _whole(seen: View, fields: dict[str, str], refresh: bool, emit: Emit) -> str:
    """The whole description, from the archive's index of them; empty where that cannot be had."""
    if "Description-md5" not in fields or "\n" in fields.get("Description", ""):
        return ""
    from dolmen.archive.descriptions import description

    name, md5 = fields.get("Package", ""), fields["Description-md5"]
    try:
        return description(seen.manifest, name, md5, state=seen.state, refresh=refresh, emit=emit)
    except ArchiveError as error:
        emit(Notice(f"{error.message}: only the first line of the description is shown"))
        return ""


def _offered(fields: dict[str, str], whole: str, offers: list[Offer]) -> Shown:
    offer = offers[0]
    return Shown(
        name=offer.name,
        version=offer.version,
        architecture=offer.architecture,
        suite=offer.suite,
        installed=False,
        requested=False,
        essential=fields.get("Essential") == "yes",
        section=fields.get("Section", ""),
        source=fields.get("Source", offer.name),
        maintainer=fields.get("Maintainer", ""),
        homepage=fields.get("Homepage", ""),
        size=_number(fields.get("Size", "")),
        installed_size=offer.installed_size * 1024,
        description=_unfolded(whole) or fields.get("Description", "") or offer.description,
        relations=tuple((field, fields[field]) for field in RELATIONS if fields.get(field)),
        why=(),
        versions=_versions(offers),
    )


def _versions(offers: list[Offer]) -> tuple[Version, ...]:
    return tuple(Version(o.version, o.architecture, o.suite, o.chosen) for o in offers)


def _status(seen: View, package: LockedPackage) -> dict[str, str]:
    """The package's stanza in the image's dpkg database, which has the whole description."""
    tree = seen.tree()
    if tree is None:
        return {}
    try:
        text = "\n" + (tree / "var/lib/dpkg/status").read_text(errors="replace")
    except OSError:
        return {}
    at = text.find(f"\nPackage: {package.name}\n")
    while at >= 0:
        fields = _fields(text[at + 1 : text.find("\n\n", at + 1)])
        if fields.get("Architecture") == package.architecture:
            return fields
        at = text.find(f"\nPackage: {package.name}\n", at + 1)
    return {}


def _fields(stanza: str) -> dict[str, str]:
    """A stanza, read leniently; continuation lines keep their newlines, " ." is an empty line."""
    found: dict[str, str] = {}
    last = ""
    for line in stanza.split("\n"):
        if line[:1] in (" ", "\t") and last:
            found[last] += "\n" + ("" if line.strip() == "." else line[1:])
            continue
        match = _FIELD.fullmatch(line)
        if match is not None:
            last = match[1]
            found[last] = match[2]
    return found


def _unfolded(text: str) -> str:
    """A field's value as `_fields` reads it."""
    return _fields(f"Description: {text}").get("Description", "") if text else ""


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0
