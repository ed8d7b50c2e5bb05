"""The deployments of one sysroot, through libostree's own library and under its lock.

Debian 12 has libostree 2022.7, Debian 13 2025.2; only calls that both have are used. A booted
machine stages: the deployment is written now and becomes an entry of the menu at shutdown, when
/etc is merged, so that nothing edited meanwhile is lost. Any other sysroot is changed at once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.sysroot.deployment import (
    Deployment,
    parse_arguments,
    parse_keyfile,
    render_keyfile,
)
from dolmen.store.sysroot.metadata import read_metadata
from dolmen.support.errors import BusyError, HostError, MachineError

_BOOTED = Path("/run/ostree-booted")
#: What writes GRUB's menu on our machines; libostree calls it before it switches to its entries.
_MENU = Path("/usr/lib/dolmen/boot-menu")
_UNLOCKED = {
    OSTree.DeploymentUnlockedState.NONE: "none",
    OSTree.DeploymentUnlockedState.DEVELOPMENT: "development",
    OSTree.DeploymentUnlockedState.HOTFIX: "hotfix",
    OSTree.DeploymentUnlockedState.TRANSIENT: "transient",
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """libostree says "Freed objects" on standard output, which is for our own results."""
    try:
        kept = os.dup(1)
    except OSError:  # closed by the caller
        with told():
            yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        with told():
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


class Sysroot:
    """A sysroot: `path`, its repository, and the state root (`osname`) that is looked after."""

    def __init__(self, native: OSTree.Sysroot, path: Path, osname: str) -> None:
        self._native = native
        self.path = path
        self.osname = osname
        self._locked = False

    @classmethod
    def open(
        cls, path: Path | None = None, *, osname: str | None = None, mounting: bool = False
    ) -> Sysroot:
        """Open a sysroot (default: the running machine's).

        A running machine's is opened in a mount namespace of this process's own, where /sysroot and
        /boot can be written to; not so if `mounting`: what is mounted then shall be seen by all.
        Raises MachineError ("not-ostree", "no-sysroot", "no-stateroot"), StoreError.
        """
        where = Path("/") if path is None else path.absolute()
        running = where == Path("/")
        if running and not _BOOTED.exists():
            raise MachineError(
                "this machine was not started from a deployment of libostree",
                reason="not-ostree",
                context=f"{_BOOTED} is missing",
                hint="make a disk that is: dolmen system image --help; or name another sysroot: "
                "dolmen system status --sysroot=DIR",
            )
        if running and not os.path.lexists(where / "boot/loader"):
            raise MachineError(
                "/boot holds no boot entries: it is not mounted",
                reason="no-boot",
                context="/boot/loader is missing",
                hint="systemctl status boot.mount; mount /boot",
            )
        if not (where / "ostree/repo/config").is_file():
            raise MachineError(
                f"{where} is no sysroot: it has no ostree/repo",
                reason="no-sysroot",
                context=str(where),
                hint=f"mkdir -p {where}; ostree admin init-fs {where}",
            )
        if _MENU.exists():
            os.environ.setdefault("OSTREE_GRUB2_EXEC", os.fspath(_MENU))
        with told():
            native = OSTree.Sysroot.new(Gio.File.new_for_path(os.fspath(where)))
            if running and os.geteuid() == 0 and not mounting:
                # /sysroot and /boot may be read-only for everybody else.
                native.initialize_with_mount_namespace(None)
                # It has opened / first and made its namespace then: the repository as seen from
                # there is on another mount than new deployments are, and link(2) does not cross
                # mounts, so that each deployment would be a copy. Whoever comes next stays in here.
                native = OSTree.Sysroot.new(Gio.File.new_for_path(os.fspath(where)))
                native.initialize_with_mount_namespace(None)
            native.load(None)
        found = cls(native, where, "")
        found.osname = found._stateroot(osname)
        return found

    # What there is

    @property
    def booted(self) -> bool:
        """Whether it is the running machine's."""
        return bool(self._native.is_booted())

    @property
    def repository(self) -> History:
        """The repository that deployments are checked out of."""
        with told():
            return History(self._native.repo(), self.path / "ostree/repo")

    def deployments(self) -> tuple[Deployment, ...]:
        """All of them, of every state root, in the order of the menu."""
        with told():
            return tuple(self._value(native) for native in self._native.get_deployments())

    def own(self) -> tuple[Deployment, ...]:
        """Those of the state root that is looked after."""
        return tuple(one for one in self.deployments() if one.osname == self.osname)

    def current(self) -> Deployment | None:
        """The deployment that runs; where none does the one that would be started."""
        own = self.own()
        return next((one for one in own if one.booted), own[0] if own else None)

    def boot_directory(self, deployment: Deployment) -> Path:
        """Where the deployment's kernel lies."""
        return self.path / f"boot/ostree/{deployment.osname}-{deployment.boot_checksum}"

    def read_file(self, deployment: Deployment, path: str) -> bytes | None:
        """A file of the deployment's tree; None where there is none."""
        try:
            return (deployment.path / path.lstrip("/")).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    # Changes

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold libostree's lock, which its own commands respect too.

        Raises HostError ("not-root") and BusyError ("busy").
        """
        if self._locked:
            yield
            return
        if os.geteuid() != 0:
            raise HostError(
                "only root changes what a machine starts",
                reason="not-root",
                context=str(self.path),
                hint="run it again as root: su -, or sudo",
            )
        with told():
            taken = self._native.try_lock()
        if not (taken[-1] if isinstance(taken, tuple) else taken):
            raise BusyError(
                "another change of this machine's deployments is in progress",
                context=str(self.path / "ostree/lock"),
                hint=f"see who holds it: fuser -v {self.path / 'ostree/lock'}",
            )
        self._locked = True
        try:
            with told():
                self._native.load_if_changed(None)
            yield
        finally:
            self._locked = False
            self._native.unlock()

    def deploy(
        self,
        commit: str,
        *,
        origin: Mapping[str, Mapping[str, str]],
        arguments: Sequence[str],
        keep: Sequence[Deployment] = (),
    ) -> Deployment:
        """Make a commit the one that is started next: staged on a running machine.

        `keep`: the deployments that stay, beside the running one, pinned ones and those of other
        state roots. Under `changing()`.
        """
        key = GLib.KeyFile.new()
        text = render_keyfile(origin)
        with _quiet():
            if text:
                key.load_from_data(text, len(text.encode()), GLib.KeyFileFlags.NONE)
            # Whose /etc is taken over: the running one's, also where another is started next.
            merge = self._native.get_merge_deployment(self.osname)
            make = self._native.stage_tree if self.booted else self._native.deploy_tree
            made = make(self.osname, commit, key, merge, list(arguments), None)
            native = made[-1] if isinstance(made, tuple) else made
            if not self.booted:
                kept = [self._find(one) for one in keep]
                self._native.write_deployments([native, *kept], None)
            self._native.load_if_changed(None)
        name = f"{native.get_csum()}.{native.get_deployserial()}"
        return next(one for one in self.own() if one.name == name)

    def write(self, order: Sequence[Deployment]) -> None:
        """Make these the entries of the menu, in this order; what is not named goes.

        Menu and entries change by one rename of /boot/loader. Under `changing()`.
        """
        with _quiet():
            self._native.write_deployments([self._find(one) for one in order], None)
            self._native.load_if_changed(None)

    def pin(self, deployment: Deployment, pinned: bool) -> None:
        """Keep a deployment whatever comes, or no longer. Under `changing()`."""
        with told():
            self._native.deployment_set_pinned(self._find(deployment), pinned)

    def write_origin(self, deployment: Deployment, origin: Mapping[str, Mapping[str, str]]) -> None:
        """Replace what is recorded of a deployment's origin. Under `changing()`."""
        key = GLib.KeyFile.new()
        text = render_keyfile(origin)
        with told():
            key.load_from_data(text, len(text.encode()), GLib.KeyFileFlags.NONE)
            native = self._find(deployment)
            self._native.write_origin_file(native, key, None)
            native.set_origin(key)

    def unlock(self, deployment: Deployment, *, hotfix: bool = False) -> None:
        """Put a writable layer over the running /usr: until reboot, or (hotfix) with its entry."""
        state = OSTree.DeploymentUnlockedState
        with told():
            self._native.deployment_unlock(
                self._find(deployment), state.HOTFIX if hotfix else state.DEVELOPMENT, None
            )

    def cleanup(self) -> None:
        """Remove what no deployment needs: trees, kernels in /boot, objects. Under `changing()`."""
        with _quiet():
            self._native.cleanup(None)

    def prepare_cleanup(self) -> None:
        """The same without the repository: what a killed change left, and unneeded kernels."""
        with _quiet():
            self._native.prepare_cleanup(None)

    # Inside

    def _find(self, deployment: Deployment) -> OSTree.Deployment:
        for native in self._native.get_deployments():
            if (
                native.get_osname() == deployment.osname
                and native.get_csum() == deployment.commit
                and native.get_deployserial() == deployment.serial
            ):
                return native
        raise MachineError(
            f"the deployment {deployment.name} is there no more",
            reason="no-deployment",
            hint="dolmen system status",
        )

    def _value(self, native: OSTree.Deployment) -> Deployment:
        boot = native.get_bootconfig()
        options = parse_arguments((boot.get("options") if boot is not None else None) or "")
        origin = self._origin(native)
        commit = native.get_csum()
        booted = self._native.get_booted_deployment()
        return Deployment(
            index=native.get_index(),
            osname=native.get_osname(),
            commit=commit,
            serial=native.get_deployserial(),
            boot_checksum=native.get_bootcsum() or "",
            metadata=read_metadata(self._native.repo(), commit),
            path=self.path / self._native.get_deployment_dirpath(native),
            arguments=tuple(word for word in options if not word.startswith("ostree=")),
            origin=origin,
            booted=booted is not None and native.equal(booted),
            staged=bool(native.is_staged()),
            pinned=origin.get("libostree-transient", {}).get("pinned") == "true",
            unlocked=_UNLOCKED.get(native.get_unlocked(), "none"),
        )

    def _origin(self, native: OSTree.Deployment) -> dict[str, dict[str, str]]:
        """As it is on disk: what was written since libostree read it counts."""
        path = self.path / native.get_origin_relpath()
        if not native.is_staged() and path.is_file():
            return parse_keyfile(path.read_text(encoding="utf-8", errors="replace"))
        found = native.get_origin()
        return parse_keyfile(found.to_data()[0]) if found is not None else {}

    def _stateroot(self, named: str | None) -> str:
        names = [native.get_osname() for native in self._native.get_deployments()]
        booted = self._native.get_booted_deployment()
        directory = self.path / "ostree/deploy"
        there = sorted(one.name for one in directory.iterdir()) if directory.is_dir() else []
        if named is not None:
            if named not in there:
                raise _no_stateroot(self.path, f"there is no state root {named}", there)
            return named
        if booted is not None:
            return str(booted.get_osname())
        candidates = list(dict.fromkeys(names)) or there
        if len(candidates) == 1:
            return candidates[0]
        what = "there are several state roots" if candidates else "there is no state root"
        raise _no_stateroot(self.path, what, candidates)


def _no_stateroot(path: Path, what: str, there: Sequence[str]) -> MachineError:
    return MachineError(
        what,
        reason="no-stateroot",
        context=f"{path}: {', '.join(there) or 'none'}",
        hint="dolmen system status --os=NAME"
        if there
        else f"ostree admin os-init --sysroot={path} debian",
    )
