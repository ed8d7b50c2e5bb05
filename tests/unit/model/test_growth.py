"""The keys of the manifest beyond packages and sources."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.model.entrance import Entrance
from dolmen.model.manifest import Deb, Group, parse_manifest
from dolmen.model.pin import DEFAULT, Pin, parse_pin
from dolmen.model.spec import Spec, parse_spec
from dolmen.support.errors import DeclarationError
from tests.unit.model.examples import MORE

VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def faults(text: str) -> list[int]:
    with pytest.raises(DeclarationError) as caught:
        parse_manifest(text)
    assert caught.value.reason == "bad-manifest"
    return [int(detail.split()[1].rstrip(":")) for detail in caught.value.details]


def test_everything_is_read() -> None:
    manifest = parse_manifest(MORE)
    assert manifest.snapshot == "14d"
    assert manifest.pins == (
        Pin("snapd", priority=-1),
        Pin("code", suite="vendor"),
        Pin("curl", version="7.88*"),
        Pin("linux-*", suite="bookworm-backports", priority=990),
    )
    assert [(s.name, s.priority, s.snapshot, s.signed_by) for s in manifest.sources] == [
        (None, None, "now", None),
        ("vendor", 100, None, "keys/vendor.asc"),
    ]
    assert [group.name for group in manifest.groups] == ["dev", "docs"]
    assert manifest.group("docs") == Group("docs", (Spec("texlive"),))
    assert manifest.debs == (Deb("debs/tool_1.0_amd64.deb", manifest.debs[0].sha256),)
    entrance = manifest.entrance
    assert dict(entrance.variables)["GREETING"] == 'it\'s "quoted" $HOME `id` \\ \n'
    assert dict(entrance.aliases) == {"k": "kubectl --context home"}
    assert dict(entrance.scripts)["db:start"].startswith("test -d")
    assert entrance.persist == ("/srv/data", "/var/lib/postgresql")


def test_requests_are_those_of_the_architecture_with_their_groups() -> None:
    manifest = parse_manifest(MORE)
    amd64 = {str(spec): groups for spec, groups in manifest.requests("amd64").items()}
    assert amd64 == {
        "postgresql": ("",),
        "gcc-multilib": ("",),
        "jq/backports": ("",),
        "gdb": ("", "dev"),
        "strace": ("dev",),
        "texlive": ("docs",),
    }
    assert {"gdb", "gcc-multilib"}.isdisjoint(map(str, manifest.requests("i386")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[amd64]", "[arm64]"),
        ('"14d"', '"15d"'),
        ("7.88*", "7.89*"),
        ("990", "991"),
        ('"strace"', '"ltrace"'),
        ("priority = 100", "priority = 101"),
        ('"vendor"\nuris', '"vendor2"\nuris'),
        ("0123456789abcdef", "1123456789abcdef"),
        ("debs/tool", "debs/tool2"),
    ],
)
def test_what_decides_the_solution_is_in_the_digest(old: str, new: str) -> None:
    assert old in MORE
    other = parse_manifest(MORE.replace(old, new, 1))
    assert other.inputs() != parse_manifest(MORE).inputs()


@pytest.mark.parametrize(
    ("old", "new"),
    [("PGDATA =", "PGDATE ="), ("pytest", "tox"), ("kubectl", "oc"), ("/srv/data", "/srv/x")],
)
def test_what_does_not_is_in_the_digest_of_the_entrance(old: str, new: str) -> None:
    one, other = parse_manifest(MORE), parse_manifest(MORE.replace(old, new, 1))
    assert one.inputs() == other.inputs()
    assert one.entrance.digest() != other.entrance.digest()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("PGDATA =", '"A B" =', 35),
        ("PGDATA =", '"A=1;id" =', 35),
        ("PGDATA =", '"BASH_FUNC_x%%" =', 35),
        ("PGDATA =", "BASH_FUNC_x =", 35),
        ("PGDATA =", "LD_PRELOAD =", 35),
        ("PGDATA =", "BASH_ENV =", 35),
        ("PGDATA =", "PATH =", 35),
        ("PGDATA =", "IFS =", 35),
        ("PGDATA =", "DOLMEN_STORE =", 35),
        ('"/var/lib/postgresql/data"', "5", 35),
        ('"/var/lib/postgresql/data"', '"a\\u0000b"', 35),
        ("k = ", '"../k" = ', 39),
        ("k = ", '"-k" = ', 39),
        ('"pytest -x"', '" "', 42),
        ('"pytest -x"', '["pytest"]', 42),
        ("/srv/data", "/usr/lib", 4),
        ("/srv/data", "/usr", 4),
        ("/srv/data", "/", 4),
        ("/srv/data", "/srv", 4),
        ("/srv/data", "srv/data", 4),
        ("/srv/data", "/srv/../etc/x", 4),
        ("/srv/data", "/srv/./x", 4),
        ("/srv/data", "/srv//x", 4),
        ("/srv/data", "/srv/x/", 4),
        ("/srv/data", "/etc/passwd", 4),
        ("/srv/data", "/etc", 4),
        ("/srv/data", "/var/lib", 4),
        ("/srv/data", "/var/lib/dpkg", 4),
        ("/srv/data", "/var/lib/dpkg/info", 4),
        ("/srv/data", "/var/run/x", 4),
        ("/srv/data", "/home/me", 4),
        ("/srv/data", "/var/lib/postgresql/15", 4),
        ("/srv/data", "/srv/a b", 4),
        ('"=7.88*"', '"7.88"', 7),
        ('"=7.88*"', "0", 7),
        ('"=7.88*"', "true", 7),
        ('"=7.88*"', '"=7.88; x"', 7),
        ('"=7.88*"', "70000", 7),
        ("curl =", '"../x" =', 7),
        ('"14d"', '"now"', 3),
        ('"14d"', '"0d"', 3),
        ('"14d"', "14", 3),
        ("keys/vendor.asc", "../vendor.asc", 21),
        ("keys/vendor.asc", "keys/../../vendor.asc", 21),
        ("priority = 100", 'priority = "high"', 22),
        ('"vendor"\nuris', '"Ven dor"\nuris', 18),
        ("debs/tool", "../tool", 25),
        ("debs/tool", "/tool", 25),
        ("debs/tool", "debs/./tool", 25),
        ("debs/tool", "http://x/tool", 25),
        ("0123456789abcdef", "x123456789abcdef", 26),
        ("[groups.dev]", "[groups.default]", 28),
        ("[groups.dev]", "[groups.Dev]", 28),
        ("[groups.dev]", "[groups.dev]\nextra = 1", 29),
        ('"strace"', '"strace", "strace=1"', 29),
        ('"strace"', '"strace", "postgresql=15"', 29),
        ('"strace"', '"../x.deb"', 29),
        ("[amd64]", "[amd64 !i386]", 2),
        ("[amd64]", "[AMD]", 2),
        ("[amd64]", "[]", 2),
    ],
)
def test_a_fault_is_refused_with_its_line(old: str, new: str, line: int) -> None:
    assert old in MORE
    parse_manifest(MORE)
    assert faults(MORE.replace(old, new, 1))[0] == line


def test_tables_of_the_wrong_kind() -> None:
    text = 'suite = "sid"\nenv = 1\nscripts = []\ngroups = "x"\npins = 3\ndebs = {}\n'
    assert faults(text) == [2, 3, 4, 5, 6]


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{4,9}X", fullmatch=True), VALUES, max_size=4))
def test_variables_round_trip(variables: dict[str, str]) -> None:
    import tomlkit

    text = tomlkit.dumps({"suite": "sid", "env": variables})
    assert tomllib.loads(text)["env"] == variables
    assert parse_manifest(text).entrance == Entrance(variables=tuple(sorted(variables.items())))


ARCHITECTURES = st.lists(st.sampled_from(["amd64", "arm64", "i386"]), min_size=1, unique=True)


@given(ARCHITECTURES, st.booleans(), st.sampled_from(["amd64", "arm64", "i386", "riscv64"]))
def test_restrictions_round_trip(names: list[str], negated: bool, native: str) -> None:
    only = tuple(f"!{name}" if negated else name for name in names)
    spec = Spec("gcc", None, None, "sid", only)
    assert parse_spec(str(spec)) == spec
    assert spec.is_for(native) == ((native in names) != negated)
    assert spec.plain() == Spec("gcc", suite="sid")


PINS = st.one_of(
    st.builds(Pin, st.just("a*"), st.from_regex(r"[0-9][a-z0-9.*~+-]{0,9}", fullmatch=True)),
    st.builds(
        Pin,
        st.just("lib?"),
        st.none(),
        st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
        st.integers(-32768, 32767).filter(bool),
    ),
    st.builds(Pin, st.just("x1"), priority=st.integers(-9, 9).filter(bool)),
)


@given(PINS)
def test_pins_round_trip(pin: Pin) -> None:
    text = str(pin)
    value = int(text) if text.lstrip("-").isdigit() else text
    assert parse_pin(pin.package, value) == pin
    line = f'"{pin.package}" = {json.dumps(value)}'
    assert parse_manifest(f'suite = "sid"\n[pins]\n{line}\n').pins == (pin,)


def test_a_pin_without_priority_wins() -> None:
    assert parse_pin("jq", "=1.6*") == Pin("jq", "1.6*", None, DEFAULT)
