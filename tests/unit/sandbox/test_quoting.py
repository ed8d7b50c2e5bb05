from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolmen.sandbox.quoting import is_variable, label, quote, words
from dolmen.support.errors import DeclarationError

TEXT = st.text(
    st.one_of(
        st.sampled_from("'\"\\$`!*?[]{}()<>|&;~#= \t\n\r\x1b%-"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=40,
)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@settings(max_examples=25)
@given(items=st.lists(TEXT, max_size=6))
def test_a_shell_reads_back_the_same_words(shell: str, items: list[str]) -> None:
    script = f"printf '%s\\0' x {words(items)}"
    done = subprocess.run([shell, "-c", script], capture_output=True, timeout=20, check=True)
    assert done.stdout.decode().split("\0")[1:-1] == items


def test_plain_words_stay_plain() -> None:
    assert quote("/usr/lib/x86_64-linux-gnu") == "/usr/lib/x86_64-linux-gnu"
    assert quote("") == "''"
    assert quote("$(id)") == "'$(id)'"


def test_nul_is_refused() -> None:
    with pytest.raises(DeclarationError) as caught:
        quote("a\0b")
    assert caught.value.reason == "bad-text"


@pytest.mark.parametrize("name", ["A", "_", "PYTHONPATH", "a1"])
def test_variables(name: str) -> None:
    assert is_variable(name)


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=1;id", "BASH_FUNC_x%%", "A\n", "É"])
def test_no_variables(name: str) -> None:
    assert not is_variable(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("foo", "foo"),
        ("$(id)`x`", "id-x"),
        ("a\x1b]0;b\x07", "a-0-b"),
        ("", "dolmen"),
        ("é", "dolmen"),
    ],
)
def test_labels_mean_nothing_to_a_prompt(name: str, shown: str) -> None:
    assert label(name) == shown
