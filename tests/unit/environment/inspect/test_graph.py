"""Who needs whom: chains, trees, circles, and names that are not there."""

from __future__ import annotations

import pytest

from dolmen.environment.inspect.graph import Graph, Node, tree
from dolmen.model import Lock
from dolmen.support.errors import DeclarationError
from tests.lib.locks import lock_of, locked


@pytest.fixture
def lock() -> Lock:
    return lock_of(
        locked("base", essential=True, Depends="libc"),
        locked("curl", requested=True, Depends="libcurl (>= 1), libc"),
        locked("libcurl", Depends="libssl | libgnutls, libc"),
        locked("libssl", Depends="libc"),
        locked("libc", Depends="libgcc"),
        locked("libgcc", Depends="libc"),
        locked("mail", requested=True, Depends="mta", Recommends="docs"),
        locked("postfix", Provides="mta (= 1)"),
        locked("docs"),
        locked("orphan"),
    )


def key(name: str) -> tuple[str, str]:
    return (name, "amd64")


def names(nodes: tuple[Node, ...]) -> list[str]:
    return [node.name for node in nodes]


def test_a_shortest_chain_from_each_start(lock: Lock) -> None:
    graph = Graph(lock)
    found = graph.chains(key("libssl"), graph.roots())
    assert list(found) == [key("curl")]
    assert [edge.target[0] for edge in found[key("curl")]] == ["libcurl", "libssl"]
    assert found[key("curl")][1].clause == "libssl | libgnutls"
    assert set(graph.chains(key("libc"), graph.roots())) == {key("base"), key("curl")}
    assert graph.chains(key("orphan"), graph.roots()) == {}


def test_provided_names_and_recommendations_count(lock: Lock) -> None:
    graph = Graph(lock)
    (edge,) = graph.chains(key("postfix"), graph.roots())[key("mail")]
    assert (edge.field, edge.clause) == ("Depends", "mta")
    (edge,) = graph.chains(key("docs"), graph.roots())[key("mail")]
    assert edge.field == "Recommends"


def test_a_chain_of_needs_goes_before_a_shorter_recommendation() -> None:
    graph = Graph(
        lock_of(
            locked("a", requested=True, Depends="b", Recommends="c"),
            locked("b", Depends="c"),
            locked("c"),
        )
    )
    (chain,) = graph.chains(key("c"), graph.roots()).values()
    assert [edge.field for edge in chain] == ["Depends", "Depends"]


def test_finding(lock: Lock) -> None:
    graph = Graph(lock)
    assert graph.find("curl:amd64").name == "curl"
    assert graph.find("mta").name == "postfix"
    for name in ("crul", "curl:i386", "nothing-like-it"):
        with pytest.raises(DeclarationError) as caught:
            graph.find(name)
        assert caught.value.reason == "not-installed"


def test_trees_mark_circles_and_what_was_shown(lock: Lock) -> None:
    (root,) = tree(Graph(lock), [key("curl")])
    libc, libcurl = root.children
    (libgcc,) = libc.children
    assert [(node.name, node.mark) for node in libgcc.children] == [("libc", "circle")]
    assert [(node.name, node.mark) for node in libcurl.children] == [
        ("libc", "above"),
        ("libssl", ""),
    ]
    assert libcurl.relation == "libcurl (>= 1)"


def test_depth(lock: Lock) -> None:
    (root,) = tree(Graph(lock), [key("curl")], depth=1)
    assert names(root.children) == ["libc", "libcurl"]
    assert all(not child.children for child in root.children)


def test_inverted(lock: Lock) -> None:
    (root,) = tree(Graph(lock), [key("libssl")], invert=True)
    assert names(root.children) == ["libcurl"]
    assert names(root.children[0].children) == ["curl"]


def test_a_long_chain_ends(lock: Lock) -> None:
    links = [locked(f"p{n}", Depends=f"p{n + 1}") for n in range(3000)]
    (root,) = tree(Graph(lock_of(*links, locked("p3000"))), [key("p0")])
    assert root.name == "p0"
