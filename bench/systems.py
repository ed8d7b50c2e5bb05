"""A machine's upgrade beside apt's download of the same packages; deploying, going back, room.

The first image is made from the suite as it was released, the second with all that has come since
(the host's own sources): what differs is what a machine that sleeps since the release has to fetch.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Result, Sample, fresh_filesystem, used_bytes
from bench.setting import Place, Setting
from dolmen.archive import default_sources
from dolmen.model import Source, parse_lock

_REF = "bench/main"
_SYSTEM = """
[system]
kernel = "linux-image-cloud-amd64"

[system.update]
url = "{url}"
ref = "bench/main"
key = "key.gpg"
"""
_DEPLOYMENTS = 10


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


def measure(setting: Setting) -> dict[str, Result]:
    """All rows, on one file system."""
    with fresh_filesystem(setting.filesystem) as root:
        return _Machine(Place(setting, root)).measure()


class _Machine:
    """A publisher, a server and a sysroot in a directory; nothing is booted."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.root
        self.sysroot = place.root / "sysroot"
        self.archive = place.root / "www"
        self.signing = ("--sign=bench@dolmen.test", f"--gpg-homedir={place.root / 'keys'}")

    def measure(self) -> dict[str, Result]:
        self.archive.mkdir()
        with _served(self.archive) as url:
            before, after = self.images(url)
            self.make_sysroot()
            self.system("rebase", url, _REF, f"--key={before / 'key.gpg'}")
            self.publish(after)
            found = {"system upgrade": self.upgrade(before, after)}
        found["system deploy"] = self.deploy()
        found["system rollback"] = self.rollback()
        found["system room"] = self.room()
        return found

    def images(self, url: str) -> tuple[Path, Path]:
        suite = self.place.setting.suite
        sources = default_sources(suite)
        (self.root / "keys").mkdir(mode=0o700)
        gpg = ("gpg", "--homedir", str(self.root / "keys"), "--batch", "--passphrase", "")
        self.quiet(*gpg, "--quick-generate-key", "bench@dolmen.test", "ed25519", "sign", "never")
        made = []
        for name, suites in (("before", {suite}), ("after", None)):
            directory = self.root / name
            directory.mkdir()
            self.quiet(*gpg, "--output", str(directory / "key.gpg"), "--export")
            stanzas = "".join(_stanza(source, suites) for source in sources)
            text = f'suite = "{suite}"\npackages = ["openssh-server", "curl"]\n{stanzas}'
            (directory / "dolmen.toml").write_text(text + _SYSTEM.format(url=url))
            self.place.run_dolmen(directory, "lock")
            made.append(directory)
        self.publish(made[0])
        return made[0], made[1]

    def publish(self, directory: Path) -> None:
        self.place.run_dolmen(
            directory, "system", "publish", str(self.archive), _REF, *self.signing
        )

    def make_sysroot(self) -> None:
        self.sysroot.mkdir()
        self.quiet("ostree", "admin", "init-fs", str(self.sysroot))
        self.quiet("ostree", "admin", "os-init", f"--sysroot={self.sysroot}", "debian")
        config = f"--repo={self.sysroot / 'ostree/repo'}"
        self.quiet("ostree", "config", config, "set", "sysroot.bootloader", "none")

    def upgrade(self, before: Path, after: Path) -> Result:
        """One run: the second would find everything there."""
        result = Result("an upgrade over HTTP", "bytes near apt's", peer_name="apt's download")
        old, new = (parse_lock((one / "dolmen.lock").read_text()) for one in (before, after))
        known = {p.sha256 for p in old.packages}
        changed = [p for p in new.packages if p.sha256 not in known]
        result.figures["packages changed"] = len(changed)
        result.figures["apt, MB"] = sum(p.size for p in changed) / 1e6
        preview = json.loads(self.said("upgrade", "--preview", "--json"))
        result.figures["upgrade, MB"] = preview["size"] / 1e6
        result.figures["objects"] = preview["objects"]
        result.dolmen.append(self.system("upgrade"))
        result.figures["load"] = os.getloadavg()[0]
        debs = self.root / "debs"
        debs.mkdir()
        names = [f"{p.name}={p.version}" for p in changed]
        result.peer.append(self.place.run(["apt-get", "download", "-qq", *names], debs))
        shutil.rmtree(debs)
        return result

    def deploy(self) -> Result:
        """Of an image that is here: every object is read and hashed, which ostree does not do."""
        result = Result(
            "deploying an image that is here", "seconds", peer_name="ostree admin deploy"
        )
        for _ in range(self.place.setting.repeat):
            result.dolmen.append(self.system("deploy", f"dolmen:{_REF}"))
            argv = ["ostree", "admin", "deploy", f"--sysroot={self.sysroot}", f"dolmen:{_REF}"]
            result.peer.append(self.place.run(argv, self.root))
        return result

    def rollback(self) -> Result:
        result = Result("going back", "below a second")
        for _ in range(self.place.setting.repeat):
            result.dolmen.append(self.system("rollback"))
        return result

    def room(self) -> Result:
        """Ten deployments with other kernel arguments, beside one."""
        result = Result("room of ten deployments", "little more than of one")
        self.system("cleanup", "--rollback", "--kept")
        result.figures["one, MB"] = used_bytes(self.sysroot) / 1e6
        for number in range(_DEPLOYMENTS - 1):
            self.system("deploy", f"dolmen:{_REF}", f"--karg=n={number}", f"--keep={_DEPLOYMENTS}")
        result.figures["ten, MB"] = used_bytes(self.sysroot) / 1e6
        return result

    def system(self, verb: str, *words: str) -> Sample:
        return self.place.run_dolmen(self.root, "system", verb, f"--sysroot={self.sysroot}", *words)

    def said(self, verb: str, *words: str) -> bytes:
        argv = [str(self.place.setting.dolmen), "system", verb, f"--sysroot={self.sysroot}", *words]
        return subprocess.run(
            argv, env=self.place.environment, check=True, capture_output=True, timeout=600
        ).stdout

    def quiet(self, *argv: str) -> None:
        subprocess.run(
            argv, env=self.place.environment, check=True, capture_output=True, timeout=600
        )


def _stanza(source: Source, suites: set[str] | None) -> str:
    kept = [name for name in source.suites if suites is None or name in suites]
    kept = [name for name in kept if not name.endswith("-backports")]
    if not kept:
        return ""
    lines = [f"uris = {json.dumps(list(source.uris))}", f"suites = {json.dumps(kept)}"]
    if source.signed_by:
        lines.append(f"signed-by = {json.dumps(source.signed_by)}")
    return "[[sources]]\n" + "\n".join(lines) + "\n"


@contextmanager
def _served(directory: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
