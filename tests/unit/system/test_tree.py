"""The passes, one by one, on a small chroot."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.model.system import PlacedFile, System, Update, User
from dolmen.store import Store
from dolmen.store.builder import TreeBuilder
from dolmen.support.errors import DeclarationError
from dolmen.system.tree import database, declared, identity, kernel, units, users, variable
from dolmen.system.tree.users import Numbers
from tests.lib import systems
from tests.lib.systems import KVER

NONE = Numbers({}, {})
UNITS = "usr/lib/systemd/system"


@pytest.fixture
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


def test_owners_and_special_bits_reach_the_commit(store: Store) -> None:
    with systems.construction(store) as work:
        systems.finish(work, store)
        commit = systems.committed(work)
    found = {e.path: (oct(e.mode), e.uid, e.gid) for e in store.walk(commit)}
    assert found["/usr/bin/su"] == ("0o4755", 0, 0)
    assert found["/usr/bin/su-agent"] == ("0o2755", 0, 103)
    assert found["/usr/etc/shadow"] == ("0o640", 0, 42)
    # it may hold password hashes
    assert found["/usr/share/dolmen/dolmen.toml"] == ("0o600", 0, 0)


def test_identity_is_dropped_and_what_must_be_there_says_nothing(store: Store) -> None:
    with systems.construction(store) as work:
        identity.drop(work)
        assert not work.has("etc/ssh/ssh_host_ed25519_key")
        assert work.builder.read("etc/machine-id") == b""
        assert not work.has("etc/resolv.conf")
    with systems.construction(store, locked=systems.lock("systemd-resolved")) as work:
        identity.drop(work)
        assert work.builder.link_target(work.builder.find("etc/resolv.conf") or "")


def test_the_kernel_goes_to_its_modules_and_the_database_knows(store: Store) -> None:
    with systems.construction(store) as work:
        kernel.place(work)
        assert work.kernel == KVER
        assert work.builder.read(f"usr/lib/modules/{KVER}/vmlinuz") == b"a kernel"
        assert work.names("boot") == []
        assert not work.has("vmlinuz")
        listed = work.text(f"var/lib/dpkg/info/linux-image-{KVER}.list").splitlines()
        assert f"/usr/lib/modules/{KVER}/vmlinuz" in listed
        assert f"/boot/vmlinuz-{KVER}" not in listed
        sums = work.text(f"var/lib/dpkg/info/linux-image-{KVER}.md5sums")
        assert sums == f"0123  usr/lib/modules/{KVER}/vmlinuz\n"


def second_kernel(builder: TreeBuilder) -> None:
    builder.add_file("usr/lib/modules/6.2.0/kernel/x.ko", b"x")
    builder.add_file("boot/vmlinuz-6.2.0", b"x")


def no_kernel(builder: TreeBuilder) -> None:
    builder.remove(f"boot/vmlinuz-{KVER}")


def test_two_kernels_and_none_are_refused(store: Store) -> None:
    for change, reason in ((second_kernel, "many-kernels"), (no_kernel, "no-kernel-package")):
        with systems.construction(store, change=change) as work:
            with pytest.raises(DeclarationError) as caught:
                kernel.place(work)
            assert caught.value.reason == reason


def test_package_state_moves_below_usr_with_relative_links(store: Store) -> None:
    with systems.construction(store) as work:
        identity.drop(work)
        database.move(work)
        assert work.has("usr/lib/sysimage/dpkg/status")
        assert not work.has("usr/lib/sysimage/dpkg/lock")
        assert not work.has("usr/lib/sysimage/debconf/passwords.dat")
        line = work.tmpfiles["/var/lib/dpkg"]
        assert line == "L+ /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg"
        assert work.tmpfiles["/var/cache/debconf"].endswith(" ../../usr/lib/sysimage/debconf")


def test_var_is_emptied_and_made_again(store: Store) -> None:
    with systems.construction(store) as work:
        database.move(work)
        variable.empty(work)
        assert work.names("var") == []
        assert work.tmpfiles["/var/mail"] == "d /var/mail 2775 root mail -"
        assert work.tmpfiles["/var/log/wtmp"] == "f /var/log/wtmp 0664 root mail -"
        copied = work.tmpfiles["/var/www/html/index.html"]
        assert copied.startswith("C /var/www/html/index.html ")
        assert work.has("usr/share/factory/var/www/html/index.html")
        # what a package's own tmpfiles.d makes, and what is made anew, has no line
        assert not {"/var/run", "/var/log", "/var/cache/man/index.db"} & work.tmpfiles.keys()
        assert "/var/cache/man" in work.tmpfiles


def strange(builder: TreeBuilder) -> None:
    builder.add_file("var/lib/strange/data", b"x")


def test_an_unknown_file_in_var_stops_the_build_by_name(store: Store) -> None:
    with systems.construction(store, change=strange) as work:
        database.move(work)
        with pytest.raises(DeclarationError) as caught:
            variable.empty(work)
        assert caught.value.reason == "var-unknown"
        assert list(caught.value.details) == ["/var/lib/strange/data"]
    for fate, there in (("seed", True), ("discard", False)):
        system = System(var=(("/var/lib/strange/**", fate),))
        with systems.construction(store, system, change=strange) as work:
            database.move(work)
            variable.empty(work)
            assert work.has("usr/share/factory/var/lib/strange/data") is there
            assert ("/var/lib/strange/data" in work.tmpfiles) is there


def known_by_origin(builder: TreeBuilder) -> None:
    builder.add_file("var/lib/app/shipped", b"x")
    builder.add_file("var/lib/dpkg/info/app.list", b"/.\n/var/lib/app/shipped\n")
    builder.add_file("usr/share/app/table", b"rows\n")
    builder.add_file("var/lib/app/table", b"rows\n")
    builder.add_file("var/lib/app/new", b"")
    builder.give("var/lib/app/new", 0o600, 0, 8)


def test_the_tree_itself_says_what_becomes_of_some_files(store: Store) -> None:
    with systems.construction(store, change=known_by_origin) as work:
        database.move(work)
        variable.empty(work)
        factory = "/usr/share/factory/var/lib/app/shipped"
        assert work.tmpfiles["/var/lib/app/shipped"].endswith(f" {factory}")
        assert work.has(factory)
        copied = work.tmpfiles["/var/lib/app/table"]
        assert copied == "C /var/lib/app/table - - - - /usr/share/app/table"
        assert work.tmpfiles["/var/lib/app/new"] == "f /var/lib/app/new 0600 root mail -"


def service_state(builder: TreeBuilder) -> None:
    builder.add_directory("var/lib/polkit-1")
    builder.give("var/lib/polkit-1", 0o700, 8, 8)
    builder.add_file("var/lib/polkit-1/rules/vendor/one", b"x")
    builder.add_directory("var/lib/mysql/mysql")
    builder.add_file("var/lib/mysql/mysql/table", b"today")


def test_what_tmpfiles_would_not_enter_is_copied_whole_and_databases_not_at_all(
    store: Store,
) -> None:
    with systems.construction(store, change=service_state) as work:
        database.move(work)
        variable.empty(work)
        below = [path for path in work.tmpfiles if path.startswith("/var/lib/polkit-1/")]
        assert below == ["/var/lib/polkit-1/rules"]
        line = work.tmpfiles["/var/lib/polkit-1/rules"]
        assert line.endswith(" /usr/share/factory/var/lib/polkit-1/rules")
        assert work.has("usr/share/factory/var/lib/polkit-1/rules/vendor/one")
        assert "/var/lib/mysql" in work.tmpfiles
        assert not [path for path in work.tmpfiles if path.startswith("/var/lib/mysql/")]
        assert not work.has("usr/share/factory/var/lib/mysql")


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("var/cache/apt/pkgcache.bin", "discard"),
        ("var/log/nginx/error.log", "empty"),
        ("var/lib/mysql/ibdata1", "remade"),
        ("var/lib/postgresql/15/main", "remade"),
        ("var/lib/postgresql/15/main/base/1/112", "remade"),
        ("var/lib/postgresql/15", "seed"),
        ("var/lib/systemd/random-seed", "discard"),
        ("var/lib/never-heard-of/x", ""),
        ("var/something", ""),
    ],
)
def test_classes_of_files_in_var(path: str, action: str) -> None:
    assert variable.action(path) == action


def test_a_link_that_packages_enabled_moves_below_usr_and_dangling_ones_go(store: Store) -> None:
    with systems.construction(store) as work:
        units.settle(work)
        assert work.names("etc/systemd/system") == []
        wants = f"{UNITS}/multi-user.target.wants"
        assert work.builder.link_target(work.builder.find(f"{wants}/ssh.service") or "")
        assert not work.has(f"{wants}/gone.service")
        assert work.has(f"{UNITS}/sshd.service")
        # nobody else manages the network, so networkd does
        assert work.has(f"{wants}/systemd-networkd.service")
        assert work.has(f"{UNITS}/sockets.target.wants/systemd-networkd.socket")
        preset = work.text(units.PRESET).splitlines()
        assert "enable ssh.service" in preset
        assert preset[-1] == "disable *"


def test_units_are_disabled_masked_and_unknown_ones_refused(store: Store) -> None:
    system = System(disable=("ssh.service",), mask=("graphical.target",))
    with systems.construction(store, system, locked=systems.lock("ifupdown")) as work:
        units.settle(work)
        wants = f"{UNITS}/multi-user.target.wants"
        assert not work.has(f"{wants}/ssh.service")
        assert not work.has(f"{wants}/systemd-networkd.service")
        masked = work.builder.find("etc/systemd/system/graphical.target")
        assert work.builder.link_target(masked or "") == "/dev/null"
    lost = ("nothing.service",)
    for system in (System(enable=lost), System(disable=lost), System(mask=lost)):
        with systems.construction(store, system) as work:
            with pytest.raises(DeclarationError) as caught:
                units.settle(work)
            assert caught.value.reason == "unknown-unit"


def test_a_unit_that_nothing_would_start_is_not_enabled(store: Store) -> None:
    for unit, refused in (("ssh.service", False), ("graphical.target", True)):
        with systems.construction(store, System(enable=(unit,))) as work:
            if not refused:
                units.settle(work)
                continue
            with pytest.raises(DeclarationError) as caught:
                units.settle(work)
            assert caught.value.reason == "unit-static"


def test_numbers_stay_what_a_lock_says(store: Store) -> None:
    with systems.construction(store) as work:
        first = users.settle(work, NONE)
        assert first.users == {"messagebus": 101}
        assert first.groups == {"messagebus": 102, "_ssh": 103}
    # another package took 102 and 103 first in this build
    known = Numbers({"messagebus": 110, "gone": 111}, {"messagebus": 110, "_ssh": 102})
    with systems.construction(store) as work:
        found = users.settle(work, known)
        assert found.users == {"gone": 111, "messagebus": 110}
        assert found.groups == {"messagebus": 110, "_ssh": 102}
        assert "messagebus:x:110:110:" in work.text("etc/passwd")
        agent = work.builder.attributes("usr/bin/su-agent")
        assert agent is not None
        assert (agent.gid, agent.permissions) == (102, 0o2755)
        text = work.text(users.SYSUSERS)
        assert "u messagebus 110:110 " in text
        assert "g _ssh 102 -" in text


def test_a_new_name_never_takes_a_number_that_the_lock_gave_another(store: Store) -> None:
    known = Numbers({"other": 101}, {"other": 102, "third": 103})
    with systems.construction(store) as work:
        found = users.settle(work, known)
    assert found.users["messagebus"] not in (101, 102)
    assert found.groups["messagebus"] not in (102, 103)
    assert found.groups["_ssh"] not in (102, 103, found.groups["messagebus"])


def test_declared_users(store: Store) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 a@b"
    people = (
        User("alice", groups=("sudo",), ssh_keys=(key,), password="$6$x$yyyyyyyyyyyy"),
        User("bob", uid=1000, shell="/bin/sh"),
        User("worker", system=True, shell="/usr/sbin/nologin"),
    )
    with systems.construction(store, System(users=people)) as work:
        found = users.settle(work, NONE)
        assert (found.users["bob"], found.users["alice"]) == (1000, 1001)
        assert found.users["worker"] < 1000
        assert f"{key}\n" == work.text("usr/lib/dolmen/authorized-keys/alice")
        assert "alice:$6$x$yyyyyyyyyyyy:" in work.text("etc/shadow")
        assert "sudo:x:27:alice" in work.text("etc/group")
        assert work.tmpfiles["/var/home/alice"] == "d /var/home/alice 0700 alice alice -"
        assert "m alice sudo" in work.text(users.SYSUSERS)
    lost = System(users=(User("alice", groups=("nobody-makes-it",)),))
    with systems.construction(store, lost) as work:
        with pytest.raises(DeclarationError) as caught:
            users.settle(work, NONE)
        assert caught.value.reason == "unknown-group"


def test_files_are_placed_with_owners_and_seeded_where_the_machine_keeps_them(
    store: Store,
) -> None:
    files = (
        PlacedFile("/etc/app/key", source="key", mode=0o640, group="_ssh"),
        PlacedFile("/var/lib/app/start", text="begin\n"),
        PlacedFile("/usr/local/bin/tool", text="#!/bin/sh\n", mode=0o755),
        PlacedFile("/root/.profile", text="x"),
        PlacedFile("/etc/app/link", link="key"),
    )
    system = System(files=files, timezone="Europe/Berlin", hostname="menhir")
    with systems.construction(store, system, beside={"key": b"secret"}) as work:
        declared.settle(work)
        found = work.builder.attributes("etc/app/key")
        assert found is not None
        assert (found.permissions, found.gid) == (0o640, 103)
        assert work.text("etc/hostname") == "menhir\n"
        factory = "usr/share/factory/var"
        assert work.text(f"{factory}/lib/app/start") == "begin\n"
        assert work.text(f"{factory}/usrlocal/bin/tool") == "#!/bin/sh\n"
        assert "/var/roothome/.profile" in work.tmpfiles
    for system, reason in (
        (System(files=(PlacedFile("/etc/x", text="", owner="stranger"),)), "unknown-owner"),
        (System(timezone="Mars/Olympus"), "no-timezone"),
    ):
        with systems.construction(store, system) as work:
            with pytest.raises(DeclarationError) as caught:
                declared.settle(work)
            assert caught.value.reason == reason


def test_links_that_tmpfiles_would_make_are_made(store: Store) -> None:
    """Debian 13's systemd has /etc/default/locale as a link; a start must change nothing."""

    def newer(builder: TreeBuilder) -> None:
        text = "L+ /etc/default/locale - - -  -  ../locale.conf\nL+ /etc/%b - - - - x\n"
        text += "L+ /etc/vconsole.conf - - - - default/keyboard\nL /etc/left - - - - x\n"
        builder.add_file("usr/lib/tmpfiles.d/debian.conf", text.encode())
        builder.add_file("etc/vconsole.conf", b"FONT=\n")

    with systems.construction(store, System(locale="C.UTF-8")) as work:
        declared.settle(work)
        assert work.text("etc/default/locale") == "LANG=C.UTF-8\n"
        assert not work.has("etc/locale.conf")
    with systems.construction(store, System(locale="C.UTF-8"), change=newer) as work:
        declared.settle(work)
        assert work.text("etc/locale.conf") == "LANG=C.UTF-8\n"
        for path, target in (
            ("etc/default/locale", "../locale.conf"),
            ("etc/vconsole.conf", "default/keyboard"),
        ):
            found = work.builder.find(path)
            assert found is not None
            assert work.builder.link_target(found) == target
        assert not work.has("etc/left")
        assert not work.has("etc/%b")


def test_a_remote_is_verified_and_a_timer_asks(store: Store) -> None:
    update = Update(url="https://images.example/x", ref="x", key="key.asc", automatic="stage")
    beside = {"key.asc": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}
    with systems.construction(store, System(update=update), beside=beside) as work:
        systems.finish(work, store)
        text = work.text("usr/etc/ostree/remotes.d/origin.conf")
        assert "gpg-verify=true" in text
        assert "gpgkeypath=/usr/share/dolmen/keys/origin.asc" in text
        assert work.has(f"{UNITS}/timers.target.wants/dolmen-upgrade.timer")
        assert "EnvironmentFile=-/etc/environment" in work.text(f"{UNITS}/dolmen-upgrade.service")


def test_every_rule_for_var_can_be_met() -> None:
    """All rules are one expression: each must be reachable by its own number."""
    for number, rule in enumerate(variable.RULES):
        path = rule.pattern.replace("**", "x").replace("*", "x")
        assert variable.action(path) in (rule.action, *(r.action for r in variable.RULES[:number]))
