"""A backend of environments that builds nothing: the seams below, without namespaces or libostree.

Its launcher obeys the same options as the real one and starts the command on the host itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from dolmen.environment import Environment, Realised
from dolmen.environment.placing import bring
from dolmen.image import Image
from dolmen.image.verify import Difference, Verification
from dolmen.model import Entrance, Lock, LockedPackage, Manifest, ReleaseFile, Sha256
from dolmen.model.digest import digest_text
from dolmen.model.package import LocalDeb
from dolmen.support.errors import SolveError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore

#: What is in every image, beside a command for each package.
COMMANDS = ("sh", "echo", "env", "pwd", "ps", "true", "x", "a b", "--")

LAUNCHER = """#!/bin/sh
# launcher of {tree}
case $0 in
*/bin/*) exec "${{0##*/}}" "$@" ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    --pure) export FAKE_PURE=1 ;;
    --network) export FAKE_NETWORK=1 ;;
    --) shift; break ;;
    *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || set -- sh
FAKE_TREE={tree} exec "$@"
"""


@dataclass
class FakeBackend:
    """Knows a handful of packages; `failures` names the step that raises, `hook` sees each step."""

    store_path: Path
    universe: dict[str, str] = field(
        default_factory=lambda: {"jq": "1.6-2", "curl": "7.88.1-10", "python3": "3.11.2-1"}
    )
    failures: dict[str, BaseException] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    differences: tuple[Difference, ...] = ()
    hook: Callable[[str], None] = lambda step: None

    def make_store(self) -> Path:
        self.store_path.mkdir(exist_ok=True)
        return self.store_path

    def step(self, name: str) -> None:
        self.calls.append(name)
        self.hook(name)
        if name in self.failures:
            raise self.failures[name]

    def package(self, name: str, version: str, *, requested: bool) -> LockedPackage:
        return LockedPackage(
            name=name,
            version=version,
            architecture="amd64",
            sha256=digest_text(f"{name} {version}"),
            size=1000,
            filename=f"pool/main/{name}_{version}_amd64.deb",
            release=0,
            requested=requested,
            essential=name == "base-files",
            installed_size=10,
        )

    def solve(
        self,
        manifest: Manifest,
        *,
        pins: Sequence[LockedPackage] = (),
        refresh: bool | None = None,
        local: Sequence[LocalDeb] = (),
        emit: Emit = ignore,
    ) -> Lock:
        emit(PhaseStarted(Phase.SOLVE))
        self.step("solve")
        kept = {p.name: p.version for p in pins}
        packages = [self.package("base-files", "12", requested=False)]
        for spec, asking in manifest.requests("amd64").items():
            if spec.name not in self.universe:
                raise SolveError(f"there is no package {spec.name}", reason="unknown-package")
            version = spec.version or kept.get(spec.name) or self.universe[spec.name]
            package = self.package(spec.name, version, requested=True)
            alone = () if "" in asking else asking
            packages.append(replace(package, groups=alone, asking=alone))
        for deb in local:
            name, version, _rest = deb.path.rpartition("/")[2].split("_")
            package = self.package(name, version, requested=True)
            packages.append(
                replace(package, release=-1, filename=deb.path, sha256=deb.sha256, size=deb.size)
            )
        emit(PhaseFinished(Phase.SOLVE, len(packages), 0.1))
        release = ReleaseFile("http://localhost/debian", manifest.suite, digest_text("r"), "now")
        return Lock(
            suite=manifest.suite,
            architectures=("amd64",),
            inputs=manifest.inputs(),
            solver="fake 1",
            releases=(release,),
            packages=tuple(sorted(packages, key=lambda p: p.key)),
        )

    def provide(self, directory: Path, packages: Sequence[LockedPackage]) -> None:
        (self.store_path / "debs").mkdir(exist_ok=True)
        for package in packages:
            bring(directory, package, self.store_path / "debs")

    def build(self, lock: Lock, *, emit: Emit = ignore) -> Realised:
        self.step("build")
        root = digest_text(f"image {lock.digest()}")
        tree = self.store_path / "trees" / root
        (tree / "usr/bin").mkdir(parents=True, exist_ok=True)
        for command in (*COMMANDS, *(package.name for package in lock.packages)):
            if not (tree / "usr/bin" / command).is_symlink():
                (tree / "usr/bin" / command).symlink_to(f"/usr/bin/{command}")
        return Realised(root, Sha256("c" * 64), tree)

    def host_files(self, directory: Path, tree: Path) -> None:
        self.step("host_files")
        directory.mkdir()

    def launcher(
        self, tree: Path, *, name: str, state: Path, entrance: Entrance | None = None
    ) -> str:
        self.step("launcher")
        return LAUNCHER.format(tree=tree)

    def commands(self, tree: Path, lock: Lock) -> tuple[str, ...]:
        return tuple(p.name for p in lock.packages if p.requested)

    def verify(self, lock: Lock, *, emit: Emit = ignore) -> Verification:
        self.step("verify")
        image = Image(digest_text(lock.digest()), Sha256("c" * 64))
        if not self.differences:
            return Verification(image, image, ())
        return Verification(image, Image(digest_text("other"), image.commit), self.differences)

    def _root(self, directory: Path) -> Path:
        return self.store_path / "roots" / sha256(os.fsencode(directory)).hexdigest()

    def register(self, directory: Path) -> str:
        self.step("register")
        root = self._root(directory)
        root.parent.mkdir(parents=True, exist_ok=True)
        root.write_text("")
        return root.name

    def remember(self, directory: Path, image: Realised, lock: Lock) -> None:
        self.step("remember")

    def registered(self, directory: Path) -> bool:
        return self._root(directory).exists()

    def forget(self, directory: Path) -> None:
        self._root(directory).unlink(missing_ok=True)


def snapshot(environment: Environment) -> dict[str, str]:
    """Everything a user could notice about an environment, to compare before and after."""
    found: dict[str, str] = {}
    for path in sorted(environment.directory.rglob("*")):
        name = str(path.relative_to(environment.directory))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text(errors="replace")
    return found
