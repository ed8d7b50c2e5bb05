"""One run of libapt's downloader over the indexes, and what went wrong in our words (worker)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apt_pkg

from dolmen.archive.marks import went_backwards
from dolmen.archive.release import Release, date_stamp
from dolmen.archive.storage import disk_full
from dolmen.support.clock import monotonic
from dolmen.support.errors import ArchiveError, DolmenError
from dolmen.support.events import Emit, Phase, PhaseProgress

#: A mirror that sends fewer bytes than this in the time allowed is given up.
SLOW_BYTES = 4096

_EVENT_SECONDS = 0.1
_JOINED = re.compile(r", (?=[EW]:)")
_ADVICE = re.compile(r"Updating from such a repository|See apt-secure")

# libapt's messages in the C locale, first match wins; its fetchers send no error codes
_FAULTS: Sequence[tuple[str, str, str]] = (
    (r"EXPKEYSIG|KEYEXPIRED", "key-expired", "is signed by a key that has expired"),
    (r"REVKEYSIG", "key-revoked", "is signed by a key that was revoked"),
    (r"NO_PUBKEY|public key is not available", "key-unknown", "is signed by an unknown key"),
    (r"BADSIG|not valid: BADSIG", "signature-bad", "carries a signature that does not fit it"),
    (r"is expired", "release-expired", "has expired: a stale mirror, or someone replaying it"),
    (r"not valid yet|is not valid yet", "release-future", "is dated in the future"),
    (r"is no longer signed|is not signed|NODATA|NOSPLIT", "release-unsigned", "is not signed"),
    (
        r"changed its '\w+' value",
        "release-changed",
        "says that it is another archive than it was before",
    ),
    (
        r"No Hash entry|not considered strong|Weak hash|insufficient|are too weak",
        "weak-hashes",
        "offers no hash that is strong enough",
    ),
    (
        r"Hash Sum mismatch|unexpected size|Writing more data than expected|does not match",
        "hash-mismatch",
        "serves files that do not match its signed Release file",
    ),
    (r"does not have a Release file", "no-such-suite", "has no such suite"),
    (r"\b404\b|\b410\b|File not found|Not Found", "mirror-gone", "no longer has this file"),
    (r"No space left|Disk quota", "disk-full", ""),
)

_HINTS: Mapping[str, str] = {
    "release-expired": "name another mirror, or check this host's clock: date -u",
    "release-future": "check this host's clock: date -u",
    "key-expired": "apt install debian-archive-keyring, then try again",
    "key-unknown": "name the archive's keyring in dolmen.toml: signed-by",
    "release-unsigned": "name another mirror; an unsigned archive is never used",
    "release-changed": "if that is right, forget what was known: rm -r {root}",
    "hash-mismatch": "try again in some minutes (a mirror in mid-sync), or name another mirror",
    "no-such-suite": "check the suite in dolmen.toml; the default is: dolmen init --suite NAME",
    "network": "check the connection, and http_proxy; with an index fetched before, solve offline",
}


class _Progress:
    """libapt's callbacks (apt_pkg.AcquireProgress by shape)."""

    def __init__(self, slow: float, emit: Emit) -> None:
        self.served: dict[str, str] = {}
        self.failures: list[tuple[str, str]] = []
        self.stalled = False
        self._slow = slow
        self._emit = emit
        self._told = 0.0
        self._mark = (monotonic(), 0.0)
        self._last = ""

    def done(self, item: Any) -> None:
        """A file arrived; Release files are still unverified and in partial/ now."""
        path = Path(item.owner.destfile)
        if path.name.endswith("InRelease") and path.parent.name == "partial" and path.is_file():
            self.served[path.name] = _raw_date(path)

    def fail(self, item: Any) -> None:
        """An item failed; optional ones fail without an error text."""
        if item.owner.error_text:
            self.failures.append((item.uri, item.owner.error_text))

    def fetch(self, item: Any) -> None:
        """An item is being fetched."""
        self._last = item.shortdesc or item.uri

    def ims_hit(self, item: Any) -> None:
        """Not modified since we fetched it."""

    def media_change(self, _media: str, _drive: str) -> bool:
        """There are no media here."""
        return False

    def start(self) -> None:
        """The run begins."""

    def stop(self) -> None:
        """The run ended."""

    def pulse(self, owner: Any) -> bool:
        """Several times a second; False ends the run."""
        now = monotonic()
        current = float(self.current_bytes)
        if now - self._told >= _EVENT_SECONDS:
            self._told = now
            self._emit(
                PhaseProgress(
                    Phase.UPDATE,
                    int(self.current_items),
                    int(self.total_items),
                    int(current),
                    int(self.total_bytes),
                    self._last,
                )
            )
        since, count = self._mark
        if current - count >= SLOW_BYTES or current < count:
            self._mark = (now, current)
        elif now - since > self._slow:
            self.stalled = True
            return False
        return True

    # set by libapt before every pulse
    current_bytes = 0.0
    current_cps = 0.0
    current_items = 0
    elapsed_time = 0
    fetched_bytes = 0.0
    last_bytes = 0.0
    total_bytes = 0.0
    total_items = 0


def acquire(before: Mapping[str, Release], slow: float, emit: Emit) -> int:
    """Fetch all indexes into `Dir::State::lists`; returns the bytes that came over the wire.

    `before`: the Release files that were there, by the name of their file; `slow`: the
    seconds that a mirror may send next to nothing.
    Raises ArchiveError; reasons are those of `_FAULTS`, "network" for everything that the net
    did, and "mirror-went-backwards"; and StoreError ("disk-full").
    """
    progress = _Progress(slow, emit)
    sources: Any = apt_pkg.SourceList()
    sources.read_main_list()
    fetcher: Any = apt_pkg.Acquire(progress)
    fault = ""
    result = fetcher.RESULT_FAILED
    try:
        # not True: that is for --print-uris, and fetches every index twice
        sources.get_indexes(fetcher, False)
        result = fetcher.run(200_000)
    except apt_pkg.Error as error:
        fault = str(error)
    failed = [
        (item.desc_uri, item.error_text)
        for item in fetcher.items
        if item.status in (item.STAT_ERROR, item.STAT_AUTH_ERROR, item.STAT_TRANSIENT_NETWORK_ERROR)
    ]
    if progress.stalled:
        raise ArchiveError(
            f"the mirror sent less than {SLOW_BYTES} bytes in {slow:.0f} s",
            reason="network",
            hint=_HINTS["network"],
        )
    if fault or failed or result != fetcher.RESULT_CONTINUE:
        raise _error(fault, [*failed, *progress.failures])
    for name, release in before.items():
        served = progress.served.get(name, "")
        if served and served < release.date:
            raise went_backwards(release, served, release.date)
    return int(progress.fetched_bytes)


def _error(message: str, failed: Sequence[tuple[str, str]]) -> DolmenError:
    texts = [(uri, text) for uri, text in failed if text] or [("", message)]
    everything = "\n".join([*(text for _uri, text in texts), message])
    pattern, reason, prose = next(
        (fault for fault in _FAULTS if re.search(fault[0], everything)),
        (".", "network", "cannot be reached"),
    )
    uri, text = next(((u, t) for u, t in texts if re.search(pattern, t)), texts[0])
    if reason == "disk-full":
        return disk_full(apt_pkg.config.find_dir("Dir::State::lists"))
    shown = re.sub(r"^[a-z]+:(?=/)(?!//)", "", uri) or "the archive"
    hint = _HINTS.get(reason)
    if hint is not None:
        hint = hint.format(root=apt_pkg.config.find_dir("Dir::State::lists").rstrip("/"))
    context = _first_line(text or message)
    return ArchiveError(
        f"{shown} {prose}",
        reason=reason,
        context=context,
        details=[line for line in told(f"{text}\n{message}") if line != context][:20],
        hint=hint,
    )


def told(message: str) -> list[str]:
    """libapt's messages, which python-apt joins into one, a line each and once.

    Left out is what libapt adds for people who could pass it options.
    """
    lines = [line.strip() for part in message.split("\n") for line in _JOINED.split(part)]
    plain = [re.sub(r"^[EW]:", "", line) for line in lines]
    return [line for line in dict.fromkeys(plain) if line and not _ADVICE.match(line)]


def _raw_date(path: Path) -> str:
    """The Date of a file that apt has yet to verify: a hint, judged only after it was accepted."""
    with path.open("rb") as stream:
        head = stream.read(65536).decode(errors="replace")
    match = re.search(r"^Date: *(.+)$", head, re.MULTILINE)
    return date_stamp(match[1]) if match else ""


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:300]
