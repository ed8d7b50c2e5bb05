import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.model.stanza import parse_stanzas, render_stanza

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True)


def values(text: str) -> list[dict[str, str]]:
    stanzas, faults = parse_stanzas(text)
    assert faults == ()
    return [{field.name: field.value for field in stanza.fields} for stanza in stanzas]


def faults(text: str) -> list[int]:
    return [line for line, _what in parse_stanzas(text)[1]]


def test_fields_continuations_comments_and_blank_lines() -> None:
    text = "\n\nA: 1\n# no\nb:\tx  \n y\n .\n  z\n \t\nC:\n"
    assert values(text) == [{"A": "1", "b": "x\ny\n\n z"}, {"C": ""}]


def test_lines_are_counted_from_one() -> None:
    (first, second), _ = parse_stanzas("\nA: 1\nB: 2\n\n\nA: 3\n")
    assert (first.line, second.line) == (2, 6)
    assert [field.line for field in first.fields] == [2, 3]


def test_names_are_found_in_any_case() -> None:
    (stanza,), _ = parse_stanzas("Multi-Arch: same")
    field = stanza.find("multi-ARCH")
    assert field is not None
    assert field.value == "same"
    assert stanza.find("Multi") is None


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("A: 1\na: 2\n", [2]),
        ("no colon\n", [1]),
        (" continuation first\n", [1]),
        ("A: 1\n\n  x\n", [3]),
        ("A: \x1b[31m\n", [1]),
        ("A: 1\r\n", [1]),
        ("A: 1\x00\n", [1]),
        (": empty name\n", [1]),
        ("A b: 1\n", [1]),
        ("-----BEGIN PGP SIGNED MESSAGE-----\n\nA: 1\nä: 2\nB 3\n", [1, 4, 5]),
    ],
)
def test_every_fault_has_its_line(text: str, lines: list[int]) -> None:
    assert faults("A: fine\n") == []
    assert faults(text) == lines


@given(
    st.lists(
        st.dictionaries(
            NAMES.filter(lambda name: name.islower()),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
            min_size=1,
        ),
        max_size=3,
    )
)
def test_what_is_written_is_readable(stanzas: list[dict[str, str]]) -> None:
    text = "\n".join(render_stanza(list(stanza.items())) for stanza in stanzas)
    found, wrong = parse_stanzas(text)
    assert wrong == ()
    written = [[name for name, value in stanza.items() if value] for stanza in stanzas]
    read = [[field.name for field in stanza.fields] for stanza in found]
    assert read == [names for names in written if names]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
            lambda line: line.strip(" ") not in ("", ".") and line == line.strip(" ")
        ),
        min_size=1,
    )
)
def test_lines_round_trip(lines: list[str]) -> None:
    value = "\n".join(lines)
    assert values(render_stanza([("A", value), ("B", f"\n{value}\n\nend")])) == [
        {"A": value, "B": f"\n{value}\n\nend"}
    ]


def test_control_characters_are_written_as_replacements() -> None:
    assert values(render_stanza([("A", "x\x1b[31m\x07\r")])) == [{"A": "x\ufffd[31m\ufffd\ufffd"}]
