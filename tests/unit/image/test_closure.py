"""The configuration order and the base are functions of the lock."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from dolmen.image.closure import base_packages, configuration_order, dependencies
from tests.lib.locks import lock_of, locked


def _names(packages: object) -> list[str]:
    return [p.name for p in packages]  # type: ignore[attr-defined]


def test_dependencies_come_first_and_ties_by_name() -> None:
    lock = lock_of(
        locked("app", Depends="libz, liba"),
        locked("libz"),
        locked("liba", Pre_Depends="libc"),
        locked("libc"),
    )
    assert _names(configuration_order(lock)) == ["libc", "liba", "libz", "app"]


def test_the_order_of_the_stanzas_makes_no_difference() -> None:
    packages = [locked(f"p{i}", Depends=f"p{(i * 7 + 3) % 40}") for i in range(40)]
    expected = _names(configuration_order(lock_of(*packages)))
    for seed in range(5):
        random.Random(seed).shuffle(packages)
        assert _names(configuration_order(lock_of(*packages))) == expected


@given(st.dictionaries(st.integers(0, 15), st.sets(st.integers(0, 15))))
def test_every_package_comes_once_and_acyclic_parts_are_ordered(
    graph: dict[int, set[int]],
) -> None:
    packages = [
        locked(f"n{i}", Depends=", ".join(f"n{j}" for j in graph.get(i, ()) if j < i))
        for i in range(16)
    ]
    order = _names(configuration_order(lock_of(*packages)))
    assert sorted(order) == sorted(p.name for p in packages)
    for i in range(16):
        for j in graph.get(i, ()):
            if j < i:
                assert order.index(f"n{j}") < order.index(f"n{i}")


def test_circles_end() -> None:
    lock = lock_of(locked("a", Depends="b"), locked("b", Depends="a"))
    assert sorted(_names(configuration_order(lock))) == ["a", "b"]


def test_first_alternative_that_the_lock_holds_counts() -> None:
    lock = lock_of(locked("base", Depends="gone | gawk | mawk"), locked("mawk"), locked("gawk"))
    assert dependencies(lock)["base", "amd64"] == (("gawk", "amd64"),)


def test_virtual_packages_are_found_by_their_providers() -> None:
    lock = lock_of(locked("base", Depends="awk"), locked("mawk", Provides="awk"))
    assert dependencies(lock)["base", "amd64"] == (("mawk", "amd64"),)


def test_base_is_essential_and_what_it_needs() -> None:
    lock = lock_of(
        locked("bash", essential=True, Depends="libc"),
        locked("libc"),
        locked("python", Depends="libc", requested=True),
    )
    assert _names(base_packages(lock)) == ["libc", "bash"]


def test_same_architecture_is_preferred() -> None:
    lock = lock_of(
        locked("app", architecture="i386", Depends="libc"),
        locked("libc", architecture="amd64", multi_arch="same"),
        locked("libc", architecture="i386", multi_arch="same"),
    )
    assert dependencies(lock)["app", "i386"] == (("libc", "i386"),)


def test_what_else_there_is_makes_no_difference_to_the_base() -> None:
    base = (locked("mawk", essential=True), locked("zsh", essential=True))
    more = lock_of(*base, locked("app", Depends="zsh"))
    # By the order of the whole lock zsh would come first, as app, the first by name, needs it.
    assert _names(configuration_order(more)) == ["zsh", "app", "mawk"]
    assert base_packages(more) == base_packages(lock_of(*base)) == base
