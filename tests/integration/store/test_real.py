"""Real .debs of the host's archive: our reading against dpkg's own."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.model import LockedPackage, Sha256
from dolmen.store import PackageTree, Store, usrmerged
from dolmen.support.files import remove_tree

pytestmark = pytest.mark.network

#: Hard links (perl-base, tzdata), setuid (sudo), conffiles, triggers, pre-usrmerge paths, links.
NAMES = (
    *("base-files", "bash", "ca-certificates", "coreutils", "dash", "iputils-ping", "libc-bin"),
    *("libc6", "perl-base", "python3.11-minimal", "sudo", "tzdata", "udev"),
)


@pytest.fixture(scope="module")
def debs() -> Iterator[list[tuple[LockedPackage, Path]]]:
    directory = Path(tempfile.mkdtemp(prefix="dolmen-debs-"))
    done = subprocess.run(
        ["apt-get", "download", "-q", *NAMES],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    yield [(locked(deb), deb) for deb in sorted(directory.glob("*.deb"))]
    remove_tree(directory)


def locked(deb: Path) -> LockedPackage:
    content = deb.read_bytes()
    name, version, architecture = field(deb, "${Package}\n${Version}\n${Architecture}").split("\n")
    return LockedPackage(
        name=name,
        version=version,
        architecture=architecture,
        sha256=Sha256(hashlib.sha256(content).hexdigest()),
        size=len(content),
        filename=f"pool/main/x/{deb.name}",
        release=0,
    )


def field(deb: Path, form: str) -> str:
    return subprocess.run(
        ["dpkg-deb", "-W", f"--showformat={form}", deb],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def tarball(deb: Path, part: str) -> tarfile.TarFile:
    done = subprocess.run(
        ["dpkg-deb", f"--{part}-tarfile", deb], capture_output=True, check=True, timeout=120
    )
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


@pytest.fixture(scope="module")
def store(debs: list[tuple[LockedPackage, Path]]) -> Iterator[Store]:
    directory = Path(tempfile.mkdtemp(prefix="dolmen-store-"))
    found = Store.open(directory / "store")
    found.import_packages(debs)
    yield found
    remove_tree(directory)


def test_paths(store: Store, debs: list[tuple[LockedPackage, Path]]) -> None:
    for package, deb in debs:
        tree = store.package(package.sha256)
        with tarball(deb, "fsys") as archive:
            members = archive.getmembers()
            assert len(members) == len(tree.paths)
            for member, entry in zip(members, tree.paths, strict=True):
                assert entry.path == ("/" + member.name.removeprefix(".").strip("/") or "/.") or (
                    entry.path == "/." and member.name == "."
                )
                assert entry.kind == kind(member)
                assert entry.mode == member.mode
                assert (entry.uname, entry.gname) == (member.uname, member.gname)
                if member.isreg():
                    stream = archive.extractfile(member)
                    assert stream is not None
                    assert store.read_object(entry.digest) == stream.read()
                elif member.issym():
                    assert entry.target == member.linkname
                    assert store.link_target(entry.digest) == member.linkname
                elif member.islnk():
                    assert entry.target == member.linkname.removeprefix(".")


def kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "d"
    if member.issym():
        return "l"
    return "h" if member.islnk() else "f"


def test_control(store: Store, debs: list[tuple[LockedPackage, Path]]) -> None:
    for package, deb in debs:
        tree = store.package(package.sha256)
        with tarball(deb, "ctrl") as archive:
            members = {m.name.removeprefix("./"): m for m in archive.getmembers() if m.isreg()}
            assert set(members) - {"control"} == set(tree.members) - (
                set() if "md5sums" in members else {"md5sums"}
            )
            for name, member in members.items():
                stream = archive.extractfile(member)
                assert stream is not None
                content = stream.read()
                if name == "control":
                    assert tree.control == content.decode()
                else:
                    assert store.read_object(tree.members[name]) == content
                    mode = store_mode(store, tree.members[name])
                    assert mode == member.mode


def store_mode(store: Store, checksum: str) -> int:
    data = os.getxattr(
        store.path / "repo/objects" / checksum[:2] / f"{checksum[2:]}.file", "user.ostreemeta"
    )
    return int.from_bytes(data[8:12], "big") & 0o7777


def test_lists_are_those_of_dpkg(store: Store, debs: list[tuple[LockedPackage, Path]]) -> None:
    """Where this host has installed the very version, its dpkg wrote the same list."""
    compared = 0
    for package, _ in debs:
        listing = installed_list(package)
        if listing is not None:
            tree = store.package(package.sha256)
            assert store.read_object(tree.list_object).decode() == listing, package.name
            compared += 1
    if not compared:
        pytest.skip("none of the packages is installed here in this version")


def installed_list(package: LockedPackage) -> str | None:
    name = f"{package.name}:{package.architecture}"
    done = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}", name], capture_output=True, text=True, timeout=60
    )
    if done.stdout != package.version:
        return None
    for file in (f"{package.name}.list", f"{name}.list"):
        path = Path("/var/lib/dpkg/info", file)
        if path.exists():
            return path.read_text()
    return None


def test_conffiles(store: Store, debs: list[tuple[LockedPackage, Path]]) -> None:
    for package, deb in debs:
        tree = store.package(package.sha256)
        declared = field(deb, "${Package}") and (
            store.read_object(tree.members["conffiles"]).decode().split("\n")[:-1]
            if "conffiles" in tree.members
            else []
        )
        assert list(tree.conffiles) == declared
        contents = {e.path: store.read_object(e.digest) for e in tree.paths if e.kind == "f"}
        for path, digest in tree.conffiles.items():
            assert hashlib.md5(contents[path]).hexdigest() == digest


def test_fsck(store: Store, debs: list[tuple[LockedPackage, Path]]) -> None:
    done = subprocess.run(
        ["ostree", f"--repo={store.path / 'repo'}", "fsck"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(debs)} commits" in done.stdout


def test_a_tree_of_all_against_dpkg_deb(
    store: Store, debs: list[tuple[LockedPackage, Path]]
) -> None:
    ordered = sorted(debs, key=lambda pair: (pair[0].name != "base-files", pair[0].name))
    with store.tree_builder() as builder:
        for package, _ in ordered:
            builder.merge_package(package.sha256)
        image = builder.commit()
    tree = store.realise(image)
    with store.scratch() as work:
        for name in ("bin", "sbin", "lib", "lib64"):
            (work / "usr" / name).mkdir(parents=True, exist_ok=True)
            (work / name).symlink_to(f"usr/{name}")
        for _, deb in ordered:
            subprocess.run(
                [
                    "sh",
                    "-c",
                    'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink',
                    "sh",
                    deb,
                ],
                cwd=work,
                check=True,
                timeout=120,
            )
        for name in ("bin", "sbin", "lib", "lib64"):
            (work / name).unlink()
            if not any((work / "usr" / name).iterdir()):
                (work / "usr" / name).rmdir()
        assert content(tree) == content(work)


def content(top: Path) -> dict[str, str]:
    found = {}
    for path in top.rglob("*"):
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[name] = "d"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_usrmerge_covers_what_is_shipped(
    store: Store, debs: list[tuple[LockedPackage, Path]]
) -> None:
    tops = set()
    trees: list[PackageTree] = [store.package(package.sha256) for package, _ in debs]
    for tree in trees:
        tops |= {usrmerged(e.path[1:]).split("/")[0] for e in tree.paths if e.path != "/."}
    assert not tops & {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}
