"""The builder, and table M of what hostile maintainer scripts try: each after its benign twin."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import threading
import time
from pathlib import Path

import pytest

from dolmen.sandbox.kernel import FIX_DEVICES
from dolmen.sandbox.syscalls import MACHINES, TABLES
from dolmen.support.errors import HostError
from dolmen.support.run import run
from tests.integration.sandbox.conftest import ENVIRONMENT, Built, Party

NUMBERS = TABLES[MACHINES[os.uname().machine][0].table]


def fingerprint(tree: Path) -> str:
    """Everything in a tree: names, modes, owners, sizes, contents, links."""
    digest = hashlib.sha256()
    for directory, names, files in os.walk(tree):
        names.sort()
        for name in sorted([*names, *files]):
            path = Path(directory, name)
            status = path.lstat()
            digest.update(f"{path} {status.st_mode} {status.st_uid} {status.st_nlink}".encode())
            if stat.S_ISREG(status.st_mode):
                digest.update(path.read_bytes())
            elif stat.S_ISLNK(status.st_mode):
                digest.update(os.readlink(path).encode())
    return digest.hexdigest()


def processes(marker: str) -> list[int]:
    """The processes of this host with an argument `marker`."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                arguments = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker.encode() in arguments:
                found.append(int(name))
    return found


def _perl(call: str) -> str:
    """A perl line that tells whether a call was made, or its errno's name."""
    said = "defined $r && $r != -1 ? qq(done\\n) : qq($!\\n)"
    return f"perl -e 'my $r = {call}; print {said}'"


def syscall(name: str, *arguments: int | str) -> str:
    """The same for a raw system call; strings are passed as pointers."""
    words = ", ".join(
        str(n) if isinstance(n, int) else f'my $s{k} = "{n}"' for k, n in enumerate(arguments)
    )
    return _perl(f"syscall({', '.join(filter(None, [str(NUMBERS[name]), words]))})")


def test_changes_go_to_the_upper_directory_only(party: Party) -> None:
    before = fingerprint(party.tree)
    done = party.build(
        "echo edited >>/etc/canary; rm /var/lib/data/file; mkdir /new; echo x >/new/file; "
        "echo out; echo err >&2; umask; exit 7"
    )
    assert (done.code, done.stopped, done.timed_out) == (7, "", False)
    assert done.lines == ["out", "err", "0022"]
    upper = Path(done.upper)
    assert (upper / "etc/canary").read_text() == "image\nedited\n"
    assert (upper / "new/file").read_text() == "x\n"
    assert stat.S_ISCHR((upper / "var/lib/data/file").lstat().st_mode) or os.getxattr(
        upper / "var/lib/data/file", "user.overlay.whiteout"
    )
    assert (upper / "new/file").stat().st_uid == party.uid
    assert fingerprint(party.tree) == before


def test_a_second_job_builds_upon_the_first(party: Party) -> None:
    party.build("echo one >/etc/step", scratch="steps")
    done = party.build("cat /etc/step; echo two >/etc/step", scratch="steps")
    assert done.lines == ["one"]
    assert (Path(done.upper) / "etc/step").read_text() == "two\n"


def test_the_world_inside(party: Party) -> None:
    done = party.build(
        "id -u; id -g; hostname; pwd; umask; env; ls -A /run /tmp; ls /proc/self/fd; "
        "readlink /proc/self/fd/0; "
        "stat -c '%a %n' / /tmp /run /run/lock /dev/shm; [ -t 0 ] || echo 'no tty'; ps -e -o comm="
    )
    assert done.lines[:5] == ["0", "0", "dolmen", "/", "0022"]
    variables = {line for line in done.lines if "=" in line}
    assert variables == {f"{k}={v}" for k, v in ENVIRONMENT.items()} | {"PWD=/"}
    assert "/dev/null" in done.lines
    assert "no tty" in done.lines
    assert {"755 /", "1777 /tmp", "755 /run", "1777 /run/lock"} <= set(done.lines)
    at = done.lines.index("/dev/null")
    assert done.lines[at - 4 : at] == ["0", "1", "2", "3"]  # 3 is ls itself
    assert set(done.lines[-3:]) <= {"bwrap", "sh", "ps"}


def test_root_and_user_see_the_same(party: Party) -> None:
    """What a script can read about its own standing is this, for both."""
    done = party.build(
        "stat -c '%u:%g %n' /etc /etc/canary /; grep CapEff /proc/self/status; ulimit -n; ulimit -c"
    )
    assert done.lines == [
        *("0:0 /etc", "0:0 /etc/canary", "0:0 /", "CapEff:\t00000000800400ff", "1024", "0")
    ]


def test_root_is_emulated(party: Party) -> None:
    done = party.build(
        "touch /f; chown 123:456 /f && chown -h daemon-less /f 2>/dev/null || echo checked; "
        f"{syscall('setgroups', 0, 0)}; {_perl('($) = 5, 1)')}; mknod /char c 1 3 && echo char; "
        "[ -e /char ] || echo absent; mkfifo /fifo && stat -c %F /fifo; sync && echo synced; "
        "chmod 0 /f && cat /f && echo readable; stat -c %u /f"
    )
    assert done.lines[-1] == "0"
    for line in ("char", "absent", "fifo", "synced", "readable"):
        assert line in done.lines
    assert not any("not permitted" in line for line in done.lines)


def test_files_and_writable(party: Party) -> None:
    files, out = party.directory / "files", party.directory / "out"
    for directory in (files, out):
        directory.mkdir(exist_ok=True)
        os.chown(directory, party.uid, -1)
    (files / "script").write_text("hello\n")
    done = party.build(
        "cat /run/dolmen/script; echo x >/run/dolmen/new; echo y >/out/y",
        files=str(files),
        writable=[[str(out), "/out"]],
    )
    assert done.lines[0] == "hello"
    assert not (files / "new").exists()
    assert (out / "y").read_text() == "y\n"


def test_m1_no_network(party: Party) -> None:
    sock = "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or die; "
    listen = (
        sock
        + "bind(S, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen(S, 1) or die; print qq(bound)"
    )
    assert "bound" in party.build(f"perl -e '{listen}'").text
    reach = sock + 'print connect(S, sockaddr_in(53, inet_aton("192.0.2.1"))) ? "reached" : "$!"'
    assert party.build(f"perl -e '{reach}'").text == "Network is unreachable"


def test_m1_no_abstract_sockets_of_the_host(party: Party) -> None:
    import socket

    name = f"dolmen-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen(1)
        connect = (
            'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) or die; print connect(S, pack("S a*", '
            f'AF_UNIX, "\\0{name}")) ? "connected" : "$!"'
        )
        assert party.run(["perl", "-e", connect]).stdout == b"connected"
        assert party.build(f"perl -e '{connect}'").text == "Connection refused"


def test_m2_nothing_of_the_host_to_read(party: Party) -> None:
    secret = party.home / "secret"
    secret.write_text("secret")
    done = party.build(
        f"cat /etc/canary; cat {shlex.quote(str(secret))}; ls -A /home /run; cat /proc/*/environ"
    )
    assert done.lines[0] == "image"
    assert "No such file" in done.lines[1]
    rest = "\n".join(done.lines[2:])
    assert "secret" not in rest
    assert str(party.directory) not in rest


@pytest.mark.parametrize(
    ("attack", "answer"),
    [
        (syscall("mount", "none", "/tmp", "tmpfs", 0, 0), "Operation not permitted"),
        ("mount -o remount,rw /proc/bus && echo done", "permission denied"),
        (syscall("umount2", "/proc", 2), "Operation not permitted"),
        (syscall("unshare", 0x10000000), "No space left on device"),
        (syscall("unshare", 0x00020000), "Operation not permitted"),
        (syscall("finit_module", 0, 0, 0), "Operation not permitted|Function not implemented"),
        (syscall("setns", 0, 0), "Bad file descriptor|Invalid argument"),
        (syscall("reboot", 0xFEE1DEAD, 672274793, 0x1234567, 0), "Operation not permitted"),
        ("echo x >/proc/sys/kernel/hostname && echo done", "Read-only|Permission denied"),
        ("echo x >/proc/sys/vm/drop_caches && echo done", "Read-only|Permission denied"),
        ("kill -9 1; sleep 0.2; echo alive", "alive"),
    ],
)
def test_m3_the_kernel_says_no(party: Party, attack: str, answer: str) -> None:
    done = party.build(f"{{ {attack}; }} 2>&1")
    assert "done" not in done.lines
    assert any(word in done.text for word in answer.split("|")), done.text


def test_m3_devices_do_not_work(party: Party) -> None:
    """Those of /dev do; one in the tree, however it came there, would not."""
    done = party.build("echo fine >/dev/null && echo works; grep ' / ' /proc/mounts")
    assert done.lines[0] == "works"
    assert {"nodev", "nosuid"} <= set(done.lines[-1].split()[3].split(","))


def test_m3_the_hosts_device_nodes_keep_their_modes(party: Party) -> None:
    """They are the host's own inodes, and uid 0 may be their owner."""
    before = {node: os.stat(node).st_mode for node in ("/dev/null", "/dev/zero", "/dev/tty")}
    assert party.build("touch /f && chmod 600 /f && stat -c %a /f").lines == ["600"]
    done = party.build("for node in null zero tty; do chmod 600 /dev/$node && echo done; done")
    assert "done" not in done.lines
    assert before == {node: os.stat(node).st_mode for node in before}


@pytest.mark.root
def test_m3_the_same_where_systemd_has_mounted_dev() -> None:
    """Its /dev is nosuid, and what is locked may not be cleared in a user namespace."""
    inner = f"{FIX_DEVICES} && echo made && ! chmod 666 /dev/null && echo kept"
    for flags in ("rw", "nosuid", "nosuid,noexec,noatime"):
        done = run(
            [
                *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
                f"mount -o remount,bind,{flags} /dev && "
                "exec unshare --user --map-root-user --mount --propagation private "
                f"sh -c {shlex.quote(inner)}",
            ],
            timeout=30,
        )
        assert done.stdout.split() == [b"made", b"kept"], (flags, done.stderr)


def test_m4_time_out_and_nobody_survives(party: Party) -> None:
    marker = f"86399.{os.getpid() % 1000}{party.uid % 7}"
    assert party.build(f"(setsid sleep {marker} >/dev/null 2>&1 &); sleep 0.2; echo ok").code == 0
    assert processes(marker) == []
    started = time.monotonic()
    done = party.build(
        f"trap '' TERM; (setsid sleep {marker} &); echo begun; sleep {marker}", timeout=1
    )
    assert (done.timed_out, done.stopped, done.code) == (True, "timeout", 137)
    assert done.lines == ["begun"]
    assert processes(marker) == []
    assert time.monotonic() - started < 20


def test_m4_closed_output_is_no_end(party: Party) -> None:
    done = party.build("exec >/dev/null 2>&1; sleep 0.5; exit 3")
    assert done.code == 3
    assert party.build("exec >&- 2>&-; sleep 60", timeout=1).stopped == "timeout"


def test_m4_fork_bomb(party: Party) -> None:
    twin = "for n in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait; echo done"
    assert party.build(twin, max_tasks=300).lines == ["done"]
    done = party.build("b() { b | b & }; b 2>/dev/null; sleep 60", timeout=5, max_tasks=300)
    # An ordinary user's forks fail (RLIMIT_NPROC), root's are counted.
    assert done.stopped in ("too-many-tasks", "timeout") or done.code != 0
    with open("/proc/loadavg") as stream:
        assert int(stream.read().split()[3].split("/")[1]) < 4000


def test_m4_big_file(party: Party) -> None:
    assert party.build("truncate -s 100M /big && stat -c %s /big; rm /big").lines == ["104857600"]
    done = party.build("truncate -s 10G /big; stat -c %s /big; rm /big")
    assert done.lines[-1] == "0"


def test_m4_reads_of_standard_input_end(party: Party) -> None:
    assert party.build("read answer || echo nothing", timeout=10).lines == ["nothing"]


def test_m4_long_lines_are_cut(party: Party) -> None:
    done = party.build("perl -e 'print qq(x) x 200000'")
    assert sum(map(len, done.lines)) == 200000
    assert max(map(len, done.lines)) <= 65536


def test_m6_no_process_lives_when_the_result_is_read(party: Party) -> None:
    """Somebody who goes on writing in the background does not get to write after build()."""
    done = party.build("(while :; do echo x >>/late; done) >/dev/null 2>&1 & sleep 0.3; exit 0")
    size = (Path(done.upper) / "late").stat().st_size
    assert size > 0
    time.sleep(0.3)
    assert (Path(done.upper) / "late").stat().st_size == size


def test_killed_ourselves_everything_ends(party: Party) -> None:
    """kill -9 of the process that builds: the kernel ends the sandbox (PDEATHSIG)."""
    marker = f"86398.{os.getpid() % 1000}{party.uid % 7}"
    result: list[Built | BaseException] = []

    def job() -> None:
        try:
            result.append(party.build(f"(setsid sleep {marker} &); sleep {marker}", timeout=30))
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=job)
    thread.start()
    try:
        deadline = time.monotonic() + 15
        while len(processes(marker)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(processes(marker)) == 2
        for pid in processes_of_builder(marker):
            os.kill(pid, 9)
        while processes(marker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes(marker) == []
    finally:
        thread.join(40)
    assert isinstance(result[0], AssertionError)  # no JSON came


def processes_of_builder(marker: str) -> list[int]:
    """The python processes whose job names the marker."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                arguments = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"python" in arguments[0] and any(marker.encode() in word for word in arguments):
                found.append(int(name))
    return found


def test_a_missing_program_is_an_error(party: Party) -> None:
    done = party.build("", argv=["/bin/nonexistent"])
    assert done.reason == "sandbox-failed"
    assert any("nonexistent" in line for line in done.details)


def test_fails_closed_without_bubblewrap(
    model_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dolmen.sandbox import BuildJob, build, require

    require(tmp_path)
    monkeypatch.setattr("dolmen.sandbox.findings.shutil.which", lambda name, path: None)
    job = BuildJob(model_tree, tmp_path / "s", ("/bin/nonexistent",), {}, 10)
    with pytest.raises(HostError) as caught:
        build(job, on_line=lambda line: None)
    assert caught.value.reason == "no-bubblewrap"
