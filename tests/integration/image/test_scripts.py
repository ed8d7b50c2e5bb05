"""dpkg's rules, with the image's own dpkg: what packages may do to each other and to the image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dolmen import image
from dolmen.image import configure
from dolmen.model import Lock
from dolmen.store import Store
from dolmen.support.errors import PackageError
from dolmen.support.events import Event, SlowScript
from tests.integration.image.conftest import Build
from tests.lib.debs import Link, make_deb

pytestmark = pytest.mark.network


def _status(tree: Path, package: str) -> str:
    text = (tree / "var/lib/dpkg/status").read_text()
    (stanza,) = (s for s in text.split("\n\n") if s.startswith(f"Package: {package}\n"))
    return next(line for line in stanza.split("\n") if line.startswith("Status: "))


def test_postinst_runs_and_preinst_before_it(built: Build, tmp_path: Path) -> None:
    deb = make_deb(
        tmp_path,
        "order",
        scripts={
            "preinst": '#!/bin/sh\necho "preinst $1 $DPKG_MAINTSCRIPT_PACKAGE" >>/etc/order\n',
            "postinst": '#!/bin/sh\necho "postinst $1 $(pwd)" >>/etc/order\n',
        },
    )
    tree = built(deb)
    assert (tree / "etc/order").read_text() == "preinst install order\npostinst configure /\n"
    assert _status(tree, "order") == "Status: install ok installed"


def test_failing_script_is_told_with_its_output(
    lock_with: Callable[..., Lock], built: Build, shared_store: Store, tmp_path: Path
) -> None:
    twin = make_deb(tmp_path / "good", "broken", scripts={"postinst": "#!/bin/sh\nexit 0\n"})
    built(twin)
    deb = make_deb(
        tmp_path / "bad",
        "broken",
        scripts={"postinst": "#!/bin/sh\necho why it failed\nexit 3\n"},
    )
    lock = lock_with(deb)
    with pytest.raises(PackageError) as caught:
        image.build(lock, shared_store)
    assert caught.value.reason == "maintainer-script-failed"
    assert "broken" in caught.value.message
    assert "why it failed" in caught.value.details
    assert shared_store.image(image.image_key(lock)) is None
    assert not list(shared_store.tmp.glob("build-*"))


def test_failing_preinst_is_told(
    lock_with: Callable[..., Lock], shared_store: Store, tmp_path: Path
) -> None:
    deb = make_deb(tmp_path, "broken-pre", scripts={"preinst": "#!/bin/sh\necho no >&2\nexit 1\n"})
    with pytest.raises(PackageError) as caught:
        image.build(lock_with(deb), shared_store)
    assert caught.value.reason == "maintainer-script-failed"
    assert "preinst of broken-pre" in caught.value.message


def test_endless_script_ends(
    lock_with: Callable[..., Lock],
    shared_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(configure, "TIMEOUT", 6.0)
    deb = make_deb(tmp_path, "endless", scripts={"postinst": "#!/bin/sh\nsleep 1000\n"})
    with pytest.raises(PackageError) as caught:
        image.build(lock_with(deb), shared_store)
    assert caught.value.reason == "maintainer-script-timeout"
    assert "endless" in caught.value.message


def test_slow_script_is_named(
    lock_with: Callable[..., Lock], shared_store: Store, tmp_path: Path
) -> None:
    deb = make_deb(tmp_path, "sluggish", scripts={"postinst": "#!/bin/sh\nsleep 2.5\n"})
    events: list[Event] = []
    image.build(lock_with(deb), shared_store, emit=events.append)
    assert [e.package for e in events if isinstance(e, SlowScript)] == ["sluggish"]


def test_scripts_have_no_network_and_no_host(built: Build, tmp_path: Path) -> None:
    deb = make_deb(
        tmp_path,
        "curious",
        scripts={
            "postinst": "#!/bin/sh\n"
            "ls /sys/class/net >/etc/seen-net 2>/dev/null || :\n"
            "hostname >/etc/seen-host\nls -A /root >/etc/seen-home\nid -u >/etc/seen-uid\n"
            "env | cut -d= -f1 | sort >/etc/seen-env\nsed 1,2d /proc/net/dev >/etc/seen-dev\n"
        },
    )
    tree = built(deb)
    assert (tree / "etc/seen-host").read_text() == "dolmen\n"
    assert (tree / "etc/seen-uid").read_text() == "0\n"
    devices = (tree / "etc/seen-dev").read_text().splitlines()
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    names = set((tree / "etc/seen-env").read_text().split())
    assert not {n for n in names if n.startswith(("SSH", "DBUS", "XDG", "DOLMEN_STORE"))}


def test_replaces_takes_the_file_and_its_entry(built: Build, tmp_path: Path) -> None:
    old = make_deb(tmp_path, "old", files={"usr/share/thing": "old", "usr/share/kept": "k"})
    new = make_deb(
        tmp_path, "new", files={"usr/share/thing": "new"}, fields={"Replaces": "old (<< 2)"}
    )
    tree = built(old, new)
    assert (tree / "usr/share/thing").read_text() == "new"
    listed = (tree / "var/lib/dpkg/info/old.list").read_text().split()
    assert "/usr/share/thing" not in listed
    assert "/usr/share/kept" in listed


def test_two_packages_with_one_path_are_refused(
    lock_with: Callable[..., Lock], built: Build, shared_store: Store, tmp_path: Path
) -> None:
    one = make_deb(tmp_path, "one", files={"usr/share/same": "1"})
    built(one)
    two = make_deb(tmp_path, "two", files={"usr/share/same": "2"})
    with pytest.raises(PackageError) as caught:
        image.build(lock_with(one, two), shared_store)
    assert caught.value.reason == "file-conflict"
    assert "/usr/share/same" in caught.value.message or "usr/share/same" in caught.value.message


def test_replaced_file_of_the_base(built: Build, tmp_path: Path) -> None:
    deb = make_deb(
        tmp_path,
        "better-issue",
        files={"usr/share/base-files/profile": "better"},
        fields={"Replaces": "base-files"},
    )
    tree = built(deb)
    assert (tree / "usr/share/base-files/profile").read_text() == "better"
    listed = (tree / "var/lib/dpkg/info/base-files.list").read_text().split()
    assert "/usr/share/base-files/profile" not in listed


def test_diversion_of_a_base_file_by_a_preinst(built: Build, tmp_path: Path) -> None:
    path = "/usr/share/base-files/dot.profile"
    deb = make_deb(
        tmp_path,
        "diverter",
        files={path[1:]: "mine"},
        scripts={
            "preinst": "#!/bin/sh\nset -e\n"
            f"dpkg-divert --package diverter --add --rename --divert {path}.orig {path}\n"
        },
    )
    tree = built(deb)
    assert (tree / path[1:]).read_text() == "mine"
    assert "PS1" in (tree / f"{path[1:]}.orig").read_text() or (tree / f"{path[1:]}.orig").exists()
    assert f"{path}\n{path}.orig\ndiverter\n" in (tree / "var/lib/dpkg/diversions").read_text()


def test_diversion_between_two_new_packages(built: Build, tmp_path: Path) -> None:
    path = "/usr/share/tool"
    diverter = make_deb(
        tmp_path,
        "a-diverter",
        files={path[1:]: "diverter"},
        scripts={
            "preinst": "#!/bin/sh\nset -e\ndpkg-divert --package a-diverter --add --rename "
            f"--divert {path}.plain {path}\n"
        },
    )
    plain = make_deb(tmp_path, "z-plain", files={path[1:]: "plain"})
    tree = built(diverter, plain)
    assert (tree / "usr/share/tool").read_text() == "diverter"
    assert (tree / "usr/share/tool.plain").read_text() == "plain"


def test_what_a_preinst_calls_by_pre_depends_is_configured_before(
    built: Build, tmp_path: Path
) -> None:
    tool = make_deb(
        tmp_path,
        "z-tool",
        files={
            "usr/bin/z-tool": "#!/bin/sh\ncat /etc/z-tool.conf\n",
            "etc/z-tool.conf": "set up\n",
        },
        conffiles=("/etc/z-tool.conf",),
    )
    user = make_deb(
        tmp_path,
        "a-user",
        fields={"Pre-Depends": "z-tool"},
        scripts={"preinst": "#!/bin/sh\nset -e\nz-tool >/etc/a-user\n"},
    )
    assert (built(tool, user) / "etc/a-user").read_text() == "set up\n"


def test_conffiles_appear_with_their_package(built: Build, tmp_path: Path) -> None:
    late = make_deb(
        tmp_path, "z-late", files={"etc/hooks.d/late": "x"}, conffiles=("/etc/hooks.d/late",)
    )
    early = make_deb(
        tmp_path,
        "a-early",
        files={"etc/early.conf": "e"},
        conffiles=("/etc/early.conf",),
        scripts={"postinst": "#!/bin/sh\nls /etc/hooks.d >/etc/seen-hooks 2>&1\n"},
    )
    tree = built(late, early)
    assert (tree / "etc/hooks.d/late").read_text() == "x"
    assert "late\n" not in (tree / "etc/seen-hooks").read_text().replace("late.dpkg-new\n", "")
    assert not list((tree / "etc").rglob("*.dpkg-new"))
    status = (tree / "var/lib/dpkg/status").read_text()
    assert "\n /etc/early.conf e1671797c52e15f763380b45e841ec32\n" in status


def test_triggers_of_the_base_and_of_new_packages(built: Build, tmp_path: Path) -> None:
    interested = make_deb(
        tmp_path,
        "interested",
        files={"usr/share/doc/interested/x": ""},
        triggers="interest-noawait /usr/share/watched\ninterest-noawait by-name\n",
        scripts={
            "postinst": '#!/bin/sh\necho "$1 $2" >>/etc/triggered\n',
        },
    )
    setter = make_deb(
        tmp_path,
        "setter",
        files={"usr/share/watched/x": "", "usr/lib/libdolmen-test.so.1": "no ELF"},
        fields={"Depends": "interested"},
        triggers="activate-noawait by-name\n",
    )
    tree = built(interested, setter)
    lines = (tree / "etc/triggered").read_text().splitlines()
    assert lines[0].startswith("configure")
    assert (tree / "var/lib/dpkg/triggers/Unincorp").read_text() == ""
    files = (tree / "var/lib/dpkg/triggers/File").read_text().splitlines()
    assert "/usr/share/watched interested/noawait" in files
    assert (tree / "var/lib/dpkg/triggers/by-name").read_text() == "interested/noawait\n"


def test_links_and_directories_follow_dpkg(built: Build, tmp_path: Path) -> None:
    directory = make_deb(tmp_path, "a-dir", files={"usr/share/place/in-dir": "d"})
    link = make_deb(
        tmp_path,
        "b-link",
        files={"usr/share/other/x": "o", "usr/share/alias": Link("other")},
    )
    through = make_deb(tmp_path, "c-through", files={"usr/share/alias/y": "through"})
    tree = built(directory, link, through)
    assert (tree / "usr/share/alias").is_symlink()
    assert (tree / "usr/share/other/y").read_text() == "through"


def test_the_same_lock_costs_no_build(
    lock_with: Callable[..., Lock], shared_store: Store, tmp_path: Path
) -> None:
    lock = lock_with(make_deb(tmp_path, "once", files={"usr/share/once": "1"}))
    first = image.build(lock, shared_store)
    events: list[Event] = []
    assert image.build(lock, shared_store, emit=events.append) == first
    assert events == []


def test_a_hostile_script_cannot_reach_the_store(
    built: Build, shared_store: Store, tmp_path: Path
) -> None:
    target = "usr/share/base-files/motd"
    base = built(make_deb(tmp_path, "mild", scripts={"postinst": "#!/bin/sh\nexit 0\n"}))
    before = (base / target).read_bytes()
    deb = make_deb(
        tmp_path,
        "wild",
        scripts={"postinst": f"#!/bin/sh\necho overwritten >>/{target}\nchmod 4755 /{target}\n"},
    )
    tree = built(deb)
    assert (tree / target).read_bytes() == before + b"overwritten\n"
    assert (tree / target).stat().st_mode & 0o7000 == 0
    assert (base / target).read_bytes() == before
