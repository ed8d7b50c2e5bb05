"""Where a package is that the sources do not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.archive.elsewhere import elsewhere, tell
from dolmen.support.errors import SolveError

STANZAS = """Package: {first}
Version: 1.0-1
Architecture: amd64

Package: wanted-extra
Version: 9

Package: {last}
Architecture: amd64
Version: 2.0-3

"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Indexes of three suites."""
    for directory, suite, first, last in (
        ("a", "old", "other", "another"),
        ("b", "new", "wanted", "other"),
        ("b", "new-security", "other", "wanted"),
    ):
        lists = tmp_path / directory / "lists"
        lists.mkdir(parents=True, exist_ok=True)
        head = lists / f"a.example_debian_dists_{suite}_"
        Path(f"{head}main_binary-amd64_Packages").write_text(STANZAS.format(first=first, last=last))
        Path(f"{head}InRelease").write_text(
            f"Suite: {suite}\nDate: Sat, 14 Nov 2026 10:00:00 UTC\n"
        )
    (tmp_path / "b" / "lists" / "a.example_debian_dists_none_main_binary-amd64_Packages").touch()
    return tmp_path


def test_first_and_last_stanzas_are_found(state: Path) -> None:
    found = elsewhere(state, "wanted")
    assert [(place.suite, place.version, place.date) for place in found] == [
        ("new", "1.0-1", "14 Nov 2026"),
        ("new-security", "2.0-3", "14 Nov 2026"),
    ]
    assert [place.suite for place in elsewhere(state, "another")] == ["old"]


def test_a_part_of_a_name_is_no_name(state: Path) -> None:
    assert elsewhere(state, "wante") == []
    assert elsewhere(state, "anted-extra") == []


def test_own_suites_do_not_count(state: Path) -> None:
    assert elsewhere(state, "wanted", but=["new", "new-security"]) == []
    assert elsewhere(state / "missing", "wanted") == []


def test_the_error_names_the_suite_and_what_to_type(state: Path) -> None:
    error = SolveError(
        "there is no package wanted in old",
        reason="unknown-package",
        context="wanted:amd64",
        details=["did you mean want?"],
        hint="no",
    )
    told = tell(error, state, but=["old"])
    assert told.details[0].startswith("new has it: 1.0-1 (14 Nov 2026)")
    assert (told.hint or "").endswith("--suite new")


def test_other_errors_stay_as_they_are(state: Path) -> None:
    error = SolveError("no", reason="unsatisfiable", context="wanted", hint="hint")
    assert tell(error, state, but=()).hint == "hint"
    unknown = SolveError("no", reason="unknown-package", context="nowhere", hint="hint")
    assert (tell(unknown, state, but=()).hint, unknown.details) == ("hint", ())
