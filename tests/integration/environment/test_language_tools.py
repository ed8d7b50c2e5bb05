"""pip, npm, gem, bundler and cargo work inside, on the image's interpreters, without a network.

What they are asked to install lies in the project's directory; what they install stays there or in
the home directory. Where Debian's tools would write into the system the refusal is theirs and loud.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lib.command import Dolmen

pytestmark = pytest.mark.network

PACKAGES = ("python3-venv", "python3-pip", "npm", "ruby", "bundler", "cargo", "libc6-dev")
PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "pk"
version = "1.0"
[project.scripts]
pk = "pk:main"
"""
GEMSPEC = """\
Gem::Specification.new do |s|
  s.name = "gg"
  s.version = "1.0"
  s.summary = "x"
  s.authors = ["x"]
  s.files = ["lib/gg.rb"]
end
"""


@pytest.fixture(scope="module")
def project(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    directory = tmp_path_factory.mktemp("languages") / "project"
    directory.mkdir()
    dolmen = Dolmen(installed_source, directory, session_store)
    dolmen.ok("install", "--suite", "bookworm", "--dir", directory, *PACKAGES, timeout=600)
    return dolmen


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sh(project: Dolmen, script: str, *options: str) -> str:
    return project.ok("run", *options, "--", "sh", "-e", "-c", script, timeout=120)


def test_a_virtual_environment(project: Dolmen) -> None:
    write(project.directory / "pk/pyproject.toml", PYPROJECT)
    write(project.directory / "pk/src/pk/__init__.py", 'def main(): print("pk works")\n')
    found = sh(
        project,
        """
        python3 -m venv --system-site-packages venv
        venv/bin/python -c 'import sys; print(sys.prefix)'
        venv/bin/pip --version
        venv/bin/pip -q wheel --no-index --no-build-isolation --no-deps -w wheels ./pk
        venv/bin/pip -q install --no-index wheels/pk-1.0-py3-none-any.whl
        venv/bin/pk
        """,
    ).splitlines()
    assert found[0] == str(project.directory / "venv")
    assert found[1].startswith("pip ")
    assert found[2] == "pk works"
    # the next entry has it too, and so has a confined one
    assert sh(project, "venv/bin/pk") == "pk works\n"
    assert sh(project, "venv/bin/pk", "--pure") == "pk works\n"
    # a plain one, by ensurepip, takes wheels without any index
    done = sh(
        project,
        """
        python3 -m venv plain
        plain/bin/pip -q install --no-index wheels/pk-1.0-py3-none-any.whl
        plain/bin/pk
        """,
    )
    assert done == "pk works\n"


def test_pip_outside_of_one_says_why_not(project: Dolmen) -> None:
    done = project("run", "--", "pip", "install", "--no-index", "nothing", timeout=120)
    assert done.returncode == 1
    assert b"externally-managed-environment" in done.stderr
    assert b"python3 -m venv" in done.stderr


def test_npm(project: Dolmen) -> None:
    found = sh(
        project,
        """
        mkdir -p node/lib
        cd node/lib
        npm init -y >/dev/null
        echo 'module.exports = () => "npm works"' >index.js
        cd ..
        npm init -y >/dev/null
        npm install --offline --no-audit --no-fund ./lib >/dev/null
        node -e 'console.log(require("lib")())'
        """,
    )
    assert found == "npm works\n"
    assert (project.directory / "node/package-lock.json").is_file()
    assert project("run", "--", "npm", "install", "-g", "--offline", "./node/lib").returncode != 0


def test_gem_and_bundler(project: Dolmen) -> None:
    write(project.directory / "gg/gg.gemspec", GEMSPEC)
    write(project.directory / "gg/lib/gg.rb", 'module GG; def self.hi; "gem works"; end; end\n')
    write(project.directory / "bundle/Gemfile", 'gem "gg", path: "../gg"\n')
    sh(project, "cd gg; gem build -q gg.gemspec; gem install -q --local --user-install gg-1.0.gem")
    assert sh(project, "ruby -rgg -e 'puts GG.hi'") == "gem works\n"
    found = sh(
        project,
        """
        cd bundle
        bundle config set --local path vendor >/dev/null
        bundle install --local >/dev/null
        bundle exec ruby -rgg -e 'puts GG.hi'
        """,
    )
    assert found == "gem works\n"
    # what would be gone with the next entry is refused, unless it is kept
    install = ("run", "--", "sh", "-c", "cd gg; gem install -q --local gg-1.0.gem")
    assert project(*install, timeout=120).returncode != 0
    manifest = project.directory / "dolmen.toml"
    manifest.write_text(manifest.read_text() + 'persist = ["/var/lib/gems"]\n')
    project.ok("sync")
    project.ok(*install, timeout=120)
    assert "gg-1.0" in sh(project, "ls /var/lib/gems/*/gems")


def test_cargo(project: Dolmen) -> None:
    found = sh(
        project,
        """
        cargo new -q --vcs none tool
        cd tool
        cargo build -q --offline
        ./target/debug/tool
        cargo install -q --offline --path . --root ..
        ../bin/tool
        """,
    )
    assert found == "Hello, world!\nHello, world!\n"
