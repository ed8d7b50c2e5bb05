"""OpenPGP signatures of commits, where libostree keeps them: the detached metadata ostree.gpgsigs.

libostree signs, through gpgme; gpgv verifies, because it believes the keyrings that it is given and
no others (libostree adds those of the system), starts no agent and reads no configuration. What the
one writes the other accepts. Only the commit itself is looked at: it names its tree by checksum,
and `fsck` says whether the tree is there and whole.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.repository import History, failure, told
from dolmen.store.history.revisions import resolve, variant
from dolmen.store.objects import digest
from dolmen.support.errors import ArchiveError, HostError, StoreError, UsageError
from dolmen.support.run import CLEAN_ENVIRONMENT, run

KEY = "ostree.gpgsigs"
_SECONDS = 60
#: What gpgv says of a signature (doc/DETAILS of GnuPG) -> what it is. Each comes once a signature.
_STATES = {
    "GOODSIG": "valid",
    "EXPSIG": "signature-expired",
    "EXPKEYSIG": "key-expired",
    "REVKEYSIG": "key-revoked",
    "BADSIG": "signature-bad",
    "ERRSIG": "key-unknown",
}
#: What is told when there are several: the worst first.
_ORDER = ("signature-bad", "key-revoked", "key-expired", "signature-expired", "key-unknown")
_WORDS = {
    "signature-bad": "a signature does not fit the commit, or is damaged",
    "key-revoked": "it was signed by a key that was revoked",
    "key-expired": "it was signed by a key that has expired",
    "signature-expired": "its signature has expired",
    "key-unknown": "it was signed by a key that is not in the keyring",
}


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: `state` is "valid" or a reason; `key` the fingerprint of the primary key, or
    what is known of it; `created` in seconds of UTC."""

    state: str
    key: str
    user: str = ""
    created: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A commit and its signatures, of which enough are valid."""

    checksum: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count: keyring files, directories of them, GnuPG's homes, remotes."""

    keyrings: Sequence[Path] = ()
    directories: Sequence[Path] = ()
    homes: Sequence[Path] = ()
    remotes: Sequence[str] = ()


def sign(
    history: History, revision: str, keys: Sequence[str], *, home: Path | None = None
) -> tuple[str, list[str]]:
    """Sign a commit with secret keys (by id, fingerprint or address); the commit, and those that
    are new.

    `home`: GnuPG's directory (None: its own choice). A key that has signed is not asked again.
    Raises StoreError ("no-revision", "no-secret-key", "store-read-only", …).
    """
    checksum = resolve(history, revision)
    data = _commit(history, checksum)
    new: list[str] = []
    where = None if home is None else os.fspath(home.absolute())
    for key in keys:
        prints = _fingerprints(key, where)
        there = [
            one.key for blob in _signatures(history, checksum) for one in _judge(data, blob, ())
        ]
        # libostree looks only for those that the system's own keyrings know.
        if any(print_.endswith(known) for print_ in prints for known in there if known):
            continue
        with history.changing() as repo:
            try:
                repo.sign_commit(checksum, key, where, None)
            except GLib.Error as error:
                raise _no_secret(key, where, error.message) from None
        new.append(key)
    return checksum, new


def _fingerprints(key: str, home: str | None) -> list[str]:
    """Of a secret key and its subkeys, as gpg knows it."""
    env = {**CLEAN_ENVIRONMENT}
    env |= {name: os.environ[name] for name in ("HOME", "GNUPGHOME") if name in os.environ}
    argv = ["gpg", "--batch", "--with-colons", *(["--homedir", home] if home else [])]
    done = run([*argv, "--list-secret-keys", "--", key], timeout=_SECONDS, env=env)
    if not done.ok:
        lines = done.stderr.decode(errors="replace").splitlines()
        raise _no_secret(key, home, lines[-1] if lines else "gpg does not know it")
    lines = done.stdout.decode(errors="replace").splitlines()
    return [line.split(":")[9] for line in lines if line.startswith("fpr:")]


def _no_secret(key: str, home: str | None, why: str) -> StoreError:
    return StoreError(
        f"{key[:80]} cannot sign: {why}",
        reason="no-secret-key",
        context=home,
        hint="gpg --list-secret-keys",
    )


def unsign(history: History, revision: str, keys: Sequence[str]) -> tuple[str, int]:
    """Take away the signatures of keys (ids or fingerprints); the commit, and how many there were.

    Raises StoreError ("no-revision", "not-signed" where no key of these has signed).
    """
    checksum = resolve(history, revision)
    wanted = tuple(key.upper().removeprefix("0X") for key in keys)
    data = _commit(history, checksum)
    there = _signatures(history, checksum)
    kept = [
        blob
        for blob in there
        if not any(one.key.endswith(wanted) for one in _judge(data, blob, ()))
    ]
    if len(kept) == len(there):
        raise _unsigned(checksum, f"none of these keys has signed {checksum[:12]}")
    with history.changing() as repo:
        found = repo.read_commit_detached_metadata(checksum, None)[1]
        pairs = dict(_pairs(found))
        del pairs[KEY]
        if kept:
            pairs[KEY] = GLib.Variant("aay", kept)
        repo.write_commit_detached_metadata(
            checksum, GLib.Variant("a{sv}", pairs) if pairs else None, None
        )
    return checksum, len(there) - len(kept)


def verify(
    history: History,
    revision: str,
    trust: Trust,
    *,
    keys: Sequence[str] = (),
    least: int = 1,
) -> Verified:
    """Check the signatures of a commit: at least `least` different keys must have signed it.

    `keys`: these must all be among them (ids or fingerprints). Raises ArchiveError ("not-signed",
    "signature-bad", "signature-expired", "key-unknown", "key-expired", "key-revoked"), StoreError
    ("no-revision", "object-damaged", "no-keyring"), HostError ("program-missing").
    """
    checksum = resolve(history, revision)
    data = _commit(history, checksum)
    rings = list(_keyrings(history, trust))
    found = [one for blob in _signatures(history, checksum) for one in _judge(data, blob, rings)]
    valid = {one.key for one in found if one.state == "valid"}
    lacking = [k for k in keys if not any(v.endswith(k.upper().removeprefix("0X")) for v in valid)]
    if len(valid) < least or lacking:
        raise _refused(checksum, found, len(valid), least, lacking)
    return Verified(checksum, tuple(found))


def module(kind: str, keys: Sequence[str], *, secret: bool = False) -> Any:
    """One of libostree's own kinds of signatures, with its keys; Debian's has none but one for
    tests. Raises StoreError."""
    with told():
        found = OSTree.Sign.get_by_name(kind)
        for key in keys:
            value = GLib.Variant("s", key)
            if secret:
                found.set_sk(value)
            else:
                found.add_pk(value)
    return found


def sign_by(history: History, revision: str, kind: str, keys: Sequence[str]) -> str:
    """Sign a commit in one of libostree's own ways; the commit."""
    checksum = resolve(history, revision)
    for key in keys:
        with history.changing() as repo:
            module(kind, [key], secret=True).commit(repo, checksum, None)
    return checksum


def verify_by(history: History, revision: str, kind: str, keys: Sequence[str]) -> str:
    """Ask libostree for such a signature; what it says. Raises ArchiveError ("signature-bad")."""
    checksum = resolve(history, revision)
    for key in keys:
        try:
            good, words = module(kind, [key]).commit_verify(history.repo, checksum, None)
        except GLib.Error:
            continue
        if good:
            return str(words or "")
    raise ArchiveError(
        "No valid signatures found", reason="signature-bad", hint="dolmen store show COMMIT"
    )


def _refused(
    checksum: str, found: list[Signature], valid: int, least: int, lacking: list[str]
) -> ArchiveError:
    if not found:
        return _unsigned(checksum, f"the commit {checksum[:12]} is not signed")
    states = {one.state for one in found}
    reason = next((state for state in _ORDER if state in states), "not-signed")
    words = _WORDS.get(reason, "too few keys have signed it")
    if lacking:
        words = f"the key {lacking[0][:40]} has not signed it; {words}"
    elif valid:
        count = f"{valid} of {least} keys have signed it"
        words = f"{count}; {words}" if reason != "not-signed" else count
    return ArchiveError(
        f"the commit {checksum[:12]} is refused: {words}",
        reason=reason,
        details=[f"{one.state}: {one.key} {one.user}".rstrip() for one in found[:20]],
        hint=f"dolmen store show --print-detached-metadata-key={KEY} {checksum[:12]}",
    )


def _unsigned(checksum: str, words: str) -> ArchiveError:
    return ArchiveError(
        words, reason="not-signed", hint=f"dolmen store sign --key-id=KEY {checksum[:12]}"
    )


def _commit(history: History, checksum: str) -> bytes:
    data = bytes(variant(history, checksum).get_data_as_bytes().get_data())
    if digest(data) != checksum:
        raise failure(f"Corrupted commit {checksum}")
    return data


def _pairs(found: OSTree.Variant) -> Iterator[tuple[str, GLib.Variant]]:
    for number in range(found.n_children() if found is not None else 0):
        pair = found.get_child_value(number)
        yield pair.get_child_value(0).get_string(), pair.get_child_value(1).get_variant()


def _signatures(history: History, checksum: str) -> list[bytes]:
    with told():
        found = history.repo.read_commit_detached_metadata(checksum, None)[1]
    value = dict(_pairs(found)).get(KEY)
    if value is None or value.get_type_string() != "aay":
        return []
    items = (value.get_child_value(number) for number in range(value.n_children()))
    return [bytes(item.get_data_as_bytes().get_data() or b"") for item in items]


def _judge(data: bytes, blob: bytes, rings: Sequence[Path]) -> list[Signature]:
    """The signatures in one blob (there is one, in what libostree writes)."""
    with tempfile.TemporaryDirectory(prefix="dolmen-gpgv-") as name:
        work = Path(name)
        (work / "data").write_bytes(data)
        (work / "sig").write_bytes(blob)
        argv = ["gpgv", "--status-fd", "1", "--homedir", name]
        for number, ring in enumerate(rings or [Path(os.devnull)]):
            argv += ["--keyring", str(_binary(ring, work / f"ring{number}"))]
        done = run([*argv, str(work / "sig"), str(work / "data")], timeout=_SECONDS)
    if done.timed_out:
        raise HostError("gpgv does not end", reason="program-failed", hint="gpgv --version")
    return _read(done.stdout.decode(errors="replace")) or [Signature("signature-bad", "")]


def _read(text: str) -> list[Signature]:
    found: list[Signature] = []
    for line in text.splitlines():
        tag, _, rest = line.removeprefix("[GNUPG:] ").partition(" ")
        words = rest.split()
        if tag in _STATES and words:
            user = "" if tag == "ERRSIG" else rest.partition(" ")[2]
            # ERRSIG: keyid, two algorithms, class, time, code (9: no key), fingerprint
            state = _STATES[tag]
            if tag == "ERRSIG" and (len(words) < 6 or words[5] != "9"):
                state = "signature-bad"
            known = tag == "ERRSIG" and len(words) > 6 and words[6] != "-"
            found.append(Signature(state, words[6 if known else 0], user))
        elif tag == "VALIDSIG" and found and len(words) > 2:
            last = found.pop()
            found.append(Signature(last.state, words[-1], last.user, int(words[2])))
    # GOODSIG alone is not enough: VALIDSIG follows what is good, with the fingerprint.
    return [
        Signature("signature-bad", one.key, one.user)
        if one.state == "valid" and one.created is None
        else one
        for one in found
    ]


def _binary(ring: Path, scratch: Path) -> Path:
    """The keyring as gpgv reads it: what is armoured is unpacked."""
    if not ring.is_file():
        return ring
    data = ring.read_bytes()
    if not data.lstrip().startswith(b"-----BEGIN PGP"):
        return ring.absolute()
    blocks = re.findall(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP", data, re.DOTALL)
    whole = b""
    for block in blocks:
        lines = [line.strip() for line in block.strip().splitlines()]
        head = lines.index(b"") + 1 if b"" in lines else 0
        lines = [line for line in lines[head:] if line and not line.startswith(b"=")]
        try:
            whole += base64.b64decode(b"".join(lines), validate=True)
        except ValueError:
            raise _no_keyring(ring, "is damaged") from None
    scratch.write_bytes(whole)
    return scratch


def _keyrings(history: History, trust: Trust) -> Iterator[Path]:
    if not (trust.keyrings or trust.directories or trust.homes or trust.remotes):
        raise UsageError(
            "say whose signatures count", hint="dolmen store verify --keyring=FILE COMMIT"
        )
    for ring in trust.keyrings:
        if not ring.is_file():
            raise _no_keyring(ring, "is not there")
        yield ring
    for directory in trust.directories:
        if not directory.is_dir():
            raise _no_keyring(directory, "is not there")
        yield from sorted(
            path for path in directory.iterdir() if path.suffix in (".gpg", ".asc", ".pgp", ".kbx")
        )
    for home in trust.homes:
        rings = [home / name for name in ("pubring.kbx", "pubring.gpg")]
        there = [ring for ring in rings if ring.is_file()]
        if not there:
            raise _no_keyring(home, "has no public keyring")
        yield from there
    for remote in trust.remotes:
        yield from _remote_keyrings(history, remote)


def _remote_keyrings(history: History, remote: str) -> Iterator[Path]:
    """The keys that were imported for a remote, and those of its `gpgkeypath`."""
    with told():
        history.repo.remote_get_url(remote)  # whether there is one
        _, paths = history.repo.get_remote_list_option(remote, "gpgkeypath")
    found = [history.path / f"{remote}.trustedkeys.gpg"]
    for path in map(Path, paths or ()):
        found += sorted(path.iterdir()) if path.is_dir() else [path]
    there = [path for path in found if path.is_file()]
    if not there:
        raise _no_keyring(found[0], "is not there: the remote has no keys")
    yield from there


def _no_keyring(path: Path, what: str) -> StoreError:
    return StoreError(
        f"the keyring {path} {what}",
        reason="no-keyring",
        hint="gpg --export KEY > FILE, and: dolmen store verify --keyring=FILE COMMIT",
    )
