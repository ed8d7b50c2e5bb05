"""The two contenders on one file system: how they are called, with the same mirror and packages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Sample, timed
from bench.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Setting:
    """What all cases share."""

    mirror: Mirror
    keyring: str
    suite: str
    dolmen: Path
    filesystem: str
    repeat: int


@dataclass(frozen=True, slots=True)
class Place:
    """One file system in use."""

    setting: Setting
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """A login shell's, with everything below the file system that is measured."""
        for name in ("tmp", "home"):
            (self.root / name).mkdir(exist_ok=True)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "DOLMEN_STORE": str(self.root / "store"),
        }

    def project(self, name: str, packages: Sequence[str] = ()) -> Path:
        """A new directory with a manifest that names the mirror."""
        directory = self.root / name
        directory.mkdir()
        quoted = ", ".join(f'"{package}"' for package in packages)
        (directory / "dolmen.toml").write_text(
            f'suite = "{self.setting.suite}"\n'
            f"packages = [{quoted}]\n"
            "[[sources]]\n"
            f'uris = ["{self.setting.mirror.uri}"]\n'
            f'suites = ["{self.setting.suite}"]\n'
            f'signed-by = "{self.setting.keyring}"\n'
        )
        return directory

    def copy(self, project: Path, name: str) -> Path:
        """A second directory with the same manifest and lock."""
        directory = self.root / name
        directory.mkdir()
        for file in ("dolmen.toml", "dolmen.lock"):
            shutil.copy(project / file, directory)
        return directory

    def run_dolmen(self, directory: Path, *arguments: str) -> Sample:
        """One `dolmen` command as a whole process."""
        return self.run([str(self.setting.dolmen), *arguments], directory)

    def run_mmdebstrap(self, packages: Sequence[str], name: str = "root") -> Sample:
        """mmdebstrap as root, into a directory, with the fewest packages that it can."""
        source = f"deb [signed-by={self.setting.keyring}] {self.setting.mirror.uri} "
        argv = ["mmdebstrap", "--mode=root", "--variant=essential", "--format=directory"]
        if packages:
            argv.append(f"--include={','.join(packages)}")
        argv += [self.setting.suite, str(self.root / name), f"{source}{self.setting.suite} main"]
        return self.run(argv, self.root)

    def run(self, argv: Sequence[str], cwd: Path, *, pass_fds: Sequence[int] = ()) -> Sample:
        """Any command, timed; what was written before is on the disk first, where there is one."""
        if self.setting.filesystem != "tmpfs":
            os.sync()
        log = self.root / "log"
        return timed(argv, env=self.environment, cwd=cwd, log=log, pass_fds=pass_fds)
