from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.model.manifest import DEB_KEYS, GROUP_KEYS, KEYS, SOURCE_KEYS, Manifest, parse_manifest
from dolmen.model.source import Source
from dolmen.model.spec import Spec
from dolmen.support.errors import DeclarationError
from tests.unit.model.examples import MACHINE, MORE
from tests.unit.model.strategies import SPECS

FULL = """\
format = 1
suite = "bookworm"
packages = ["python3", "libc6:i386", "curl=7.88.1-10+deb12u5"]
architecture = "amd64"
foreign-architectures = ["i386"]
recommends = true

[[sources]]
uris = ["http://archive.example/debian", "file:///srv/debian"]
suites = ["bookworm", "bookworm-updates"]
components = ["main", "contrib"]
signed-by = "/usr/share/keyrings/debian-archive-keyring.gpg"
snapshot = "20260131T000000Z"
valid-until-max = 86400
"""
PARSED = Manifest(
    suite="bookworm",
    packages=(
        Spec("python3"),
        Spec("libc6", "i386"),
        Spec("curl", version="7.88.1-10+deb12u5"),
    ),
    sources=(
        Source(
            uris=("http://archive.example/debian", "file:///srv/debian"),
            suites=("bookworm", "bookworm-updates"),
            components=("main", "contrib"),
            signed_by="/usr/share/keyrings/debian-archive-keyring.gpg",
            snapshot="20260131T000000Z",
            valid_until_max=86400,
        ),
    ),
    architecture="amd64",
    foreign_architectures=("i386",),
    recommends=True,
)


def refused(text: str) -> DeclarationError:
    with pytest.raises(DeclarationError) as caught:
        parse_manifest(text)
    assert caught.value.exit_code == 3
    return caught.value


def test_every_key_is_read() -> None:
    assert parse_manifest(FULL) == PARSED


def test_the_smallest_manifest() -> None:
    assert parse_manifest('suite = "trixie"') == Manifest(suite="trixie")


def test_the_examples_use_every_key_there_is() -> None:
    for key in KEYS | SOURCE_KEYS | GROUP_KEYS | DEB_KEYS:
        assert key in FULL + MORE + MACHINE


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ('suite = "bookworm"', 'suite = "book worm"', [2]),
        ('suite = "bookworm"', "suite = 12", [2]),
        ('suite = "bookworm"', "suite = no", None),
        ('suite = "bookworm"', 'suite = "bookworm"\nsuite = "trixie"', None),
        ('suite = "bookworm"\n', "", [1]),
        ('"python3"', '"-o=APT::Update::Pre-Invoke::=id"', [3]),
        ('"python3"', '"a;id"', [3]),
        ('"python3"', '"../x.deb"', [3]),
        ('"python3"', '"~nvim"', [3]),
        ('"python3"', "[[[[1]]]]", [3]),
        ('"python3"', "012", None),
        ('"python3"', "12", [3]),
        ('"python3"', '"python3", "python3/trixie"', [3]),
        ("packages = [", 'packages = "python3"\nold = [', [3, 4]),
        ("recommends = true", 'recommends = "yes"', [6]),
        ("recommends = true", "recommends = 1", [6]),
        ("recommends = true", "recomends = true", [6]),
        ("recommends = true", "recommends.x = true", [6]),
        ("recommends = true", 'recommends = true\ninclude = "/etc/shadow"', [7]),
        ('architecture = "amd64"', 'architecture = "../amd64"', [4]),
        ('["i386"]', '["i386", "I386"]', [5]),
        ('["i386"]', '"i386"', [5]),
        ('"http://archive.example/debian"', '"ftp://archive.example/debian"', [9]),
        ('"http://archive.example/debian"', '"http://a b/"', [9]),
        ('"http://archive.example/debian"', '"http://a/ [trusted=yes]"', [9]),
        ('uris = ["http://archive.example/debian", "file:///srv/debian"]\n', "", [8]),
        ('suites = ["bookworm", "bookworm-updates"]', "suites = []", [8]),
        ('"contrib"', '"con trib"', [11]),
        ("signed-by = ", "signed-by = 1 #", [12]),
        ('"/usr/share/keyrings', '"../usr', [12]),
        ("20260131T000000Z", "2026-01-31", [13]),
        ("20260131T000000Z", "20261331T000000Z", [13]),
        ("valid-until-max = 86400", "valid-until-max = -1", [14]),
        ("valid-until-max = 86400", "valid-until-max = true", [14]),
        ("valid-until-max = 86400", "trusted = true", [14]),
    ],
)
def test_a_fault_is_refused_with_its_line(old: str, new: str, lines: list[int] | None) -> None:
    assert FULL.count(old) >= 1
    error = refused(FULL.replace(old, new, 1))
    assert error.reason == "bad-manifest"
    if lines is not None:
        assert [int(d.split()[1].rstrip(":")) for d in error.details] == lines
    assert all(len(line) < 300 for line in error.details)


def test_all_faults_are_told_at_once_with_the_lines_of_their_tables() -> None:
    text = FULL.replace('"amd64"', '"AMD"') + '\n[[sources]]\nuris = ["x"]\nsnapshot = "nov"\n'
    error = refused(text)
    numbers = [int(d.split()[1].rstrip(":")) for d in error.details]
    assert numbers == [4, 16, 17, 18]


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 10_000 + "]" * 10_000,
        "x = " + "{a=" * 10_000,
        "a" + ".a" * 20_000 + " = 1",
        "x = " + "9" * 5000,
        "x = 2026-13-45",
        "\x00",
        "= 1",
        "#" * 2_000_000,
        '[[sources]]\nsuite = "x"\n[sources]\n',
        "<!doctype html>",
    ],
    ids=range(10),
)
def test_hostile_files_are_refused(text: str) -> None:
    error = refused(text)
    assert error.reason == "bad-manifest"
    assert len(error.message) < 400


@pytest.mark.parametrize("value", ["2", "0", "true", "1.0", '"1"'])
def test_another_format_is_refused_before_anything_else(value: str) -> None:
    error = refused(f"format = {value}\nnew = 1\n")
    assert error.reason == "manifest-format"


def test_inputs_name_what_is_solved_and_nothing_else() -> None:
    inputs = parse_manifest(FULL).inputs()
    same = FULL.replace("format = 1\n", "# comment\n").replace(
        '"python3", "libc6:i386"', '"libc6:i386", "python3"'
    )
    assert parse_manifest(same).inputs() == inputs
    for old, new in [
        ("bookworm", "trixie"),
        ('"python3", ', ""),
        ("recommends = true", "recommends = false"),
        ('"main", ', ""),
        ("20260131", "20260130"),
        ('"amd64"', '"arm64"'),
        ('["i386"]', "[]"),
    ]:
        assert parse_manifest(FULL.replace(old, new, 1)).inputs() != inputs, old


@given(st.lists(SPECS, unique_by=lambda spec: (spec.name, spec.architecture)))
def test_packages_round_trip(specs: list[Spec]) -> None:
    quoted = ", ".join(f'"{spec}"' for spec in specs)
    assert parse_manifest(f'suite = "sid"\npackages = [{quoted}]').packages == tuple(specs)


@given(st.text())
def test_any_text_is_a_manifest_or_an_error(text: str) -> None:
    with contextlib.suppress(DeclarationError):
        parse_manifest(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[environment]\nA = 'b'\n", "'env'"),
        ("package = ['jq']\n", "'packages'"),
        ("[[sources]]\nuri = ['https://a.example/debian']\nsuites = ['x']\n", "'uris'"),
    ],
)
def test_an_unknown_key_that_is_nearly_a_known_one(text: str, meant: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_manifest(f"suite = 'bookworm'\n{text}")
    assert any(line.endswith(f"did you mean {meant}?") for line in caught.value.details)
