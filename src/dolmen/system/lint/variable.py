"""Rules about /var, the top of the tree, and what a build may leave behind."""

from __future__ import annotations

from collections.abc import Iterator

from dolmen.store.package import ALIASED
from dolmen.system.lint.rule import rule
from dolmen.system.lint.tree import Tree
from dolmen.system.tree.layout import EMPTY, LOCAL, MOVED
from dolmen.system.tree.variable import FACTORY

_TMPFILES = "usr/lib/tmpfiles.d"
_NEEDED = ("/var/lib/apt/lists/partial", "/var/cache/apt/archives/partial", "/var/log/apt")
#: Where links into /usr are no mistake: what only describes the image, or is a package's own.
_LINKED = ("usr/lib/sysimage/", "usr/lib/opt/", "usr/share/")
#: Names at the top that other rules speak of.
_OTHERS = ("etc", "vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old")
_LEFT = (".dpkg-new", ".dpkg-tmp", ".dpkg-dist", ".ucf-dist", ".ucf-old")


def lines(tree: Tree) -> dict[str, list[str]]:
    """The lines of tmpfiles.d by path; the first holds."""
    found: dict[str, list[str]] = {}
    for _, words in tree.tables(_TMPFILES):
        if len(words) > 1:
            found.setdefault(words[1].rstrip("/"), words)
    return found


@rule(3, "var-tmpfiles", "/var is empty, and tmpfiles.d makes what programs need there")
def var_tmpfiles(tree: Tree) -> Iterator[str]:
    """libostree seeds /var once at most, so that nothing in the commit's may be needed."""
    for name in tree.names("var"):
        yield f"/var/{name} is in the commit"
    made = lines(tree)
    for path in _NEEDED:
        if path not in made:
            yield f"no line of tmpfiles.d makes {path}"
    for path in ("/var/run", "/var/lock"):
        if made.get(path, [""])[0][:1] != "L":
            yield f"no line of tmpfiles.d links {path}"
    for path, words in made.items():
        goal = words[-1].lstrip("./")
        if words[0][:1] == "C" and words[-1].startswith(f"/{FACTORY}") and not tree.kind(goal):
            yield f"{path} is to be copied from {words[-1]}, which is not there"
        if (
            words[0][:1] == "L"
            and path.startswith("/var/lib/")
            and goal.startswith("usr/")
            and not goal.startswith(_LINKED)
        ):
            yield f"{path} would point into the read-only /{goal}"


@rule(14, "top-level", "the top holds what a deployment has, links to /var with their directories")
def top_level(tree: Tree) -> Iterator[str]:
    """Scripts and programs fail on dangling links as they do on missing directories."""
    made = lines(tree)
    for name in EMPTY:
        if tree.kind(name) != "d":
            yield f"/{name} is no directory"
    for name, (target, _) in MOVED.items():
        if tree.target(name) != target:
            yield f"/{name} does not point to {target}"
        elif made.get(f"/{target}", [""])[0] != "d":
            yield f"no line of tmpfiles.d makes /{target}"
    if tree.target("usr/local") != f"../{LOCAL}":
        yield f"/usr/local does not point to ../{LOCAL}"
    if tree.target("ostree") != "sysroot/ostree":
        yield "/ostree does not point to sysroot/ostree"
    for name in sorted(ALIASED):
        if tree.kind(name) not in ("", "l"):
            yield f"/{name} is no link into /usr"
    for name in ("bin", "sbin", "lib"):
        if tree.target(name).lstrip("/") != f"usr/{name}":
            yield f"/{name} does not point to usr/{name}"
    known = {*EMPTY, *MOVED, *ALIASED, "usr", "ostree"}
    for name in tree.names(""):
        if name not in known and name not in _OTHERS:
            yield f"/{name} does not belong there"


@rule(
    15, "leftovers", "nothing of an unfinished build is left, and a staged deployment is finished"
)
def leftovers(tree: Tree) -> Iterator[str]:
    """What an interrupted step leaves would be taken for the system's own."""
    if tree.kind("usr/sbin/policy-rc.d"):
        yield "/usr/sbin/policy-rc.d forbids services to start"
    for path in tree.entries:
        if path.endswith(_LEFT):
            yield f"/{path} is left from a package's configuration"
    for name in ("dev", "proc", "run", "sys", "sysroot", "tmp"):
        for child in tree.names(name):
            yield f"/{name}/{child} is in the commit"
    units = "usr/lib/systemd/system"
    unit = "ostree-finalize-staged"
    # Since libostree 2024 whoever stages starts the service; before, a path unit watches.
    if not tree.kind(f"{units}/{unit}.service"):
        yield f"there is no {unit}.service, so a staged deployment is never finished"
    elif tree.kind(f"{units}/{unit}.path") and not tree.kind(
        f"{units}/multi-user.target.wants/{unit}.path"
    ):
        yield f"nothing starts {unit}, so a staged deployment is never finished"
