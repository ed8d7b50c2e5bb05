"""Sysroots in a directory, and small system images to deploy in them: nothing is booted.

    lab = Lab(tmp_path)
    first = lab.image("12.1", {"jq": "1.6-2"})
    lab.sysroot()                       # opened, for calls of the library
    lab.dolmen("status")                # the command, as a process

Deployments are made without the immutable bit (OSTREE_SYSROOT_DEBUG), so that they can be deleted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolmen.store.sysroot import Sysroot

SOURCE = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "OSTREE_SYSROOT_DEBUG": "mutable-deployments",
}
#: A time in the past, from which sequence numbers are counted.
EPOCH = 1_700_000_000
REF = "debian/main"


@dataclass(frozen=True, slots=True)
class Said:
    """What the command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def reason(self) -> str:
        found = self.json.get("error", {}).get("reason", "")
        assert isinstance(found, str)
        return found


class Lab:
    """One directory with a sysroot, an archive repository to pull from, and trees to commit."""

    def __init__(self, directory: Path, *, osname: str = "debian") -> None:
        self.directory = directory
        self.path = directory / "sysroot"
        self.path.mkdir(parents=True)
        self.osname = osname
        self.ostree("admin", "init-fs", str(self.path))
        self.ostree("admin", "os-init", f"--sysroot={self.path}", osname)
        self.ostree("config", f"--repo={self.repo}", "set", "sysroot.bootloader", "none")
        self._trees = 0

    @property
    def repo(self) -> Path:
        """The sysroot's repository."""
        return self.path / "ostree/repo"

    @property
    def boot(self) -> Path:
        """The sysroot's /boot."""
        return self.path / "boot"

    def ostree(self, *words: str) -> str:
        """Run stock ostree; its output."""
        done = subprocess.run(
            ["ostree", *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def image(
        self,
        version: str,
        packages: Mapping[str, str] | None = None,
        *,
        sequence: int = 0,
        architecture: str = "amd64",
        kernel: str = "6.1.0-1-amd64",
        kernel_bytes: bytes = b"",
        kargs: str = "",
        files: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        repo: Path | None = None,
        ref: str = REF,
        sign: Sequence[str] = (),
        sizes: bool = False,
    ) -> str:
        """Commit a small system; the commit's checksum. `without`: paths that it lacks."""
        self._trees += 1
        tree = self.directory / f"tree{self._trees}"
        contents: dict[str, str | bytes] = {
            "usr/lib/os-release": f'ID=debian\nPRETTY_NAME="Debian {version}"\n',
            f"usr/lib/modules/{kernel}/vmlinuz": kernel_bytes or f"kernel {kernel}\n",
            f"usr/lib/modules/{kernel}/initramfs.img": f"initramfs of {kernel}\n",
            "usr/lib/sysimage/dpkg/status": _status(packages or {}, architecture),
            "usr/etc/hostname": "machine\n",
            "usr/etc/motd": "welcome\n",
            "usr/lib/dolmen/kargs": kargs + "\n",
            **(files or {}),
        }
        for name in ("dev", "proc", "sys", "run", "tmp", "var", "boot", "sysroot"):
            (tree / name).mkdir(parents=True)
        for name, content in contents.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not any(name == one or name.startswith(f"{one}/") for one in without):
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        stamp = EPOCH + sequence
        return self.ostree(
            "commit",
            f"--repo={repo or self.repo}",
            f"--branch={ref}",
            f"--tree=dir={tree}",
            f"--subject={version}",
            f"--timestamp=@{stamp}",
            f"--add-metadata-string=version={version}",
            f"--add-metadata-string=dolmen.architecture={architecture}",
            "--add-metadata-string=dolmen.suite=bookworm",
            f"--add-metadata-string=ostree.linux={kernel}",
            f"--add-metadata=dolmen.sequence=uint64 {stamp}",
            "--add-metadata=ostree.bootable=true",
            *(["--generate-sizes"] if sizes else []),
            *sign,
        )

    def sysroot(self) -> Sysroot:
        """The sysroot, opened."""
        return Sysroot.open(self.path)

    def dolmen(self, verb: str, *words: str, before: str = "") -> Said:
        """Run `dolmen system VERB --json`; `before`: shell commands in a mount namespace of its
        own, with the sysroot as $1."""
        argv = [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(SOURCE)!r}); "
            "from dolmen.cli.main import main; sys.exit(main())",
            "system",
            verb,
            f"--sysroot={self.path}",
            "--json",
            *words,
        ]
        if before:
            argv = [
                *("unshare", "--mount", "sh", "-ec", f'{before}; shift; exec "$@"', "sh"),
                *(str(self.path), *argv),
            ]
        done = subprocess.run(
            argv,
            env={**ENVIRONMENT, "DOLMEN_STORE": str(self.directory / "store")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def entries(self) -> list[str]:
        """The entries of the boot menu as text, by name; whatever libostree calls them."""
        directory = self.boot / "loader/entries"
        return [path.read_text() for path in sorted(directory.iterdir())]


def allow_deletion() -> None:
    """Let this process's libostree leave the immutable bit off."""
    os.environ["OSTREE_SYSROOT_DEBUG"] = ENVIRONMENT["OSTREE_SYSROOT_DEBUG"]


def _status(packages: Mapping[str, str], architecture: str) -> str:
    return "\n".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\n"
        f"Version: {version}\nMaintainer: none\nDescription: none\n"
        for name, version in packages.items()
    )
