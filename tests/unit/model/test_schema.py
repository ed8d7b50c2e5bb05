"""The schema for editors is the model's, up to date, and never stricter than the parser."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dolmen.model.manifest import DEB_KEYS, GROUP_KEYS, KEYS, SOURCE_KEYS, parse_manifest
from dolmen.model.schema import render_schema, schema
from dolmen.support.errors import DeclarationError
from tests.unit.model.examples import MACHINE, MORE
from tests.unit.model.strategies import SPECS
from tests.unit.model.test_growth import PINS
from tests.unit.model.test_manifest import FULL

jsonschema = pytest.importorskip("jsonschema")
FILE = Path(__file__).resolve().parents[3] / "docs/dolmen.schema.json"
SCHEMA = schema()


def is_valid(data: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft7Validator(SCHEMA).is_valid(data))


def test_it_is_a_schema_and_the_file_is_up_to_date() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert json.loads(render_schema()) == SCHEMA
    assert FILE.read_text() == render_schema(), "dolmen schema >docs/dolmen.schema.json"


def test_it_has_every_key_and_no_other() -> None:
    found = SCHEMA["properties"]
    assert found.keys() == KEYS
    assert found["sources"]["items"]["properties"].keys() == SOURCE_KEYS
    assert found["debs"]["items"]["properties"].keys() == DEB_KEYS
    (group,) = found["groups"]["patternProperties"].values()
    assert group["properties"].keys() == GROUP_KEYS
    assert all("description" in value for value in found.values())


@pytest.mark.parametrize(
    "text",
    [FULL, MORE, MORE + MACHINE, 'suite = "sid"'],
    ids=["full", "more", "machine", "smallest"],
)
def test_examples_are_valid(text: str) -> None:
    parse_manifest(text)
    assert is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('suite = "bookworm"', ""),
        ('"postgresql"', '"~nvim"'),
        ("[amd64]", "[AMD]"),
        ('"14d"', '"0d"'),
        ("persist", "persists"),
        ("/srv/data", "srv"),
        ("PGDATA =", "LD_PRELOAD ="),
        ("PGDATA =", "PATH ="),
        ("PGDATA =", '"A B" ='),
        ('"=7.88*"', "0"),
        ('"=7.88*"', '"7.88"'),
        ("priority = 100", "priority = 1.5"),
        ("keys/vendor.asc", "../vendor.asc"),
        ("debs/tool", "/debs/tool"),
        ("[groups.dev]", "[groups.dev]\nx = 1"),
        ('k = "', '"../k" = "'),
        ('test = "pytest -x"', "test = 1"),
    ],
)
def test_it_refuses_what_the_parser_refuses(old: str, new: str) -> None:
    text = MORE.replace(old, new, 1)
    assert text != MORE
    with pytest.raises(DeclarationError):
        parse_manifest(text)
    assert not is_valid(tomllib.loads(text))


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), st.text(max_size=5), SPECS.map(str)),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["packages", "path", "uris", "A", "x"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(st.dictionaries(st.sampled_from(sorted(KEYS)), VALUES, max_size=3), st.lists(PINS))
def test_what_parses_is_valid(data: dict[str, Any], pins: list[Any]) -> None:
    import tomlkit

    data = {"suite": "sid", "pins": {p.package: str(p) for p in pins if p.version}} | data
    try:
        parse_manifest(tomlkit.dumps(data))
    except DeclarationError:
        return
    assert is_valid(data)
