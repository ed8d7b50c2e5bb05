from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.sandbox.layout import has_locales, has_regular, tree_options


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name in (
        *("usr/bin", "etc", "opt/vendor", "srv", "home", "dev", "proc", "run", "tmp"),
        *("var/lib/dpkg", "var/lib/postgresql/15/main", "var/cache/apt/archives/partial"),
        *("var/log/apt", "var/tmp", "var/www/html", "var/backups"),
    ):
        (tree / name).mkdir(parents=True)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "var/run").symlink_to("/run")
    for name in ("var/lib/dpkg/status", "var/log/bootstrap.log", "var/www/html/index.html"):
        (tree / name).write_text("x")
    (tree / "var/backups/dpkg.status.0").write_text("x")
    return tree


def options(tree: Path) -> list[tuple[str, ...]]:
    """One tuple an option."""
    count = {"--dir": 1, "--tmpfs": 1, "--perms": 1, "--ro-bind": 2, "--symlink": 2}
    rest, found = tree_options(tree), []
    while rest:
        length = count[rest[0]] + 1
        found.append(tuple(rest[:length]))
        rest = rest[length:]
    return found


def test_top_level(tree: Path) -> None:
    found = options(tree)
    assert ("--ro-bind", str(tree / "usr"), "/usr") in found
    assert ("--ro-bind", str(tree / "etc"), "/etc") in found
    assert ("--symlink", "usr/bin", "/bin") in found
    assert ("--dir", "/home") in found
    assert not any(option[-1] in ("/dev", "/proc", "/run", "/tmp") for option in found)


def test_opt_stays_open_for_the_host(tree: Path) -> None:
    found = options(tree)
    assert found.index(("--dir", "/opt")) < found.index(
        ("--ro-bind", str(tree / "opt/vendor"), "/opt/vendor")
    )


def test_var_is_scratch_but_for_what_holds_files(tree: Path) -> None:
    found = options(tree)
    assert found.index(("--tmpfs", "/var")) < found.index(("--dir", "/var/lib"))
    assert ("--ro-bind", str(tree / "var/lib/dpkg"), "/var/lib/dpkg") in found
    assert ("--ro-bind", str(tree / "var/www/html"), "/var/www/html") in found
    for name in ("postgresql", "postgresql/15", "postgresql/15/main"):
        assert ("--dir", f"/var/lib/{name}") in found
    assert ("--dir", "/var/cache/apt/archives/partial") in found
    assert ("--dir", "/var/log/apt") in found
    assert ("--symlink", "/run", "/var/run") in found
    at = found.index(("--dir", "/var/tmp"))
    assert found[at - 1] == ("--perms", "1777")
    assert not any("bootstrap.log" in option[-1] for option in found)
    assert not any(option[-1].startswith("/var/backups/") for option in found)


def test_nothing_to_sit_on_through_a_link(tree: Path) -> None:
    (tree / "etc/hosts").write_text("")
    (tree / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (tree / "etc/timezone").symlink_to("hosts")
    assert has_regular(tree, "/etc/hosts")
    assert not has_regular(tree, "/etc/localtime")
    assert not has_regular(tree, "/etc/timezone")
    assert not has_regular(tree, "/etc/missing")
    (tree / "linked").symlink_to("etc")
    assert not has_regular(tree, "/linked/hosts")


def test_locales(tree: Path) -> None:
    assert not has_locales(tree)
    (tree / "usr/lib/locale/C.utf8").mkdir(parents=True)
    assert not has_locales(tree)
    (tree / "usr/lib/locale/locale-archive").write_text("")
    assert has_locales(tree)
