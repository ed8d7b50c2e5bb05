"""Entering an image: what is shared, what is not, and table X; each refusal after its twin."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from dolmen.sandbox.syscalls import MACHINES, TABLES
from tests.integration.sandbox.conftest import Party

NUMBERS = TABLES[MACHINES[os.uname().machine][0].table]


def lines(party: Party, script: str, *options: str, env: dict[str, str] | None = None) -> list[str]:
    done = party.sh(script, *options, env=env)
    return (done.stdout + done.stderr).decode().splitlines()


@pytest.mark.parametrize("options", [[], ["--pure"]])
def test_exit_codes(party: Party, options: list[str]) -> None:
    def code(*argv: str) -> int:
        return party.launch(*options, "--", *argv).returncode

    assert code("true") == 0
    assert code("sh", "-c", "exit 7") == 7
    assert code("sh", "-c", "kill -TERM $$") == 128 + signal.SIGTERM
    assert code("sh", "-c", "kill -SEGV $$") == 128 + signal.SIGSEGV
    assert code("no-such-command") == 127
    assert code("/etc/canary") == 126
    assert code("--bind") == 127
    assert code("./no-such-command") == 127
    assert party.launch(*options, "sh", "-c", "exit 3").returncode == 3
    assert party.launch("--wrong").returncode == 2


def test_arguments_arrive_whole(party: Party) -> None:
    odd = ["a b", "", "$(id)", "'\"\\", "--", "-x", "new\nline", "é"]
    done = party.launch("--", "printf", "%s\\0", *odd)
    assert done.stdout.decode().split("\0")[:-1] == odd


def test_links_are_commands(party: Party) -> None:
    link = party.launcher.parent / "bin/sh"
    done = party.run([str(link), "-c", 'echo "$1"', "sh", "--pure"], cwd=Path("/"))
    assert done.stdout == b"--pure\n"


@pytest.mark.parametrize("options", [[], ["--pure"]])
def test_who_we_are(party: Party, options: list[str]) -> None:
    import pwd

    name = pwd.getpwuid(party.uid).pw_name
    assert lines(party, "id -un; id -u", *options) == [name, str(party.uid)]


def test_the_image_is_the_system(party: Party) -> None:
    found = lines(
        party, "cat /etc/canary; command -v sh; ls /usr/share 2>&1; cat /var/lib/data/file"
    )
    assert found[0] == "image"
    assert found[-1] == "of the image"
    assert any("No such file" in line for line in found)


@pytest.mark.parametrize("options", [[], ["--pure"]])
@pytest.mark.parametrize(
    "attack",
    [
        "touch /usr/new",
        "echo x >>/etc/canary",
        "rm /var/lib/data/file",
        "touch /new",
        "mount -o remount,rw /usr",
        "mount -o remount,bind,rw /etc",
        "unshare --user --map-root-user --mount mount -o remount,bind,rw /usr",
        "unshare --user --map-root-user --mount sh -c 'umount /etc/passwd; echo x >>/etc/passwd'",
        "chmod 777 /usr/bin/sh",
    ],
)
def test_the_image_cannot_be_changed(party: Party, options: list[str], attack: str) -> None:
    assert party.sh("echo x >project/twin", *options).returncode in (0, 2)
    done = party.sh(f"{attack} && echo done", *options)
    assert done.returncode != 0
    assert b"done" not in done.stdout
    assert (party.tree / "etc/canary").read_text() == "image\n"
    assert (party.tree / "var/lib/data/file").exists()


def test_the_store_is_read_only_although_the_home_is_not(party: Party) -> None:
    store = party.directory / "store"
    env = {"HOME": str(party.directory)}
    good = f"echo x >{shlex.quote(str(party.directory / 'twin'))}"
    assert party.sh(good, env=env).returncode == 0
    attack = f"echo x >>{shlex.quote(str(party.tree / 'etc/canary'))}"
    done = party.sh(attack, env=env)
    assert b"Read-only" in done.stderr
    assert (party.tree / "etc/canary").read_text() == "image\n"
    assert store.exists()


def test_var_is_scratch(party: Party) -> None:
    places = "tmp log lib cache lib/empty cache/empty/deep"
    script = f"for d in {places}; do echo x >/var/$d/f || exit 1; done; ls /var/lib/empty; "
    found = lines(party, script + "stat -c %a /var/tmp; touch /run/x; ls /var/run")
    assert found[:2] == ["f", "1777"]
    assert {"dolmen", "lock", "x"} <= set(found)
    assert not (party.tree / "var/lib/empty/f").exists()


def test_a_development_shell_shares(party: Party) -> None:
    (party.home / "project/file").write_text("mine\n")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0dolmen-launch-{os.getpid()}-{party.uid}")
        server.listen(1)
        connect = (
            'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) or die; print connect(S, pack("S a*", '
            f'AF_UNIX, "\\0dolmen-launch-{os.getpid()}-{party.uid}")) ? "connected" : "no: $!"'
        )
        assert lines(party, f"perl -e '{connect}'") == ["connected"]
        assert lines(party, f"perl -e '{connect}'", "--pure") == ["no: Connection refused"]
    found = lines(
        party,
        'cat project/file; pwd; echo new >project/new; hostname; echo "$CALLER"',
        env={"CALLER": "mine too"},
    )
    assert found == ["mine", str(party.home), socket.gethostname(), "mine too"]
    assert (party.home / "project/new").stat().st_uid == party.uid
    shared = Path(f"/tmp/dolmen-shared-{os.getpid()}-{party.uid}")
    lines(party, f"echo x >{shared}")
    assert shared.read_text() == "x\n"
    shared.unlink()


def test_pure_shares_the_working_directory_only(party: Party) -> None:
    (party.home / "secret").write_text("secret\n")
    (party.home / "project/file").write_text("mine\n")
    script = (
        'cat file; cat ../secret; echo "$CALLER"; echo $HOME; touch ~/scratch && ls -A ~; '
        "hostname; ls -A /tmp; ls /proc | grep -c '^[0-9]'; echo new >new"
    )
    done = party.launch(
        "--pure",
        "--",
        "sh",
        "-c",
        script,
        env={"CALLER": "x", "A": "b"},
        cwd=party.home / "project",
    )
    found = done.stdout.decode().splitlines()
    assert found[:3] == ["mine", "", str(party.home)]
    assert found[3:5] == ["project", "scratch"]
    assert found[5] == "dolmen"
    assert int(found[-1]) <= 5
    assert b"secret" not in done.stdout
    assert (party.home / "project/new").exists()
    assert not (party.home / "scratch").exists()


def test_variables(party: Party) -> None:
    home = "/tmp/nobody's home"  # PATH cannot hold the colons of party.home
    env = {
        "HOME": home,
        "CALLER": "mine",
        "LD_LIBRARY_PATH": "/nonexistent",
        "PYTHONHOME": "/usr",
        "LC_ALL": "de_DE.UTF-8",
        "PATH": f"/usr/bin:{home}/bin:{home}/x/.dolmen/bin:/opt/x",
        "SHELL": "/usr/bin/fish",
        "dolmen_host": "/nowhere",
        "SSL_CERT_FILE": "/usr/local/own.pem",
    }
    text = "\n" + party.sh("env", env=env).stdout.decode()
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert values["CALLER"] == "mine"
    assert values["DECLARED"] == "it's $HOME"
    assert values["DOLMEN_ENVIRONMENT"] == values["debian_chroot"] == "demo"
    assert values["LANG"] == "C.UTF-8"
    assert values["SHELL"] == "/bin/bash"
    path = values["PATH"].split(":")
    assert path[:3] == ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin"]
    assert path[-1] == f"{home}/bin"
    gone = {"LD_LIBRARY_PATH", "PYTHONHOME", "LC_ALL", "SSL_CERT_FILE"}
    assert not gone & values.keys()
    pure = party.sh("env", "--pure", env=env).stdout.decode()
    names = {line.split("=", 1)[0] for line in pure.splitlines()}
    assert names <= {
        *("PATH", "HOME", "LANG", "SHELL", "PWD", "DECLARED", "DOLMEN_ENVIRONMENT"),
        *("debian_chroot", "USER", "LOGNAME", "TERM", "_"),
    }


def test_the_host_shows_through_in_etc(party: Party) -> None:
    for name in ("hosts", "hostname", "machine-id", "resolv.conf"):
        if Path("/etc", name).is_file():
            done = party.launch("--", "cat", f"/etc/{name}")
            assert done.stdout == Path("/etc", name).read_bytes(), name
    pure = party.launch("--pure", "--", "cat", "/etc/machine-id", "/etc/hostname")
    assert pure.stdout == b""


def test_network(party: Party) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        port = server.getsockname()[1]
        connect = (
            "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or die; print connect(S, "
            f'sockaddr_in({port}, INADDR_LOOPBACK)) ? "connected" : "no"'
        )
        assert lines(party, f"perl -e '{connect}'") == ["connected"]
        assert lines(party, f"perl -e '{connect}'", "--pure", "--network") == ["connected"]
        assert lines(party, f"perl -e '{connect}'", "--pure") == ["no"]


@pytest.mark.root
def test_working_directories_outside_home(party: Party) -> None:
    made: list[Path] = []
    try:
        for base in ("/srv", "/opt", "/usr/local", "/var/www", "/", "/mnt", "/var/lib"):
            top = Path(base, f"dolmen-test-{os.getpid()}")
            if not top.parent.exists():
                top.parent.mkdir()
                made.append(top.parent)
            directory = top / "a b/c"
            directory.mkdir(parents=True)
            made.append(top)
            (top / "beside").write_text("beside\n")
            (directory / "file").write_text(f"{base}\n")
            for path in (top, *top.rglob("*")):
                os.chown(path, party.uid, -1)
            script = "pwd; cat file; cat ../../beside; echo x >new"
            done = party.launch("--", "sh", "-c", script, cwd=directory)
            assert done.stdout.decode().splitlines() == [str(directory), base, "beside"], done
            assert (directory / "new").exists()
            done = party.launch("--pure", "--", "sh", "-c", script, cwd=directory)
            assert done.stdout.decode().splitlines() == [str(directory), base], done
    finally:
        for path in reversed(made):
            subprocess.run(["rm", "-r", str(path)], check=True, timeout=20)


def test_working_directories_of_the_image(party: Party) -> None:
    done = party.launch("--", "pwd", cwd=Path("/etc"))
    assert (done.returncode, done.stdout) == (0, b"/etc\n")
    assert b"image's own" in done.stderr
    done = party.launch("--", "pwd", cwd=Path("/"))
    assert (done.stdout, done.stderr) == (b"/\n", b"")
    missing = next(path for path in Path("/usr/share").iterdir() if path.is_dir())
    done = party.launch("--", "pwd", cwd=missing)
    assert (done.returncode, done.stdout) == (125, b"")


def test_a_working_directory_behind_a_link(party: Party) -> None:
    link = party.home / "link"
    if not link.is_symlink():
        link.symlink_to("project")
    done = party.run(
        [
            "sh",
            "-c",
            'cd "$1" && exec "$2" -- sh -c "echo \\$PWD; pwd -P"',
            "sh",
            str(link),
            str(party.launcher),
        ]
    )
    assert done.stdout.decode().splitlines() == [str(link), str(party.home / "project")]


def test_a_working_directory_that_is_gone(party: Party) -> None:
    script = 'mkdir "$1" && cd "$1" && rmdir "$1" && exec "$2" -- pwd'
    done = party.run(["sh", "-c", script, "sh", str(party.home / "gone"), str(party.launcher)])
    assert done.returncode == 125


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_command_ends_gracefully_with_the_launcher(party: Party, number: int) -> None:
    with party.start(
        "--", "sh", "-c", "trap 'echo asked; exit' TERM; echo ready; while :; do sleep 0.05; done"
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        os.kill(child.pid, number)
        assert child.stdout.readline() == b"asked\n"
        assert child.wait(10) == -number


def test_pure_ends_with_the_launcher(party: Party) -> None:
    with party.start("--pure", "--", "sh", "-c", "echo ready; sleep 60") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.terminate()
        assert child.stdout.read() == b""
        assert child.wait(10) == -signal.SIGTERM


def test_a_daemon_outlives_a_development_shell_only(party: Party) -> None:
    for options, expected in ([], True), (["--pure"], False):
        mark = party.home / f"project/daemon{len(options)}"
        # Time for setsid: what is still in our group ends with it.
        daemon = f"setsid sh -c 'sleep 0.6; echo x >daemon{len(options)}' >/dev/null 2>&1"
        script = f"({daemon} &); sleep 0.3"
        party.launch(*options, "--", "sh", "-c", script, cwd=party.home / "project")
        deadline = time.monotonic() + 2
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert mark.exists() is expected


def test_x14_descriptors(party: Party) -> None:
    """A development shell passes on what the caller opened; `--pure` only 0, 1 and 2."""
    for fd in (3, 8, 12, 37):
        script = f'exec {fd}</etc/passwd; exec "$1" $2 -- sh -c "ls /proc/self/fd"'
        for option, expected in ("", True), ("--pure", False):
            done = party.run(["bash", "-c", script, "bash", str(party.launcher), option])
            assert done.returncode == 0, done.stderr
            # ls has one of its own, the lowest that is free.
            found = sorted(map(int, done.stdout.split()))
            assert found == (
                [0, 1, 2, *sorted({3, 4} if fd == 3 else {3, fd})] if expected else [0, 1, 2, 3]
            )


def test_x15_x18_nested_namespaces(party: Party) -> None:
    attack = "unshare --user --map-root-user true"
    if party.user is not None:
        assert party.sh(attack).returncode == 0
    assert party.sh(attack, "--pure").returncode != 0


def syscall(name: str, *arguments: int) -> str:
    words = ", ".join(map(str, (NUMBERS[name], *arguments)))
    return f"perl -e 'print syscall({words}) == -1 ? $! + 0 : qq(done), qq(\\n)'"


@pytest.mark.parametrize(
    ("call", "errnos"),
    [
        (("unshare", 0x10000000), {1}),
        (("clone3", 0, 0), {38}),
        (("setns", 0, 0), {1}),
        (("mount", 0, 0, 0, 0, 0), {1}),
        (("umount2", 0, 0), {1}),
        (("pivot_root", 0, 0), {1}),
        (("chroot", 0), {1}),
        (("open_tree", 0, 0, 0), {38}),
        (("fsopen", 0, 0), {38}),
        (("mount_setattr", 0, 0, 0, 0, 0), {38}),
        (("keyctl", 0, 0), {1}),
        (("perf_event_open", 0, 0, 0, 0, 0), {1}),
        (("bpf", 0, 0, 0), {1}),
        (("socket", 38, 5, 0), {97}),  # AF_ALG
        (("socket", 17, 3, 0), {97}),  # AF_PACKET
    ],
)
def test_x4_x5_confined_calls(party: Party, call: tuple[str, int], errnos: set[int]) -> None:
    assert lines(party, syscall("socket", 1, 1, 0), "--pure") == ["done"]
    assert {int(line) for line in lines(party, syscall(*call), "--pure")} == errnos


def test_x6_x7_options_and_variables_stay_data(party: Party) -> None:
    done = party.launch("--", "--ro-bind", "/", "/")
    assert done.returncode == 127
    done = party.launch("--pure", "--", "env", env={"BASH_ENV": "/tmp/x", "LD_PRELOAD": ""})
    assert b"BASH_ENV" not in done.stdout


@pytest.mark.root
def test_x17_root_has_no_capabilities(party: Party) -> None:
    for options in ([], ["--pure"]):
        found = lines(party, "grep -E 'Cap(Eff|Prm|Bnd|Amb)' /proc/self/status", *options)
        effective = [line.split()[1] for line in found if "Bnd" not in line]
        assert set(effective) == {"0" * 16}
    if party.user is None:
        found = lines(
            party,
            "echo x >/proc/sys/kernel/core_pattern && echo done; "
            "echo x >/sys/kernel/uevent_helper && echo done; ls /dev/?d? /dev/vd?",
        )
        assert "done" not in found
        assert not any(line.startswith(("/dev/sd", "/dev/vd")) for line in found)


def test_x19_pure_hides_the_hosts_processes(party: Party) -> None:
    assert lines(party, f"ls /proc/{os.getpid()} >/dev/null && echo seen") == ["seen"]
    assert lines(party, f"ls /proc/{os.getpid()} >/dev/null 2>&1 || echo hidden", "--pure") == [
        "hidden"
    ]
    assert "done" not in lines(party, "echo x >/proc/sys/kernel/hostname && echo done", "--pure")


def test_x23_nothing_runs_without_its_sandbox(party: Party, tmp_path: Path) -> None:
    """Without bubblewrap, filter or tree: code 125, and the command does not run."""
    assert party.sh("echo ran").stdout == b"ran\n"
    text = party.launcher.read_text()
    broken = party.home / "broken"
    broken.mkdir(exist_ok=True)
    os.chown(broken, party.uid, -1)
    script = broken / "launch"
    for old, new in (("/usr/bin/bwrap", "/usr/bin/no-bwrap"), ("/host", "/no-host")):
        script.write_text(text.replace(old, new))
        script.chmod(0o755)
        done = (
            party.run(
                [
                    str(script),
                    "--host-files",
                    str(party.launcher.parent / "host"),
                    "--",
                    "echo",
                    "ran",
                ]
            )
            if old != "/host"
            else party.run([str(script), "--", "echo", "ran"])
        )
        assert (done.returncode, done.stdout) == (125, b"")


def test_inside_itself_no_second_sandbox(party: Party) -> None:
    env = {"HOME": str(party.directory)}
    script = f"{shlex.quote(str(party.launcher))} -- sh -c 'cat /etc/canary; exit 4'; echo $?"
    done = party.sh(script, env=env)
    assert done.stdout.decode().splitlines() == ["image", "4"]
