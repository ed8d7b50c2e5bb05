"""Groups, local .debs, scripts and the schema on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolmen.model.schema import schema
from tests.lib.debs import make_deb
from tests.unit.cli.conftest import Say


def test_groups(say: Say) -> None:
    say("init", "--suite", "bookworm")
    assert say("install", "jq").code == 0
    assert "+ curl 7.88.1-10\n" in say("install", "--group", "dev", "curl").out
    assert "[groups.dev]" in Path("dolmen.toml").read_text()
    assert "- curl 7.88.1-10\n" in say("sync", "--no-group", "dev").out
    assert say("sync", "--locked").out.startswith("Nothing to do")
    assert "+ curl 7.88.1-10\n" in say("install", "--group", "dev").out
    sizes = [entry["generation"]["packages"] for entry in say("generations", "--json").json]
    assert sorted(sizes)[-1] == 3
    said = say("sync", "--group", "docs", "--json")
    assert (said.code, said.json["error"]["reason"]) == (3, "unknown-group")
    assert say("install", "--group", "a", "--group", "b", "jq").code == 2


def test_lines_for_some_architectures(say: Say) -> None:
    say("init", "--suite", "bookworm")
    said = say("install", "jq [amd64]", "curl [!amd64]")
    assert said.code == 0
    assert "+ jq" in said.out
    assert "curl" not in said.out
    assert say("install", "jq [amd64 !i386]").code == 3


def test_local_debs(say: Say) -> None:
    say("init", "--suite", "bookworm")
    deb = make_deb(Path("debs").absolute(), "tool", "1.0", "amd64")
    said = say("install", "debs/tool_1.0_amd64.deb")
    assert said.code == 2
    assert "dolmen install ./debs/tool_1.0_amd64.deb" in said.err
    assert "+ tool 1.0\n" in say("install", "./debs/tool_1.0_amd64.deb", "jq").out
    assert 'path = "debs/tool_1.0_amd64.deb"' in Path("dolmen.toml").read_text()
    assert say("install", str(deb)).out.startswith("Nothing to do")
    assert "- tool 1.0\n" in say("remove", "./debs/tool_1.0_amd64.deb").out
    assert "debs" not in Path("dolmen.toml").read_text()
    said = say("remove", "./debs/tool_1.0_amd64.deb", "--json")
    assert said.json["error"]["reason"] == "not-in-manifest"


def test_the_schema(say: Say) -> None:
    assert json.loads(say("schema").out) == schema()


@pytest.mark.parametrize("key", ["env", "aliases"])
def test_allowing_shows_what_comes_with_it(say: Say, key: str) -> None:
    say("init", "--suite", "bookworm")
    manifest = Path("dolmen.toml")
    manifest.write_text(manifest.read_text() + f'[{key}]\nNAME = "a\\u001bb"\n')
    said = say("allow")
    assert said.code == 0
    assert "NAME" in said.out
    assert "\x1b" not in said.out
