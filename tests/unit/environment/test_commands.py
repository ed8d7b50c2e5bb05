"""Which commands get a launcher."""

from __future__ import annotations

from pathlib import Path

from dolmen.environment.commands import commands
from dolmen.model import Lock, LockedPackage
from dolmen.model.digest import digest_text


class Tree:
    """A realised tree in the making: files, links, and dpkg's lists of who owns them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "var/lib/dpkg/info").mkdir(parents=True)

    def file(self, path: str, mode: int = 0o755) -> None:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text("")
        full.chmod(mode)

    def link(self, path: str, target: str) -> None:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.symlink_to(target)

    def owns(self, package: str, *paths: str) -> None:
        text = "".join(f"/{path}\n" for path in (".", *paths))
        (self.root / f"var/lib/dpkg/info/{package}.list").write_text(text)


def package(name: str, *, essential: bool = False, requested: bool = False) -> LockedPackage:
    fields = (("Pre-Depends", "libc6"),) if essential else ()
    return LockedPackage(
        name=name,
        version="1",
        architecture="amd64",
        sha256=digest_text(name),
        size=1,
        filename=f"{name}.deb",
        release=0,
        requested=requested,
        essential=essential,
        fields=fields,
    )


def locked(*packages: LockedPackage) -> Lock:
    digest = digest_text("")
    return Lock("bookworm", ("amd64",), digest, "fake", (), packages)


def test_which_commands(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for path in ("usr/bin/ls", "usr/bin/mawk", "usr/bin/getent", "usr/bin/jq", "usr/sbin/daemon"):
        tree.file(path)
    tree.file("usr/bin/unowned")
    tree.file("usr/bin/jq-notes.txt", 0o644)
    tree.file("usr/bin/bad name")
    tree.file("usr/bin/-rf")
    tree.file("usr/lib/jvm/bin/java")
    tree.link("usr/bin/java", "/etc/alternatives/java")
    tree.link("etc/alternatives/java", "/usr/lib/jvm/bin/java")
    tree.link("usr/bin/dangling", "/etc/alternatives/dangling")
    tree.link("etc/alternatives/dangling", "/usr/lib/jvm/bin/none")
    tree.link("usr/bin/loop", "loop")
    tree.owns("coreutils", "bin/ls")
    tree.owns("libc6:amd64", "usr/bin/getent")
    jq = ("jq", "jq-notes.txt", "bad name", "-rf", "dangling", "loop")
    tree.owns("jq", *(f"usr/bin/{name}" for name in jq), "sbin/daemon")
    tree.owns("jre", "usr/lib/jvm/bin/java")
    lock = locked(
        package("coreutils", essential=True, requested=True),
        package("libc6"),
        package("jq", requested=True),
        package("jre"),
    )
    assert commands(tmp_path, lock) == ("daemon", "java", "jq")


def test_asked_for_base_packages_count(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.file("usr/bin/getent")
    tree.owns("libc6:amd64", "usr/bin/getent")
    base = package("coreutils", essential=True)
    assert commands(tmp_path, locked(base, package("libc6"))) == ()
    assert commands(tmp_path, locked(base, package("libc6", requested=True))) == ("getent",)


def test_alternatives_of_essential_commands_stay_the_hosts(tmp_path: Path) -> None:
    """A package that diverts `ls` or offers an alternative for it does not replace the host's."""
    tree = Tree(tmp_path)
    tree.file("usr/bin/other-ls")
    tree.link("usr/bin/ls", "/etc/alternatives/ls")
    tree.link("etc/alternatives/ls", "/usr/bin/other-ls")
    tree.owns("coreutils", "bin/ls")
    tree.owns("other", "usr/bin/other-ls")
    lock = locked(package("coreutils", essential=True), package("libc6"), package("other"))
    assert commands(tmp_path, lock) == ("other-ls",)
