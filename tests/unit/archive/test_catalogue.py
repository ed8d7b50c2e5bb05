"""Reading a catalogue: ranks, versions, providers, and catalogues that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolmen.archive.alternatives import alternatives
from dolmen.archive.catalogue import FORMAT, Catalogue, _open, identity

LINES = (
    ("jq", "command-line JSON processor", "*", "amd64", "1.6-2", 0, 0, 20, 111, ""),
    ("jq", "command-line JSON processor", "", "amd64", "1.5-1", 0, 20, 20, 111, ""),
    ("jq-tools", "more of it", "*", "all", "1-1", 0, 40, 20, 5, ""),
    ("libjq1", "library for JSON", "*", "amd64", "1.6-2", 0, 60, 20, 100, ""),
    ("mawk", "pattern scanning", "*", "amd64", "1.3-1", 0, 80, 20, 100, "awk"),
    ("python-jq", "binding", "*", "amd64", "1-1", 0, 90, 20, 100, ""),
    ("xjqx", "odd", "*", "amd64", "1-1", 0, 100, 20, 100, "awkward"),
    ("zzz", "reads what jq writes", "*", "amd64", "1-1", 0, 120, 20, 100, ""),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.json").write_text("{}")
    write(tmp_path)
    return tmp_path


def write(root: Path, **changes: object) -> None:
    body = "".join("\t".join(map(str, line)) + "\n" for line in LINES)
    header = {
        "format": FORMAT,
        "index": identity(root / "index.json"),
        "fetched": 5,
        "files": [{"file": "x_Packages", "suite": "stable-updates"}],
        "size": len(body),
        **changes,
    }
    (root / "catalogue.x").write_text(json.dumps(header) + "\n" + body)


def opened(root: Path) -> Catalogue:
    found = _open(root / "catalogue.x")
    assert found is not None
    return found


def names(root: Path, *words: str) -> list[str]:
    return [offer.name for offer in opened(root).search(words)[1]]


def test_ranks(root: Path) -> None:
    assert names(root, "jq") == ["jq", "jq-tools", "python-jq", "xjqx", "libjq1", "zzz"]
    assert names(root, "JQ")[0] == "jq"


def test_all_words_count(root: Path) -> None:
    assert names(root, "json", "library") == ["libjq1"]
    assert names(root, "json", "nothing") == []
    assert names(root, "jq", "tools")[0] == "jq-tools"
    assert names(root) == []


def test_only_names_and_descriptions_count(root: Path) -> None:
    assert names(root, "amd64") == []
    assert names(root, "1.6-2") == []


def test_a_limit_and_how_many_there_are(root: Path) -> None:
    total, found = opened(root).search(["jq"], limit=2)
    assert total == 6
    assert [offer.name for offer in found] == ["jq", "jq-tools"]


def test_offers(root: Path) -> None:
    found = opened(root).offers("jq")
    assert [(offer.version, offer.chosen) for offer in found] == [("1.6-2", True), ("1.5-1", False)]
    assert found[0].suite == "stable-updates"
    assert opened(root).offers("j") == []
    assert opened(root).offers("q-tools") == []


def test_providers_are_named_whole(root: Path) -> None:
    assert [offer.name for offer in opened(root).providers("awk")] == ["mawk"]
    assert opened(root).providers("aw") == []


def test_stanzas(root: Path) -> None:
    (root / "lists").mkdir()
    (root / "lists/x_Packages").write_text("Package: jq\nSize: 1\n\n")
    offer = opened(root).offers("jq")[0]
    assert opened(root).stanza(offer).startswith("Package: jq\n")
    (root / "lists/x_Packages").write_text("Package: other\nSize: 1\n\n")
    assert opened(root).stanza(offer) == ""


@pytest.mark.parametrize("change", [{"format": 99}, {"size": 1}, {"index": [0, 0]}])
def test_what_does_not_fit_is_made_again(root: Path, change: dict[str, object]) -> None:
    assert _open(root / "catalogue.x") is not None
    write(root, **change)
    assert _open(root / "catalogue.x") is None


def test_alternatives_have_one_place_each() -> None:
    assert alternatives("vi")[0] == "vim"
    assert "mawk" in alternatives("awk")
    assert alternatives("jq") == ()
