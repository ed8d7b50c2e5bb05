"""The private apt configuration of one set of sources.

Everything apt reads or writes lies below one directory; the host's apt.conf has no say (a host
may have turned date checks off). Every option that decides about trust is set explicitly, so that
a changed default of libapt changes nothing either. Written as a file for `APT_CONFIG`: values of
`Dir::Etc` are evaluated before the command line's (apt.conf(5)).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.archive.credentials import check_uri, netrc_file
from dolmen.archive.snapshot import effective_uris
from dolmen.archive.sources import keyring
from dolmen.model import Source
from dolmen.support.errors import StoreError
from dolmen.support.files import write_atomic

#: Layout version of a state directory; a change makes apt start anew beside the old one.
_LAYOUT = "1"

_OPTIONS = """\
Dir::Etc::main "/dev/null";
Dir::Etc::parts "{etc}/apt.conf.d";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{etc}/sources.list.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{etc}/preferences.d";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "{etc}/trusted.gpg.d";
Dir::Etc::netrc "{netrc}";
Dir::Etc::netrcparts "{etc}/auth.conf.d";
Dir::Etc "{etc}";
Dir::State "{root}/state";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::State::extended_states "{root}/state/extended_states";
Dir::Cache "{root}/cache";
Dir::Cache::archives "{root}/cache/archives";
Dir::Cache::pkgcache "{root}/cache/pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Log "/dev/null";

APT::Architecture "{architecture}";
APT::Architectures {{ {architectures} }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Solver "internal";
APT::Get::Always-Include-Phased-Updates "true";
APT::Sandbox::User "root";
APT::Cache-Start "67108864";
pkgCacheGen::Essential "native";
pkgCacheGen::ForceEssential ",";

Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::AllowReleaseInfoChange "false";
Acquire::AllowUnsizedPackages "false";
Acquire::Check-Valid-Until "true";
Acquire::Check-Date "true";
Acquire::Max-FutureTime "10";
Acquire::MaxReleaseFileSize "10000000";
Acquire::https::Verify-Peer "true";
Acquire::https::Verify-Host "true";
Acquire::http::Proxy-Auto-Detect "";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Retries "2";
Acquire::Languages {{ "none"; }};
Acquire::PDiffs "false";
Acquire::GzipIndexes "false";
"""

_DIRECTORIES = (
    "cache/archives/partial",
    "etc/apt.conf.d",
    "etc/auth.conf.d",
    "etc/preferences.d",
    "etc/sources.list.d",
    "etc/trusted.gpg.d",
    "state",
)

#: Variables of the user's environment that libapt's methods may see: how to reach the archive.
_PASSED = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TMPDIR",
    "SOURCE_DATE_EPOCH",
)


@dataclass(frozen=True, slots=True)
class SourceSet:
    """Sources as apt will see them, for these architectures (the native one first).

    `sources_text` is a deb822 .sources file; `root` the directory that belongs to it alone.
    """

    root: Path
    architectures: tuple[str, ...]
    sources: tuple[Source, ...]
    sources_text: str

    @property
    def configuration(self) -> Path:
        """The file for `APT_CONFIG`."""
        return self.root / "apt.conf"

    @property
    def pinned(self) -> bool:
        """Whether no source can change, so that an index never needs to be fetched twice."""
        return all(source.snapshot is not None for source in self.sources)

    def environment(self) -> dict[str, str]:
        """The environment for a libapt process: nothing of the user's but the way to the net."""
        from dolmen.support.run import CLEAN_ENVIRONMENT

        return {**CLEAN_ENVIRONMENT, **passed_environment(), "APT_CONFIG": str(self.configuration)}


def passed_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of the environment that decides how archives are reached."""
    return {name: environ[name] for name in _PASSED if environ.get(name)}


def source_set(
    sources: Sequence[Source],
    architectures: Sequence[str],
    state: Path,
    *,
    snapshots: str | None = None,
    locked: frozenset[tuple[str, str]] = frozenset(),
) -> SourceSet:
    """Compute what apt shall see; writes nothing.

    `snapshots` is the snapshot service's base URI. Raises ArchiveError ("no-keyring",
    "no-snapshot-service"), DeclarationError ("password-in-uri") and StoreError ("bad-path").
    """
    text = "\n".join(
        _stanza(source, architectures, effective_uris(source, snapshots)) for source in sources
    )
    digest = hashlib.sha256("\0".join((_LAYOUT, *architectures, text)).encode()).hexdigest()
    root = Path(os.path.abspath(state)) / digest[:16]
    if any(character in str(root) for character in '"\n;\\'):
        raise StoreError(
            f"apt cannot work below {root}: the path holds a quote, semicolon or backslash",
            reason="bad-path",
            hint="choose another place: dolmen --store DIRECTORY",
        )
    return SourceSet(root, tuple(architectures), tuple(sources), text)


def prepare(chosen: SourceSet) -> None:
    """Make the directory of a source set and write its configuration (only what differs)."""
    for name in _DIRECTORIES:
        (chosen.root / name).mkdir(parents=True, exist_ok=True)
    _write(chosen.root / "status", "")
    _write(chosen.root / "etc/sources.list.d/dolmen.sources", chosen.sources_text)
    native = chosen.architectures[0]
    _write(
        chosen.configuration,
        _OPTIONS.format(
            root=chosen.root,
            etc=chosen.root / "etc",
            netrc=_quotable(netrc_file()),
            architecture=native,
            architectures=" ".join(f'"{name}";' for name in chosen.architectures),
        ),
    )


def _quotable(path: Path | None) -> str:
    text = str(path)
    return "/dev/null" if path is None or any(c in text for c in '"\n\\') else text


def _stanza(source: Source, architectures: Sequence[str], uris: Sequence[str]) -> str:
    """One deb822 stanza; what weakens trust is never written, whatever the source came from."""
    # copy:, not file:: apt only links to the files of a file: source, so they could change after
    # they were verified
    for uri in uris:
        check_uri(uri)
    shown = [f"copy:{uri[5:]}" if uri.startswith("file:") else uri for uri in uris]
    lines = [
        "Types: deb",
        f"URIs: {' '.join(shown)}",
        f"Suites: {' '.join(source.suites)}",
        f"Components: {' '.join(source.components)}",
        f"Architectures: {' '.join(architectures)}",
    ]
    key = keyring(source)
    if "\n" in key.strip():
        body = "".join(f"\n {line.strip() or '.'}" for line in key.strip().split("\n"))
        lines.append(f"Signed-By:{body}")
    else:
        lines.append(f"Signed-By: {key.strip()}")
    if source.snapshot is not None:
        # dates are judged against the pinned moment instead, by archive.release
        lines.append("Check-Valid-Until: no")
    elif source.valid_until_max is not None:
        lines.append(f"Valid-Until-Max: {source.valid_until_max}")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        same = path.read_text() == text
    except OSError:
        same = False
    if not same:
        write_atomic(path, text)
