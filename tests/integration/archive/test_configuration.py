"""The host's apt configuration decides nothing (R15), and what protects us is set by name."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dolmen.archive.configuration import SourceSet, prepare, source_set
from dolmen.support.errors import ArchiveError
from tests.integration.archive.conftest import Solve
from tests.lib.archive import ARCHITECTURE, Archive

EVIL = """
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::AllowInsecureRepositories "true";
Acquire::AllowWeakRepositories "true";
Acquire::AllowDowngradeToInsecureRepositories "true";
Acquire::http::Proxy "http://127.0.0.1:9";
Acquire::http::Proxy-Auto-Detect "/usr/bin/touch {proof}";
APT::Get::AllowUnauthenticated "true";
APT::Update::Pre-Invoke {{ "touch {proof}"; }};
APT::Update::Post-Invoke-Success {{ "touch {proof}"; }};
DPkg::Pre-Invoke {{ "touch {proof}"; }};
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
"""

SECURITY = {
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::AllowWeakRepositories": "false",
    "Acquire::AllowDowngradeToInsecureRepositories": "false",
    "Acquire::AllowReleaseInfoChange": "false",
    "Acquire::Check-Valid-Until": "true",
    "Acquire::Check-Date": "true",
    "Acquire::https::Verify-Peer": "true",
    "Acquire::https::Verify-Host": "true",
    "Acquire::http::Proxy-Auto-Detect": "",
    "Dir::Etc::trusted": "/dev/null",
    "pkgCacheGen::ForceEssential": ",",
}


@pytest.fixture
def chosen(archive: Archive, state: Path) -> SourceSet:
    made = source_set([archive.source()], (ARCHITECTURE,), state)
    prepare(made)
    return made


def dump(environment: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        ["apt-config", "dump"], env=environment, check=True, capture_output=True, timeout=30
    )
    pairs = (line.rstrip(";").partition(" ") for line in done.stdout.decode().splitlines())
    return {name: value.strip('"') for name, _, value in pairs}


def test_what_apt_sees(chosen: SourceSet) -> None:
    """Read back by apt itself, on whatever host this runs."""
    seen = dump(chosen.environment())
    assert {name: seen.get(name) for name in SECURITY} == SECURITY
    hooks = ("Invoke", "Pre-Install-Pkgs", "IndexTargets::deb::DEP-11", "Acquire::http::Proxy ")
    assert [name for name in seen if any(hook in name for hook in hooks)] == []
    outside = {
        name: value
        for name, value in seen.items()
        if name.startswith("Dir::")
        and value.startswith("/")
        and not value.startswith((str(chosen.root), "/dev/null", "/usr/"))
    }
    # relative to Dir, or never asked for without dpkg
    assert set(outside) <= {"Dir::Bin::bzip2", "Dir::RootDir"} | {
        name for name in outside if name.startswith(("Dir::Bin", "Dir::Media"))
    }


def test_a_file_in_our_own_parts_would_count(chosen: SourceSet, tmp_path: Path) -> None:
    """The twin: what the host's file would do if it were read at all."""
    proof = tmp_path / "proof"
    (chosen.root / "etc/apt.conf.d/evil").write_text(EVIL.format(proof=proof))
    assert dump(chosen.environment())["Acquire::Check-Date"] == "false"


@pytest.mark.root
def test_an_evil_host(solved: Solve, archive: Archive, tmp_path: Path) -> None:
    """R15: a private mount namespace holds an /etc/apt that turns everything off."""
    import json
    import sys

    archive.publish(date=datetime.now(UTC) - timedelta(days=9), valid=timedelta(days=1))
    evil = tmp_path / "etc-apt"
    (evil / "apt.conf.d").mkdir(parents=True)
    proof = tmp_path / "proof"
    (evil / "apt.conf.d/00evil").write_text(EVIL.format(proof=proof))
    (evil / "apt.conf").write_text(EVIL.format(proof=proof))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from dolmen.archive import solve\n"
        "from dolmen.model import Manifest, Source\n"
        "from dolmen.support.errors import DolmenError\n"
        "source = Source((sys.argv[2],), ('stable',), signed_by=sys.argv[3])\n"
        "manifest = Manifest('stable', sources=(source,), architecture='amd64')\n"
        "try:\n"
        "    print(len(solve(manifest, state=Path(sys.argv[4])).packages))\n"
        "except DolmenError as error:\n"
        "    print(error.reason)\n"
    )
    tree = Path(__file__).resolve().parents[3] / "src"
    command = ["unshare", "--mount", "sh", "-c", f'mount --bind "{evil}" /etc/apt && exec "$@"']
    arguments = [str(tree), archive.uri, str(archive.signer.keyring), str(tmp_path / "evil-state")]
    argv = [*command, "sh", sys.executable, "-c", script, *arguments]

    def answer() -> str:
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, json.dumps(done.stderr.decode())
        return done.stdout.decode().strip()

    assert answer() == "release-expired"
    archive.publish()
    assert answer() == "3"
    assert not proof.exists()


def test_proxies_come_from_the_environment(
    solved: Solve, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved("hello")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(ArchiveError) as caught:
        solved("hello")
    assert caught.value.reason == "network"


def test_no_host_variable_gets_in(monkeypatch: pytest.MonkeyPatch, chosen: SourceSet) -> None:
    monkeypatch.setenv("APT_CONFIG", "/nonexistent")
    monkeypatch.setenv("GNUPGHOME", "/nonexistent")
    environment = chosen.environment()
    assert environment["APT_CONFIG"] == str(chosen.configuration)
    assert "GNUPGHOME" not in environment


def test_trust_is_never_weakened_by_a_source(archive: Archive, state: Path) -> None:
    pinned = archive.source(snapshot="20260101T000000Z")
    chosen = source_set([archive.source(), pinned], (ARCHITECTURE,), state, snapshots="http://s")
    text = chosen.sources_text
    assert "Trusted:" not in text
    assert text.count("Check-Valid-Until") == 1
    assert text.count("Signed-By: /") == 2


def test_another_set_has_another_directory(archive: Archive, state: Path) -> None:
    one = source_set([archive.source()], (ARCHITECTURE,), state)
    two = source_set([archive.source()], (ARCHITECTURE, "i386"), state)
    three = source_set([archive.source(components=("main", "extra"))], (ARCHITECTURE,), state)
    assert len({one.root, two.root, three.root}) == 3
    assert source_set([archive.source()], (ARCHITECTURE,), state) == one
