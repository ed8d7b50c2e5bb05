"""dpkg's rules on paths that two packages name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dolmen.image.admin import Diversion
from dolmen.image.placement import Placement, merged, owned, place
from dolmen.model import LockedPackage, Sha256
from dolmen.model.digest import digest_text
from dolmen.store import PackageTree, PathEntry
from dolmen.support.errors import PackageError
from tests.lib.locks import locked


def _compare(first: str, second: str) -> int:
    return (float(first) > float(second)) - (float(first) < float(second))


def _tree(package: LockedPackage, *entries: PathEntry) -> PackageTree:
    return PackageTree(package.sha256, "", {}, entries, {}, Sha256(""))


def _file(path: str, content: str = "") -> PathEntry:
    return PathEntry(path, "f", mode=0o644, digest=digest_text(content or path))


def _place(
    *pairs: tuple[LockedPackage, Sequence[PathEntry]], diversions: Sequence[Diversion] = ()
) -> dict[str, Placement]:
    trees = {package.sha256: _tree(package, *entries) for package, entries in pairs}
    found = place([package for package, _ in pairs], trees, diversions, _compare)
    return {package.name: found[package.key] for package, _ in pairs}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bin/x", "usr/bin/x"),
        ("/usr/bin/x", "usr/bin/x"),
        ("/lib64/ld.so", "usr/lib64/ld.so"),
        ("/library/x", "library/x"),
    ],
)
def test_merged(path: str, expected: str) -> None:
    assert merged(path) == expected


def test_nothing_shared_needs_nothing() -> None:
    found = _place((locked("a"), [_file("/usr/a")]), (locked("b"), [_file("/usr/b")]))
    assert list(found.values()) == [Placement(), Placement()]


def test_conflict_is_refused_whatever_the_spelling() -> None:
    one, two = locked("one"), locked("two")
    with pytest.raises(PackageError) as caught:
        _place((one, [_file("/bin/x", "1")]), (two, [_file("/usr/bin/x", "2")]))
    assert caught.value.reason == "file-conflict"


def test_replacer_wins_and_the_loser_forgets() -> None:
    old, new = locked("old", "1.0"), locked("new", Replaces="old (<< 2.0)")
    for order in ([(old, [_file("/x", "o")]), (new, [_file("/x", "n")])],):
        found = _place(*order)
        assert found["old"].skip == {"x"}
        assert found["old"].lost == {"/x"}
        assert found["new"].skip == set()
    found = _place((new, [_file("/x", "n")]), (old, [_file("/x", "o")]))
    assert found["old"].lost == {"/x"}
    assert found["new"].skip == set()


def test_version_of_replaces_counts() -> None:
    old, new = locked("old", "3.0"), locked("new", Replaces="old (<< 2.0)")
    with pytest.raises(PackageError):
        _place((old, [_file("/x", "o")]), (new, [_file("/x", "n")]))


@pytest.mark.parametrize(
    ("operator", "fits"),
    [("<<", False), ("<=", True), ("=", True), (">=", True), (">>", False)],
)
def test_operators(operator: str, fits: bool) -> None:
    old, new = locked("old", "2.0"), locked("new", Replaces=f"old ({operator} 2.0)")
    pairs = ((old, [_file("/x", "o")]), (new, [_file("/x", "n")]))
    if fits:
        assert _place(*pairs)["old"].lost == {"/x"}
    else:
        with pytest.raises(PackageError):
            _place(*pairs)


def test_multi_arch_same_shares_equal_files_only() -> None:
    one = locked("lib", architecture="amd64", multi_arch="same")
    two = locked("lib", architecture="i386", multi_arch="same")
    trees = {p.sha256: _tree(p, _file("/usr/share/doc/lib/c", "same")) for p in (one, two)}
    found = place([one, two], trees, (), _compare)
    assert found[two.key].skip == {"usr/share/doc/lib/c"}
    assert found[two.key].lost == set()
    trees[two.sha256] = _tree(two, _file("/usr/share/doc/lib/c", "other"))
    with pytest.raises(PackageError):
        place([one, two], trees, (), _compare)


def test_diversions_move_other_packages_files() -> None:
    diversions = [Diversion("/bin/tool", "/bin/tool.real", "diverter")]
    found = _place(
        (locked("plain"), [_file("/bin/tool", "p")]),
        (locked("diverter"), [_file("/usr/bin/tool", "d")]),
        diversions=diversions,
    )
    assert found["plain"].renames == {"usr/bin/tool": "usr/bin/tool.real"}
    assert found["diverter"].renames == {}


def test_directory_over_link_goes_through_it() -> None:
    link = PathEntry("/usr/alias", "l", "real", 0o777)
    found = _place(
        (locked("a"), [PathEntry("/usr", "d"), PathEntry("/usr/real", "d"), link]),
        (
            locked("b"),
            [PathEntry("/usr", "d"), PathEntry("/usr/alias", "d"), _file("/usr/alias/f")],
        ),
    )
    assert found["b"].renames == {"usr/alias/f": "usr/real/f"}


def test_link_over_directory_leaves_the_directory() -> None:
    link = PathEntry("/usr/place", "l", "elsewhere", 0o777)
    found = _place((locked("a"), [PathEntry("/usr/place", "d")]), (locked("b"), [link]))
    assert found["b"].skip == {"usr/place"}


def test_file_over_directory_is_refused() -> None:
    with pytest.raises(PackageError):
        _place((locked("a"), [PathEntry("/usr/place", "d")]), (locked("b"), [_file("/usr/place")]))


def test_list_without_lost_paths() -> None:
    entries = [PathEntry("/.", "d"), _file("/a"), _file("/b")]
    assert owned(entries, {"/a"}) == "/.\n/b\n"
