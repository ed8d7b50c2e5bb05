"""A lock that calls a package what it is not, though its checksum fits."""

from __future__ import annotations

import dataclasses

import pytest

from dolmen.image.build import _check
from dolmen.model import Sha256
from dolmen.store import PackageTree
from dolmen.support.errors import PackageError
from tests.lib.locks import locked

CONTROL = "Package: tool\nVersion: 1:1.0-1\nArchitecture: all\nDescription: a\n Version: 2\n"


@pytest.mark.parametrize(
    "other", [{"name": "tools"}, {"version": "1:1.0-2"}, {"architecture": "amd64"}]
)
def test_a_lock_that_tells_another_story_is_refused(other: dict[str, str]) -> None:
    package = locked("tool", "1:1.0-1", "all")
    tree = PackageTree(package.sha256, CONTROL, {}, (), {}, Sha256(""))
    _check(tree, package)
    with pytest.raises(PackageError) as caught:
        _check(tree, dataclasses.replace(package, **other))  # type: ignore[arg-type]
    assert caught.value.reason == "not-as-locked"
    assert caught.value.message.startswith("tool")
    assert caught.value.hint is not None
