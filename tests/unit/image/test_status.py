from __future__ import annotations

from pathlib import Path

from dolmen.image import read_status

STATUS = """\
Package: base
Essential: yes
Status: install ok installed
Architecture: all
Version: 1
Conffiles:
 /etc/base 0123
 /etc/old 4567 obsolete
Description: a package
 Status: deinstall ok config-files

Package: half
Status: install ok half-configured
Architecture: amd64
Version: 2:3-1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def test_what_is_there(tmp_path: Path) -> None:
    status, marks = tmp_path / "status", tmp_path / "extended_states"
    status.write_text(STATUS)
    marks.write_text(
        "Package: base\nArchitecture: amd64\nAuto-Installed: 1\n\n"
        "Package: half\nArchitecture: amd64\nAuto-Installed: 0\n"
    )
    found = read_status(status, marks)
    assert list(found) == [("base", "all"), ("half", "amd64")]
    base, half = found.values()
    assert (base.essential, base.automatic, base.state) == (True, True, "installed")
    assert base.conffiles == {"/etc/base": "0123"}
    assert (half.version, half.automatic, half.state) == ("2:3-1", False, "half-configured")


def test_no_database_is_no_package(tmp_path: Path) -> None:
    assert read_status(tmp_path / "status", tmp_path / "none") == {}
