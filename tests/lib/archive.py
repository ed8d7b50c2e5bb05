"""A signed Debian archive of synthetic .debs on loopback, and everything an attacker does to one.

`Archive` writes what a mirror holds (pool, Packages, Release, InRelease, by-hash), signed with a
throw-away key; `serve` puts a directory on an ephemeral port of 127.0.0.1. Attacks are parameters
of `publish` (what the signer signs) and the `tamper_*` methods (what changes after signing).

    with Signer() as signer, serve(tmp_path / "www") as server:
        archive = Archive(server.root / "debian", signer, server.uri + "/debian")
        archive.add(make_deb(tmp_path, "hello"))
        archive.publish("stable")
        archive.source("stable")     # for a manifest
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import lzma
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dolmen.model import Source
from tests.lib.debs import control_fields
from tests.lib.serving import answering

ARCHITECTURE = "amd64"

_HASHES = {"MD5Sum": "md5", "SHA1": "sha1", "SHA256": "sha256"}


class Signer:
    """Throw-away keys in a GNUPGHOME of their own: "good", "unknown" and "expired"."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="dolmen-gpg-"))
        self._made: set[str] = set()

    def __enter__(self) -> Signer:
        return self

    def __exit__(self, *_exc: object) -> None:
        subprocess.run(
            ["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, timeout=30
        )
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def keyring(self) -> Path:
        """Holds what a user would trust: the good key, and the one that has expired since."""
        path = self.home / "trusted.gpg"
        if not path.exists():
            self.key("good")
            self.key("expired")
            path.write_bytes(self._gpg("--export", "good@dolmen.test", "expired@dolmen.test"))
        return path

    def export(self, name: str) -> str:
        """A public key as text, as a Signed-By field may hold it."""
        return self._gpg("--armor", "--export", self.key(name)).decode()

    def key(self, name: str) -> str:
        """Make a key once; its user id."""
        user = f"{name}@dolmen.test"
        if name not in self._made:
            then = ["--faked-system-time", "20200101T000000"] if name == "expired" else []
            expiry = "10d" if name == "expired" else "never"
            self._gpg(*then, "--quick-generate-key", user, "ed25519", "sign", expiry)
            self._made.add(name)
        return user

    def sign(self, text: str, key: str) -> str:
        """An inline signature."""
        user = self.key(key)
        then = ["--faked-system-time", "20200102T000000"] if key == "expired" else []
        out = self._gpg(*then, "--clearsign", "-u", user, input=text.encode())
        return out.decode()

    def _gpg(self, *arguments: str, input: bytes | None = None) -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--yes"]
        argv += ["--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        done = subprocess.run(argv, input=input, check=True, timeout=60, capture_output=True)
        return done.stdout


@dataclass
class Archive:
    """One archive below `root`; every suite has the component main."""

    root: Path
    signer: Signer
    uri: str
    entries: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def add(self, *debs: Path, suite: str = "stable", **changes: str) -> None:
        """Put .debs into the pool and list them in a suite; `changes` falsify index fields."""
        for deb in debs:
            fields = control_fields(deb)
            name = fields["Package"]
            target = self.root / f"pool/main/{name[0]}/{name}" / deb.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(deb, target)
            content = deb.read_bytes()
            entry = dict(fields)
            entry["Filename"] = str(target.relative_to(self.root))
            entry["Size"] = str(len(content))
            entry["SHA256"] = hashlib.sha256(content).hexdigest()
            entry |= {key.replace("_", "-"): value for key, value in changes.items()}
            self.entries.setdefault(suite, []).append({k: v for k, v in entry.items() if v})

    def publish(
        self,
        suite: str = "stable",
        *,
        date: datetime | None = None,
        valid: timedelta | None = None,
        key: str | None = "good",
        hashes: Sequence[str] = ("MD5Sum", "SHA256"),
        fields: Mapping[str, str] | None = None,
        packages: Callable[[str], str] | None = None,
        by_hash: bool = True,
        architectures: Sequence[str] = (ARCHITECTURE,),
        files: Mapping[str, str] | None = None,
        descriptions: str = "",
    ) -> None:
        """Write and sign the indexes of a suite.

        `date`: an hour ago by default; `valid`: added to it for Valid-Until; `key`: None leaves
        the Release file unsigned; `fields` replace fields of the Release file; `packages` may
        change the text of the Packages file before it is hashed; `files`: path -> packages, for
        the Contents index (none: the suite has no such index); `descriptions`: the text of the
        Translation index.
        """
        base = self.root / "dists" / suite
        shutil.rmtree(base, ignore_errors=True)
        contents: dict[str, bytes] = {}
        for architecture in architectures:
            text = "\n".join(
                _stanza(entry)
                for entry in self.entries.get(suite, [])
                if entry["Architecture"] in (architecture, "all")
            )
            text = packages(text) if packages is not None else text
            raw = text.encode(errors="surrogateescape")
            stem = f"main/binary-{architecture}/Packages"
            contents |= {
                stem: raw,
                f"{stem}.xz": lzma.compress(raw, preset=0),
                f"{stem}.gz": gzip.compress(raw, mtime=0),
            }
        if files is not None:
            lines = [f"{path:<55} {packages}\n" for path, packages in sorted(files.items())]
            packed = gzip.compress("".join(lines).encode(), mtime=0)
            contents[f"main/Contents-{architectures[0]}.gz"] = packed
        if descriptions:
            packed = lzma.compress(descriptions.encode(), preset=0)
            contents["main/i18n/Translation-en.xz"] = packed
        for path, content in contents.items():
            _write(base / path, content)
            for kind in ("SHA256", "MD5Sum") if by_hash else ():
                digest = hashlib.new(_HASHES[kind], content).hexdigest()
                _write((base / path).parent / "by-hash" / kind / digest, content)
        moment = date or datetime.now(UTC) - timedelta(hours=1)
        release = {
            "Origin": "Test",
            "Label": "Test",
            "Suite": suite,
            "Codename": suite,
            "Date": _date(moment),
            "Valid-Until": _date(moment + valid) if valid is not None else "",
            "Acquire-By-Hash": "yes" if by_hash else "",
            "Architectures": " ".join(architectures),
            "Components": "main",
            **(fields or {}),
        }
        lines = [f"{name}: {value}" for name, value in release.items() if value]
        for name in hashes:
            lines.append(f"{name}:")
            for path, content in contents.items():
                digest = hashlib.new(_HASHES[name], content).hexdigest()
                lines.append(f" {digest} {len(content)} {path}")
        signed = "\n".join(lines) + "\n"
        if key is None:
            (base / "Release").write_text(signed)
        else:
            (base / "InRelease").write_text(self.signer.sign(signed, key))

    def source(self, *suites: str, **changes: Any) -> Source:
        """The source of a manifest for these suites, trusting the good key."""
        values: dict[str, Any] = {
            "uris": (self.uri,),
            "suites": suites or ("stable",),
            "signed_by": str(self.signer.keyring),
        }
        return Source(**{**values, **changes})

    def inrelease(self, suite: str = "stable") -> Path:
        """The file that holds the signature."""
        return self.root / "dists" / suite / "InRelease"

    def indexes(self, suite: str = "stable") -> list[Path]:
        """All copies of the package index."""
        base = self.root / "dists" / suite / "main"
        return [path for path in base.rglob("*") if path.is_file()]

    def tamper_indexes(self, suite: str = "stable") -> None:
        """Change a bit in every copy of the index, without changing its size."""
        for path in self.indexes(suite):
            _flip(path)

    def tamper_deb(self, name: str) -> None:
        """Change a bit in every .deb of a package."""
        for path in self.debs(name):
            _flip(path)

    def debs(self, name: str) -> list[Path]:
        """The .debs of a package in the pool."""
        return sorted((self.root / "pool").rglob(f"{name}_*.deb"))

    def strip_signature(self, suite: str = "stable") -> None:
        """What is left of an InRelease file when its signature is cut off."""
        path = self.inrelease(suite)
        body = re.sub(r"-----BEGIN PGP SIGNATURE-----.*", "", path.read_text(), flags=re.DOTALL)
        body = re.sub(r"\A-----BEGIN PGP SIGNED MESSAGE-----\n.*?\n\n", "", body, flags=re.DOTALL)
        path.unlink()
        (path.parent / "Release").write_text(body)


@dataclass
class Server:
    """A directory on loopback. `rules`: path -> function that answers instead of the file."""

    root: Path
    uri: str
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    rules: dict[str, Callable[[Handler], None]] = field(default_factory=dict)
    versions: dict[str, list[bytes]] = field(default_factory=dict)
    connections: int = 0

    def modified(self, path: str, content: bytes) -> datetime:
        """A time of modification that tells versions apart although tests take milliseconds."""
        known = self.versions.setdefault(path, [])
        digest = hashlib.sha256(content).digest()
        if not known or known[-1] != digest:
            known.append(digest)
        return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=len(known))

    def count(self, part: str) -> int:
        """How many requests had `part` in their path."""
        return sum(part in path for path, _headers in self.requests)


class Handler(BaseHTTPRequestHandler):
    """GET with ranges and If-Modified-Since; `rule` functions of tests use it to answer."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    served: Server

    def setup(self) -> None:
        """One connection, any number of requests."""
        self.served.connections += 1
        super().setup()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.requests.append((path, {k.lower(): v for k, v in self.headers.items()}))
        rule = self.served.rules.get(path)
        if rule is not None:
            rule(self)
            return
        file = self.served.root / path.lstrip("/")
        if ".." in path or not file.is_file():
            self.answer(404, b"nothing here\n")
            return
        self.file(file)

    do_HEAD = do_GET  # noqa: N815

    def file(self, file: Path) -> None:
        """Answer with a file, or the part that was asked for."""
        content = file.read_bytes()
        modified = self.served.modified(str(file), content)
        since = self.headers.get("If-Modified-Since")
        if since and parsedate_to_datetime(since) >= modified:
            self.answer(304, b"")
            return
        headers = {
            "Last-Modified": format_datetime(modified, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        match = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        if match is None:
            self.answer(200, content, headers)
            return
        start = int(match[1])
        if start >= len(content):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(206, content[start:], headers)

    def answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    def redirect(self, location: str) -> None:
        """Send somebody elsewhere."""
        self.answer(302, b"", {"Location": location})

    def log_message(self, *_args: object) -> None:
        """Tests look at `Server.requests`."""


@contextlib.contextmanager
def serve(root: Path, *, certificate: Path | None = None) -> Iterator[Server]:
    """Serve a directory on a free port of 127.0.0.1 until the block ends.

    With a `certificate` (see `make_certificate`) over TLS, as localhost.
    """
    root.mkdir(parents=True, exist_ok=True)
    server = Server(root, "")
    handler = type("BoundHandler", (Handler,), {"served": server})
    with answering(handler, certificate=certificate) as port:
        secure = certificate is not None
        server.uri = f"https://localhost:{port}" if secure else f"http://127.0.0.1:{port}"
        yield server


def make_certificate(path: Path) -> Path:
    """A certificate for localhost, signed by itself, with its key in one file."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    argv += ["-days", "3", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")


def _stanza(entry: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\n".replace("\n\n", "\n .\n") for name, value in entry.items())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
