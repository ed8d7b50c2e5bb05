"""What the documents say is what the code does."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

from dolmen import __version__
from dolmen.cli.main import VERBS
from dolmen.model import lock, parse_lock, parse_manifest, render_lock
from dolmen.model.manifest import DEB_KEYS, GROUP_KEYS, KEYS, SOURCE_KEYS
from dolmen.support import errors
from tests.lib import reasons

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.DolmenError)
}


def read(name: str) -> str:
    return (ROOT / name).read_text()


def first_cells(text: str) -> list[str]:
    """The first cell of each row of a document's tables, without their heads."""
    rows = re.findall(r"^\| ?(.*?) ?\|", text, re.M)
    return [row for row in rows if not re.fullmatch(r"-+|[a-z ]*", row)]


def code(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def example(text: str, kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)
    assert found
    return found.group(1)


def test_every_key_of_the_manifest_is_documented() -> None:
    text = read("docs/manifest.md")
    assert code(first_cells(text)) == KEYS | SOURCE_KEYS | GROUP_KEYS | DEB_KEYS
    shown = tomllib.loads(example(text, "toml"))
    assert shown.keys() >= KEYS - {"architecture"}
    assert parse_manifest(example(text, "toml")).sources


def test_every_field_of_the_lock_is_documented() -> None:
    text = read("docs/lock.md")
    assert code(first_cells(text)) == {*lock._HEADER, *lock._FIXED, *lock._FREE}
    shown = example(text, "")
    assert render_lock(parse_lock(shown)) == shown


def test_every_reason_is_documented_and_every_documented_one_is_given() -> None:
    documented = code(first_cells(read("docs/reasons.md")))
    assert reasons.given(ROOT / "src") - documented == set()
    # Some are made of parts ("no-" and a program's name), others come from tables.
    built = {name for name in documented if name.startswith("no-")}
    assert documented - built - reasons.mentioned(ROOT / "src") == set()


def test_every_exit_code_is_in_the_readme() -> None:
    section = read("README.md").split("## Exit codes")[1].split("\n## ")[0]
    cells = {int(cell) for cell in first_cells(section)}
    assert cells == {0, 130} | {error_class.exit_code for error_class in CLASSES.values()}
    assert code(re.findall(r"^\|.*\|.*\| (.*) \|$", section, re.M)) <= reasons.given(ROOT / "src")


def test_every_command_shown_exists() -> None:
    wrong = []
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "scripts/demo"]:
        text = path.read_text()
        shown = re.findall(r"(?:^|`)(?:show \")?dolmen ([a-z]+)", text, re.M)
        wrong += [f"{path.name}: dolmen {verb}" for verb in shown if verb not in VERBS]
    for path in (ROOT / "src").rglob("*.py"):
        for hint in re.findall(r'hint=f?"([^"]*)"', path.read_text()):
            shown = re.findall(r"\bdolmen ([a-z]+)", hint)
            wrong += [f"{path.name}: dolmen {verb}" for verb in shown if verb not in VERBS]
    assert wrong == []


def test_the_test_command_is_said_once() -> None:
    assert "\nmake check " in read("README.md")
    lines = read(".ci/run").split("\n")
    assert [line for line in lines if line.startswith("exec")] == ["exec make check"]


def test_packages_to_run_are_the_same_everywhere() -> None:
    makefile = read("Makefile").replace("\\\n", " ")
    listed = re.search(r"^RUNTIME := (.*)$", makefile, re.M)
    assert listed
    depends = read("debian/control").split("Depends:")[-1].split("Suggests:")[0]
    names = re.findall(r"^ ([a-z0-9][a-z0-9.+-]+)", depends, re.M)
    assert sorted(listed.group(1).split()) == sorted(names)


def test_versions_agree() -> None:
    assert read("debian/changelog").startswith(f"dolmen ({__version__})")
    assert f"## {__version__}" in read("CHANGELOG.md")


def test_links_lead_somewhere() -> None:
    wrong = [
        f"{path.name}: {target}"
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert wrong == []
