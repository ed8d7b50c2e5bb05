"""A machine's upgrade beside apt's for the same packages; deploying, going back, room.

The first image is made from the suite as it was released, the others with all that has come since
(the host's own sources), with the kernel that was there or a new one, too: what differs is what a
machine that sleeps since the release has to fetch. Nothing is booted.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Result, Sample, fresh_filesystem
from bench.setting import Place, Setting
from bench.trees import total
from dolmen.archive import default_sources
from dolmen.model import Source, parse_lock

_REF = "bench/main"
_PACKAGES = ("openssh-server", "curl")
_SYSTEM = """
[system]
kernel = "linux-image-cloud-amd64"

[system.update]
url = "{url}"
ref = "bench/main"
key = "key.gpg"
"""
#: Which kernel an image has, and what its upgrade is called.
_UPGRADES = (("packages", '[pins]\n"linux-*" = "/{suite}"\n'), ("packages and kernel", ""))
_DEPLOYMENTS = 10
#: One more in each of ten images that follow one another.
_MORE = ("tree", "bc", "psmisc", "time", "dos2unix", "ed", "jq", "lsof", "pv")


class _Server:
    """Serves `directory`, which may change, over HTTP on loopback; `sent` counts bytes of files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sent = 0
        self.requests = 0
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # As servers do: without it each file would come 40 ms after its head.
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: object) -> None:
                pass

            def translate_path(self, path: str) -> str:
                self.directory = str(outer.directory)
                return super().translate_path(path)

            def copyfile(self, source: object, outputfile: object) -> None:
                outer.requests += 1
                outer.sent += os.fstat(source.fileno()).st_size  # type: ignore[attr-defined]
                super().copyfile(source, outputfile)  # type: ignore[arg-type]

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Answer for the time of the block."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self._server.shutdown()
            self._server.server_close()


def measure(setting: Setting) -> Iterator[tuple[str, Result]]:
    """All rows, on one file system, each when it is known."""
    with fresh_filesystem(setting.filesystem) as root:
        yield from _Machine(Place(setting, root)).measure()


class _Machine:
    """A publisher, a server and a sysroot in a directory."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.root
        self.sysroot = place.root / "sysroot"
        self.archive = place.root / "www"
        self.signing = ("--sign=bench@dolmen.test", f"--gpg-homedir={place.root / 'keys'}")
        self.server = _Server(self.archive)
        #: Runs of the last upgrade that was measured, without a delta.
        self.upgraded: list[Sample] = []

    def measure(self) -> Iterator[tuple[str, Result]]:
        self.archive.mkdir()
        with self.server.serving() as url:
            self.make_keys()
            released = self.declare("released", url, {self.place.setting.suite})
            self.publish(released)
            self.make_sysroot()
            self.system("rebase", url, _REF, f"--key={released / 'key.gpg'}")
            for name, pins in _UPGRADES:
                text = pins.format(suite=self.place.setting.suite)
                after = self.declare(name.replace(" ", "-"), url, None, text)
                for delta in (False, True):
                    row = f"system upgrade, {name}{', delta' if delta else ''}"
                    yield row, self.upgrade(released, after, delta=delta)
            yield "system deploy", self.deploy()
            yield "system rollback", self.rollback()
            yield "system room, arguments", self.room_of_arguments()
            yield "system room, images", self.room_of_images(url)
            yield "system upgrade, apt", self.apt_upgrade(released)

    def make_keys(self) -> None:
        (self.root / "keys").mkdir(mode=0o700)
        self.gpg("--quick-generate-key", "bench@dolmen.test", "ed25519", "sign", "never")

    def declare(
        self,
        name: str,
        url: str,
        suites: set[str] | None,
        more: str = "",
        add: tuple[str, ...] = (),
    ) -> Path:
        """A locked directory with a system; `suites`: those of the host's that it uses, all."""
        directory = self.root / name
        directory.mkdir()
        self.gpg("--output", str(directory / "key.gpg"), "--export")
        suite = self.place.setting.suite
        stanzas = "".join(_stanza(source, suites) for source in default_sources(suite))
        packages = json.dumps([*_PACKAGES, *add])
        text = f'suite = "{suite}"\npackages = {packages}\n{more}{stanzas}'
        (directory / "dolmen.toml").write_text(text + _SYSTEM.format(url=url))
        self.place.run_dolmen(directory, "lock")
        return directory

    def publish(self, directory: Path, *words: str) -> None:
        archive = str(self.server.directory)
        self.place.run_dolmen(directory, "system", "publish", archive, _REF, *self.signing, *words)

    def make_sysroot(self) -> None:
        self.sysroot.mkdir()
        self.quiet("ostree", "admin", "init-fs", str(self.sysroot))
        self.quiet("ostree", "admin", "os-init", f"--sysroot={self.sysroot}", "debian")
        config = f"--repo={self.sysroot / 'ostree/repo'}"
        self.quiet("ostree", "config", config, "set", "sysroot.bootloader", "none")

    def upgrade(self, before: Path, after: Path, *, delta: bool) -> Result:
        """Each run with a copy of the sysroot, which has the image that was released."""
        result = Result("an upgrade over HTTP", "bytes near apt's", peer_name="apt-get download")
        old, new = (parse_lock((one / "dolmen.lock").read_text()) for one in (before, after))
        known = {p.sha256 for p in old.packages}
        changed = [p for p in new.packages if p.sha256 not in known]
        result.figures["packages changed"] = len(changed)
        result.figures["apt, MB"] = sum(p.size for p in changed) / 1e6
        first, kept = self.server.directory, self.sysroot
        self.server.directory = self.root / "www-next"
        # By hard links: objects never change, and all else is replaced by renaming.
        self.quiet("cp", "-al", str(first), str(self.server.directory))
        self.publish(after, *(("--delta",) if delta else ()))
        names = [f"{p.name}={p.version}" for p in changed]
        for _ in range(self.place.setting.repeat):
            self.sysroot = self.root / "sysroot-next"
            self.quiet("cp", "-a", str(kept), str(self.sysroot))
            self.server.sent = self.server.requests = 0
            result.dolmen.append(self.system("upgrade"))
            result.figures["upgrade, MB"] = self.server.sent / 1e6
            result.figures["requests"] = self.server.requests
            self.drop(self.sysroot)
            debs = self.root / "debs"
            debs.mkdir()
            result.peer.append(self.place.run(["apt-get", "download", "-qq", *names], debs))
            shutil.rmtree(debs)
        shutil.rmtree(self.server.directory)
        self.server.directory, self.sysroot = first, kept
        if not delta:
            self.upgraded = result.dolmen
        return result

    def apt_upgrade(self, before: Path) -> Result:
        """The same by apt in a chroot of the same packages, download and scripts; once."""
        title = "an upgrade of packages and kernel over HTTP"
        result = Result(title, "", self.upgraded, peer_name="apt-get dist-upgrade")
        suite = self.place.setting.suite
        sources = [_stanza(one, {suite}, deb822=True) for one in default_sources(suite)]
        lock = parse_lock((before / "dolmen.lock").read_text())
        tree, first = self.root / "chroot", self.root / "first.sources"
        first.write_text("\n".join(filter(None, sources)))
        names = ",".join(p.name for p in lock.packages)
        argv = ["mmdebstrap", "--mode=root", "--variant=essential", f"--include={names}"]
        self.quiet(*argv, suite, str(tree), str(first))
        all_sources = [_stanza(one, None, deb822=True) for one in default_sources(suite)]
        for old in (tree / "etc/apt/sources.list.d").iterdir():
            old.unlink()
        (tree / "etc/apt/sources.list").unlink(missing_ok=True)
        (tree / "etc/apt/sources.list.d/debian.sources").write_text("\n".join(all_sources))
        shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
        script = (
            "export DEBIAN_FRONTEND=noninteractive TMPDIR=/tmp; apt-get -qq update &&"
            " apt-get -qq -y --no-install-recommends dist-upgrade"
        )
        argv = ["unshare", "--mount", "--pid", "--fork", f"--root={tree}"]
        result.peer.append(
            self.place.run([*argv, "--mount-proc=/proc", "sh", "-c", script], self.root)
        )
        shutil.rmtree(tree)
        return result

    def deploy(self) -> Result:
        """Of an image that is here: every object is read and hashed, which ostree does not do."""
        result = Result(
            "deploying an image that is here", "seconds", peer_name="ostree admin deploy"
        )
        for _ in range(self.place.setting.repeat):
            result.dolmen.append(self.system("deploy", f"dolmen:{_REF}"))
            argv = ["ostree", "admin", "deploy", f"--sysroot={self.sysroot}", "--os=debian"]
            result.peer.append(self.place.run([*argv, f"dolmen:{_REF}"], self.root))
        return result

    def rollback(self) -> Result:
        result = Result("going back", "below a second")
        for _ in range(self.place.setting.repeat):
            result.dolmen.append(self.system("rollback"))
        return result

    def room_of_arguments(self) -> Result:
        """Ten deployments with other kernel arguments, beside one."""
        result = Result("room of ten deployments of one image", "little more than of one")
        self.system("cleanup", "--rollback", "--kept")
        result.figures["one, MB"] = total(self.sysroot) / 1e6
        keep = f"--keep={_DEPLOYMENTS}"
        for number in range(_DEPLOYMENTS - 1):
            words = (f"dolmen:{_REF}", f"--karg=n={number}", keep)
            result.dolmen.append(self.system("deploy", *words))
        result.figures["ten, MB"] = total(self.sysroot) / 1e6
        return result

    def room_of_images(self, url: str) -> Result:
        """Ten images that follow one another, each with a package more; all stay deployed."""
        result = Result("room of ten images, a package more in each", "little more than of one")
        self.system("cleanup", "--rollback", "--kept")
        result.figures["one, MB"] = total(self.sysroot) / 1e6
        suites = {self.place.setting.suite}
        for number in range(1, _DEPLOYMENTS):
            add = _MORE[:number]
            self.publish(self.declare(f"image{number}", url, suites, add=add))
            result.dolmen.append(self.system("upgrade", f"--keep={_DEPLOYMENTS}"))
        result.figures["ten, MB"] = total(self.sysroot) / 1e6
        return result

    def system(self, verb: str, *words: str) -> Sample:
        return self.place.run_dolmen(self.root, "system", verb, f"--sysroot={self.sysroot}", *words)

    def gpg(self, *words: str) -> None:
        home = ("--homedir", str(self.root / "keys"))
        self.quiet("gpg", *home, "--batch", "--passphrase", "", *words)

    def drop(self, sysroot: Path) -> None:
        """Remove a sysroot: its deployments' directories are immutable."""
        for deployment in (sysroot / "ostree/deploy/debian/deploy").iterdir():
            if deployment.is_dir():
                self.quiet("chattr", "-i", str(deployment))
        shutil.rmtree(sysroot)

    def quiet(self, *argv: str) -> None:
        subprocess.run(
            argv, env=self.place.environment, check=True, capture_output=True, timeout=600
        )


def _stanza(source: Source, suites: set[str] | None, *, deb822: bool = False) -> str:
    """A source with those of its suites that are wanted, without backports; "" if none is."""
    kept = [name for name in source.suites if suites is None or name in suites]
    kept = [name for name in kept if not name.endswith("-backports")]
    if not kept:
        return ""
    if deb822:
        return (
            f"Types: deb\nURIs: {' '.join(source.uris)}\nSuites: {' '.join(kept)}\n"
            f"Components: {' '.join(source.components)}\nSigned-By: {source.signed_by}\n"
        )
    lines = [f"uris = {json.dumps(list(source.uris))}", f"suites = {json.dumps(kept)}"]
    if source.signed_by:
        lines.append(f"signed-by = {json.dumps(source.signed_by)}")
    return "[[sources]]\n" + "\n".join(lines) + "\n"
