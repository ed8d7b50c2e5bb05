import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.model.spec import Spec, parse_spec
from dolmen.support.errors import DeclarationError
from tests.unit.model.strategies import SPECS


@given(SPECS)
def test_round_trip(spec: Spec) -> None:
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("python3", Spec("python3")),
        ("g++", Spec("g++")),
        # On apt's command line this would remove vim; Policy 5.6.1 makes it a name.
        ("vim-", Spec("vim-")),
        ("libc6:i386", Spec("libc6", architecture="i386")),
        ("curl=7.88.1-10+deb12u5", Spec("curl", version="7.88.1-10+deb12u5")),
        ("vim=2:9.0~rc1-1", Spec("vim", version="2:9.0~rc1-1")),
        ("git/bookworm-backports", Spec("git", suite="bookworm-backports")),
        ("libc6:i386=2.36-9", Spec("libc6", "i386", "2.36-9")),
    ],
)
def test_accepted(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "-o=APT::Update::Pre-Invoke::=id",
        "--x",
        "-y",
        "a;id",
        "ab cd",
        "ab\n",
        "ab\ncd",
        "ab*",
        "ab[1]",
        "../x.deb",
        "./x.deb",
        "/etc/passwd",
        "~nvim",
        "?name(vim)",
        "^desktop",
        "vim+=",
        "Vim",
        "vím",
        "vim\x1b[0m",
        "vim=",
        "vim=;id",
        "vim=-1",
        "vim=1 2",
        "vim=1:2:3",
        "vim/",
        "vim/../x",
        "vim/a/b",
        "vim:",
        "vim:-o",
        "vim:AMD64",
        "vim=1/trixie",
        "vim\u200b",
        "x" * 513,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_spec(text)
    assert caught.value.reason == "bad-spec"
    assert caught.value.exit_code == 3
    assert len(caught.value.message) < 500


@given(st.text())
def test_any_text_is_a_spec_or_an_error(text: str) -> None:
    with contextlib.suppress(DeclarationError):
        assert str(parse_spec(text)) == text
