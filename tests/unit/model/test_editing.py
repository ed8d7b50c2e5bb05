from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.model.editing import add_packages, change_suite, new_manifest, remove_packages
from dolmen.model.manifest import Manifest, parse_manifest
from dolmen.model.spec import Spec, parse_spec
from dolmen.support.errors import DeclarationError
from tests.unit.model.strategies import SPECS

TEXT = """\
# ours
suite = "bookworm"   # stable
packages = [
    "jq",       # for the API
    # pinned: see the changelog
    "curl=7.88",
]
[[sources]]
uris = ["http://archive.example/debian"]  # near us
suites = ["bookworm"]
"""


def specs(*texts: str) -> list[Spec]:
    return [parse_spec(text) for text in texts]


def names(text: str) -> list[str]:
    return [str(spec) for spec in parse_manifest(text).packages]


def test_a_new_manifest_is_empty_and_valid() -> None:
    assert parse_manifest(new_manifest("trixie")) == Manifest(suite="trixie")


def test_adding_keeps_comments_order_and_layout() -> None:
    text = add_packages(TEXT, specs("git", "vim/trixie"))
    assert names(text) == ["jq", "curl=7.88", "git", "vim/trixie"]
    assert text.startswith(TEXT[: TEXT.index("]")])
    assert text.endswith(TEXT[TEXT.index("[[sources]]") :])


def test_adding_what_is_there_changes_nothing_or_only_its_version() -> None:
    assert add_packages(TEXT, specs("jq", "curl=7.88")) == TEXT
    assert add_packages(TEXT, specs("curl")) == TEXT.replace("curl=7.88", "curl")
    both = add_packages(TEXT, specs("jq:i386"))
    assert names(both) == ["jq", "curl=7.88", "jq:i386"]


def test_adding_where_there_is_no_list_yet_comes_before_the_tables() -> None:
    text = 'suite = "sid"\n[[sources]]\nuris = ["http://a.example/"]\nsuites = ["sid"]\n'
    assert names(add_packages(text, specs("jq"))) == ["jq"]


def test_removing_keeps_the_rest() -> None:
    assert names(remove_packages(TEXT, ["jq"])) == ["curl=7.88"]
    assert "# pinned" in remove_packages(TEXT, ["jq"])
    assert names(remove_packages(TEXT, ["curl", "jq"])) == []
    assert remove_packages(add_packages(TEXT, specs("git")), ["git"]) == TEXT


def test_removing_by_architecture() -> None:
    text = add_packages(new_manifest("sid"), specs("libc6:i386", "libc6:amd64"))
    assert names(remove_packages(text, ["libc6:amd64"])) == ["libc6:i386"]


@pytest.mark.parametrize("name", ["git", "jq:i386"])
def test_removing_what_is_not_there_is_an_error(name: str) -> None:
    assert names(remove_packages(TEXT, ["jq"])) == ["curl=7.88"]
    with pytest.raises(DeclarationError) as caught:
        remove_packages(TEXT, [name])
    assert caught.value.reason == "not-in-manifest"


@pytest.mark.parametrize("text", ["", "suite = 1", "no toml"])
def test_what_is_no_manifest_is_not_edited(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        add_packages(text, specs("jq"))
    assert caught.value.reason == "bad-manifest"


@given(st.lists(SPECS, unique_by=lambda spec: (spec.name, spec.architecture), max_size=6))
def test_adding_and_removing_again(wanted: list[Spec]) -> None:
    text = add_packages(new_manifest("sid"), wanted)
    assert parse_manifest(text).packages == tuple(wanted)
    for spec in wanted:
        name = f"{spec.name}:{spec.architecture}" if spec.architecture else spec.name
        remaining = parse_manifest(remove_packages(text, [name])).packages
        assert len(remaining) == len(wanted) - 1


def test_another_suite_keeps_comments_and_takes_along_what_is_built_on_the_old() -> None:
    text = TEXT.replace('"jq",', '"jq/bookworm-backports",') + 'signed-by = "/bookworm.gpg"\n'
    text = text.replace('suites = ["bookworm"]', 'suites = ["bookworm", "bookworm-updates", "x"]')
    after = change_suite(text, "trixie")
    assert after == (
        text.replace('suite = "bookworm" ', 'suite = "trixie" ')
        .replace("jq/bookworm-backports", "jq/trixie-backports")
        .replace('"bookworm", "bookworm-updates"', '"trixie", "trixie-updates"')
    )
    assert change_suite(after, "trixie") == after


def test_groups_and_pins_follow_too() -> None:
    text = TEXT + (
        '[groups.dev]\npackages = ["gdb/bookworm-backports", "strace"] # tools\n'
        '[pins]\n"linux-*" = "/bookworm-backports 900"\ncurl = "=7.88*"\nvim = "/bookworm"\n'
    )
    after = change_suite(text, "trixie")
    assert '["gdb/trixie-backports", "strace"] # tools' in after
    assert '"/trixie-backports 900"\ncurl = "=7.88*"\nvim = "/trixie"\n' in after


def test_a_suite_must_look_like_one() -> None:
    with pytest.raises(DeclarationError):
        change_suite(TEXT, 'x"\npackages = ["evil"]')
