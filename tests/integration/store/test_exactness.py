"""Any tree: our commit of it is `ostree commit`'s, bit for bit, and so is our checkout of that."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dolmen.store.history import checkout, committing
from dolmen.store.history.committing import Source, Wish
from dolmen.store.history.repository import History
from dolmen.support.run import run
from tests.lib.ostree_suite import scratch

MODES = ("bare-user", "bare-user-only", "archive", "bare")
#: What differs between calls: options of `ostree commit`, and the same of a Wish.
OPTIONS: tuple[tuple[tuple[str, ...], dict[str, object]], ...] = (
    ((), {}),
    (("--owner-uid=7", "--owner-gid=9"), {"uid": 7, "gid": 9}),
    (("--canonical-permissions",), {"canonical": True}),
    (("--no-xattrs", "--mode-ro-executables"), {"xattrs": False, "read_only_executables": True}),
    (("--generate-sizes",), {"sizes": True}),
    (("--link-checkout-speedup",), {"link_speedup": True}),
)


@dataclass(frozen=True, slots=True)
class File:
    """A file, a link (`target`) or a directory (`content` None and no target)."""

    content: bytes | None
    target: str
    mode: int
    owner: int
    attribute: bytes


NAMES = st.sampled_from(("a", "b", "ä", "c d", ".x", "Z", "-", "long" * 30))
FILES = st.builds(
    File,
    st.one_of(st.none(), st.just(b""), st.binary(max_size=40), st.just(b"x" * 70_000)),
    st.sampled_from(("", "", "", "a", "/none/of these", "ö" * 60)),
    st.sampled_from((0o644, 0o755, 0o600, 0o4755, 0o2711, 0o1777, 0o444, 0o777, 0o640)),
    st.sampled_from((0, 0, 1, 33, 65534)),
    st.sampled_from((b"", b"", b"v")),
)
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=4).map(tuple), FILES, max_size=12)


def make(root: Path, tree: dict[tuple[str, ...], File]) -> None:
    """Write the tree; what is in the way of something deeper is left out."""
    root.mkdir()
    for path, file in sorted(tree.items(), key=lambda item: (len(item[0]), item[0])):
        place = root.joinpath(*path)
        if any(p.is_symlink() or p.is_file() for p in place.parents if p != root):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            continue
        if file.target:
            place.symlink_to(file.target)
            if os.geteuid() == 0:
                os.lchown(place, file.owner, 0)
            continue
        if file.content is None:
            place.mkdir()
        else:
            place.write_bytes(file.content)
        if os.geteuid() == 0:
            os.chown(place, file.owner, file.owner)
        if file.attribute:
            os.setxattr(place, "user.dolmen.test", file.attribute)
        place.chmod(file.mode | (0o700 if file.content is None else 0o400))


def listing(root: Path) -> list[tuple[object, ...]]:
    """All that a tree is, times left out: libostree gives some files the time of day."""

    def one(path: Path) -> tuple[object, ...]:
        status = path.lstat()
        name = os.fspath(path.relative_to(root))
        attributes: dict[str, bytes] = {}
        content: object = None
        if path.is_symlink():
            content = os.readlink(path)
        else:
            attributes = {key: os.getxattr(path, key) for key in os.listxattr(path)}
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
        return name, status.st_mode, status.st_uid, status.st_gid, content, attributes

    return [one(root), *(one(path) for path in sorted(root.rglob("*")))]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with scratch() as directory:
        yield directory


def ostree(repo: Path, *words: str) -> str:
    done = run(["ostree", f"--repo={repo}", *words], timeout=60)
    assert done.ok, done
    return done.stdout.decode().strip()


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES, options=st.sampled_from(OPTIONS), merged=st.booleans())
def test_commit_and_checkout_are_ostrees(
    place: Path,
    mode: str,
    tree: dict[tuple[str, ...], File],
    options: tuple[tuple[str, ...], dict[str, object]],
    merged: bool,
) -> None:
    if mode == "bare" and os.geteuid() != 0:
        pytest.skip("mode bare keeps owners, which takes root")
    work = Path(tempfile.mkdtemp(dir=place))
    make(work / "tree", tree)
    (work / "more").mkdir()
    (work / "more/a").write_text("laid over")
    words, fields = options
    history = History.create(work / "ours", mode)
    ostree(work / "theirs", "init", f"--mode={mode}")

    sources, trees = [Source("dir", str(work / "tree"))], [f"--tree=dir={work / 'tree'}"]
    if merged and not (work / "tree/a").is_dir():
        sources.append(Source("dir", str(work / "more")))
        trees.append(f"--tree=dir={work / 'more'}")
    done = committing.commit(
        history,
        Wish(sources, branch="x", subject="s", timestamp=1, **fields),  # type: ignore[arg-type]
    )
    wanted = ostree(
        work / "theirs", "commit", "-b", "x", "-s", "s", "--timestamp=@1", *words, *trees
    )
    assert done.checksum == wanted

    for user in (True, False):
        if not user and os.geteuid() != 0:
            continue
        manner = checkout.Manner(user=user)
        checkout.checkout(history, wanted, work / f"out{user}", manner)
        flags = ("-U",) if user else ()
        ostree(work / "theirs", "checkout", *flags, wanted, str(work / f"there{user}"))
        assert listing(work / f"out{user}") == listing(work / f"there{user}")
    shutil.rmtree(work)
