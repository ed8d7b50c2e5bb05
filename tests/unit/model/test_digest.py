import hashlib

import pytest

from dolmen.model.digest import digest_text, parse_sha256


def test_digest_of_a_text_is_that_of_its_utf8() -> None:
    assert digest_text("ä") == hashlib.sha256("ä".encode()).hexdigest()
    assert parse_sha256(digest_text("")) == digest_text("")


@pytest.mark.parametrize("text", ["", "ab" * 31, "AB" * 32, "ab" * 32 + "\n", "g0" * 32, "ab" * 33])
def test_what_is_no_digest_is_refused(text: str) -> None:
    assert parse_sha256("ab" * 32)
    with pytest.raises(ValueError, match="not a SHA-256 digest"):
        parse_sha256(text)
