"""The reader of documents with terminal sessions finds differences, or its users prove nothing."""

from __future__ import annotations

from pathlib import Path

from tests.lib.transcript import Step, read_steps


def test_steps(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(
        "```sh\n$ not this\n```\n```console\n$ a <<EOF\n> b\n> EOF\nout\n> no prompt\n\n$ c\n```\n"
    )
    first, second = read_steps(document)
    assert (first.command, first.line) == ("a <<EOF\nb\nEOF", 5)
    assert first.expected == "out\n> no prompt\n\n"
    assert (second.command, second.expected) == ("c", "")


def test_what_matches() -> None:
    step = Step("x", "a …\n…\nend\n", 1)
    assert step.matches("a 1 \nend\n")
    assert step.matches("a 1\nmore\nlines\nend")
    for other in ("", "a 1\n", "b 1\nend\n", "a 1\nend\nmore\n"):
        assert not step.matches(other), other
    assert Step("x", "", 1).matches("")
    assert not Step("x", "", 1).matches("anything\n")


def test_failures_are_shown_as_errors() -> None:
    assert Step("x", "error: no\n", 1).fails
    assert not Step("x", "no error: at all\n", 1).fails
