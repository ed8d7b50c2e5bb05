import inspect
import re

import pytest

from dolmen.support import errors
from dolmen.support.errors import DolmenError

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, DolmenError)
]


def test_every_class_has_its_own_exit_code_and_reason() -> None:
    assert len({c.exit_code for c in CLASSES}) == len(CLASSES) >= 10
    assert len({c.default_reason for c in CLASSES}) == len(CLASSES)
    # 126 and above belong to the shell and to signals; a missing command is sh's own 127.
    assert all(0 < c.exit_code < 100 for c in CLASSES if c is not errors.CommandError)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", c.default_reason) for c in CLASSES)


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_carries_what_the_user_needs(error_class: type[DolmenError]) -> None:
    error = error_class("what", context="where", hint="dolmen list", details=["a", "b"])
    assert str(error) == error.message == "what"
    assert error.reason == error_class.default_reason
    assert (error.context, error.hint, error.details) == ("where", "dolmen list", ("a", "b"))
    assert error_class("what", reason="own-reason").reason == "own-reason"
