"""Commands that change something, each with what is there before: the table of the fault tests."""

from __future__ import annotations

from dolmen.environment.checking import check
from dolmen.store import Store
from dolmen.support.files import remove_tree
from tests.lib.faults.environments import EnvironmentWorld
from tests.lib.faults.proving import Case
from tests.lib.faults.repositories import WHEN, RepositoryWorld
from tests.lib.faults.worlds import State

_DAMAGED = b"damaged by the test"


def _one(world: EnvironmentWorld) -> None:
    world.installed("jq")


def _two(world: EnvironmentWorld) -> None:
    world.installed("jq", "curl")


def _three(world: EnvironmentWorld) -> None:
    world.installed("jq", "curl", "python3")
    world.ok("remove", "curl")


def _tried(world: EnvironmentWorld) -> None:
    world.installed("jq")
    world.tried()


def _lost(world: EnvironmentWorld) -> None:
    """The live generation's tree is gone, and with it its image."""
    world.installed("jq")
    (tree,) = (world.store / "trees").iterdir()
    remove_tree(tree)
    for kept in ("images", "repo/refs/heads/image"):
        for path in (world.store / kept).iterdir():
            path.unlink()


def _found(world: EnvironmentWorld) -> State:
    whole = check(Store.open(world.store)).whole
    return world.state() if whole else {"live": "lost"}


def _harmed(world: EnvironmentWorld) -> None:
    """Objects of every kind damaged or missing; refs, a pointer and with them the tree."""
    world.installed("jq")
    objects = sorted(p for p in (world.store / "repo/objects").rglob("*") if p.is_file())
    for kind in ("commit", "dirtree", "dirmeta", "file"):
        mine = [path for path in objects if path.suffix == f".{kind}"]
        mine[0].write_bytes(_DAMAGED)
        if len(mine) > 1:
            mine[-1].unlink()
    for ref in (world.store / "repo/refs/heads/image").iterdir():
        ref.write_text("")
    for pointer in (world.store / "images").iterdir():
        pointer.unlink()
        pointer.symlink_to("nowhere")


def _repaired(world: EnvironmentWorld) -> State:
    """Nothing that was damaged is lost, and what is said to be mended is whole."""
    found = {
        path.stat().st_ino
        for part in ("repo/objects", "quarantine")
        for path in (world.store / part).rglob("*")
        if path.is_file() and not path.is_symlink() and path.read_bytes() == _DAMAGED
    }
    whole = check(Store.open(world.store)).whole
    forgotten = whole and not (world.store / "quarantine").is_dir()
    assert forgotten or len(found) == 4, f"{len(found)} of 4 damaged files are left"
    if not whole:
        return {"faults": "some"}
    return {"faults": "", **world.state()}


def _committed(world: EnvironmentWorld) -> None:
    _tried(world)
    world.ok("try", "--commit", "-b", "kept", *WHEN)


def _kept(world: EnvironmentWorld) -> State:
    """Which tree the branch of a trial has; a commit's own checksum has its time in it."""
    store = Store.open(world.store)
    commit = store.resolve("kept")
    tree = "" if commit is None else store._objects.commit(commit).tree
    if commit is not None:
        assert not list(store.check(commit))
    return {**world.state(), "kept": tree}


ENVIRONMENTS: tuple[Case[EnvironmentWorld], ...] = (
    Case("first", ("install", "--suite", "bookworm", "--dir", ".", "jq"), lambda world: None),
    Case("install", ("install", "curl"), _one),
    Case("remove", ("remove", "curl"), _two, repeats=(0, 3)),
    Case("upgrade", ("upgrade", "--suite", "trixie"), _one),
    Case("sync", ("sync",), _lost, judge=_found),
    Case("switch", ("switch", "1"), _two),
    Case("rollback", ("rollback",), _two, again=("switch", "1")),
    Case("pin", ("generations", "pin", "1"), _two),
    Case("gc", ("gc", "--grace", "0s", "--keep", "1"), _three, roomless=True),
    Case("repair", ("repair",), _harmed, judge=_repaired, collect=("repair", "--forget")),
    Case("keep", ("keep",), _tried, repeats=(0, 3)),
    Case("keep-as-is", ("keep", "--as-is"), _tried, repeats=(0, 3)),
    Case("drop", ("drop",), _tried, repeats=(3,)),
    Case("commit-trial", ("try", "--commit", "-b", "kept", *WHEN), _tried, judge=_kept),
    Case("resume-trial", ("try", "--resume", "kept", "--name", "again"), _committed, repeats=(3,)),
)


def _repo(*words: str) -> tuple[str, ...]:
    return ("store", "--repo=repo", *words)


_filled = RepositoryWorld.filled


def _tagged(world: RepositoryWorld) -> None:
    world.filled()
    world.store("tag", "v2", "main")


def _exported(world: RepositoryWorld) -> None:
    world.filled()
    world.store("export", "main", "-o", "tree.tar")


def _checked_out(world: RepositoryWorld) -> None:
    world.filled()
    world.store("checkout", "-U", "main^", "out")


def _garbage(world: RepositoryWorld) -> None:
    world.filled()
    world.store("commit", "-b", "gone", *WHEN, "tree")
    world.store("refs", "--delete", "gone")
    world.store("reset", "main", "main^")


def _other(world: RepositoryWorld) -> None:
    """A served repository to pull from."""
    world.filled()
    world.ok("store", "--repo=other", "init", "--mode=archive")
    world.ok("store", "--repo=other", "commit", "-b", "theirs", *WHEN, "tree")
    world.ok("store", "--repo=other", "commit", "-b", "more", *WHEN, "--tree=ref=theirs")


def _bundled(world: RepositoryWorld) -> None:
    _other(world)
    world.ok("store", "--repo=other", "export", "more", "--format=repo", "-o", "more.tar")


REPOSITORIES: tuple[Case[RepositoryWorld], ...] = (
    Case("init", _repo("init"), lambda world: None),
    Case("commit", _repo("commit", "-b", "main", "--no-change", *WHEN, "tree"), _filled),
    Case(
        "commit-tar",
        _repo("commit", "-b", "tar", "--no-change", *WHEN, "--tree=tar=tree.tar"),
        _exported,
    ),
    Case("tag", _repo("tag", "v1", "main"), _filled, repeats=(7,)),
    Case("delete", _repo("refs", "--delete", "stable"), _filled, repeats=(0, 7)),
    Case("reset", _repo("reset", "main", "stable"), _filled),
    Case("prune", _repo("prune", "--refs-only"), _garbage, roomless=True),
    Case("pull-local", _repo("pull-local", "other"), _other, loose=("partial",)),
    # A kill leaves a directory half made, which goes before the same is typed again.
    Case("checkout", _repo("checkout", "-U", "main", "new"), _filled, loose=("new",), renew="new"),
    Case("union", _repo("checkout", "-U", "--union", "main", "out"), _checked_out, loose=("out",)),
    Case("export", _repo("export", "main", "-o", "out.tar"), _filled, loose=("out.tar",)),
    Case("import-tar", _repo("import", "tree.tar", "-b", "tar", *WHEN), _exported),
    Case("import-repo", _repo("import", "more.tar"), _bundled, loose=("partial",)),
    Case("import", _repo("import", "-b", "imported", *WHEN, "tree"), _filled),
    Case("push", _repo("push", "other", "main"), _other),
    Case("revert", _repo("revert", "main", "v2"), _tagged, repeats=(7,)),
    Case("config", _repo("config", "set", "core.x", "y"), _filled),
    Case("summary", _repo("summary", "-u"), _filled),
)
