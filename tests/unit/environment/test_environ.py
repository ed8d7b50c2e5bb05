from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.environment.environ import is_for_host, render
from dolmen.support.errors import DeclarationError

NAMES = st.from_regex(r"[A-Z]{3}_X[a-z0-9_]{0,8}", fullmatch=True)


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_characters="\0"))))
def test_round_trip(variables: dict[str, str]) -> None:
    text = render(variables)
    assert dict(item.split("=", 1) for item in text.split("\0")[:-1]) == {
        name: value for name, value in variables.items() if is_for_host(name)
    }


@pytest.mark.parametrize("name", ["A B", "", "1A", "A=1;id", "BASH_FUNC_x%%", "A\n", "é"])
def test_names_that_are_none(name: str) -> None:
    assert render({"A": "1"}) == "A=1\0"
    with pytest.raises(DeclarationError) as caught:
        render({name: "1"})
    assert caught.value.reason == "bad-variable"


def test_no_nul() -> None:
    with pytest.raises(DeclarationError) as caught:
        render({"A": "x\0y"})
    assert caught.value.reason == "bad-text"


@pytest.mark.parametrize(
    "name",
    ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "PS1", "_DOLMEN_DIR", "IFS"],
)
def test_what_stays_inside(name: str) -> None:
    assert render({name: "/x", "EDITOR": "vi"}) == "EDITOR=vi\0"
