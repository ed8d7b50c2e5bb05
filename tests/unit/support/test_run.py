import os
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from dolmen.support.errors import HostError
from dolmen.support.run import CLEAN_ENVIRONMENT, run, spawn


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def test_output_and_status() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert not done.ok
    assert not done.timed_out
    assert run(["true"], timeout=10).ok


def test_arguments_are_never_a_shell_line() -> None:
    hostile = "$(id); `id` '\"\\ * \n"
    assert run(["printf", "%s", hostile], timeout=10).stdout.decode() == hostile


def test_input_reaches_the_child_and_is_empty_by_default() -> None:
    assert run(["cat"], timeout=10, input=b"x" * 200_000).stdout == b"x" * 200_000
    assert run(["cat"], timeout=10).stdout == b""


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    lines = run(["/usr/bin/env"], timeout=10).stdout.decode().splitlines()
    assert dict(line.split("=", 1) for line in lines) == dict(CLEAN_ENVIRONMENT)
    given = run(["/usr/bin/env"], timeout=10, env={"A": "b"}).stdout
    assert given == b"A=b\n"


def test_a_signal_is_a_negative_status() -> None:
    assert run(["sh", "-c", "kill -9 $$"], timeout=10).returncode == -9


def test_timeout_kills_the_whole_group() -> None:
    before = time.monotonic()
    done = run(["sh", "-c", "sleep 300 & echo $!; sleep 300"], timeout=0.3)
    assert time.monotonic() - before < 8
    assert done.timed_out
    assert not done.ok
    assert gone(int(done.stdout))


def test_timeout_holds_although_a_grandchild_left_the_group() -> None:
    """It keeps the pipes open: what was read until then is returned all the same."""
    script = "setsid sh -c 'echo $$; exec sleep 300' & sleep 300"
    before = time.monotonic()
    done = run(["sh", "-c", script], timeout=0.3)
    assert time.monotonic() - before < 20
    assert done.timed_out
    os.kill(int(done.stdout), 9)


def test_background_processes_end_with_the_block() -> None:
    with spawn(["sh", "-c", "sleep 300 >/dev/null & echo $!"], stdout=PIPE) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert child.wait(timeout=5) == 0
        assert alive(pid)
    assert gone(pid)


def test_an_error_in_the_block_ends_the_child() -> None:
    with pytest.raises(ZeroDivisionError), spawn(["sleep", "300"]) as child:
        _ = 1 / 0
    assert gone(child.pid)


def test_descriptors_are_passed_on_request_only() -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        script = f"echo x >/proc/self/fd/{writer}"
        assert not run(["sh", "-c", script], timeout=10).ok
        assert run(["sh", "-c", script], timeout=10, pass_fds=[writer]).ok
        assert os.read(reader, 10) == b"x\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_missing_program_is_the_hosts_fault(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        run(["dolmen-no-such-program"], timeout=10)
    assert caught.value.reason == "program-missing"
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(HostError) as caught:
        run([str(program)], timeout=10)
    assert caught.value.reason == "program-refused"
    program.chmod(0o755)
    assert run([str(program)], timeout=10).ok


def test_a_missing_directory_is_not_a_missing_program(tmp_path: Path) -> None:
    assert run(["pwd"], cwd=tmp_path, timeout=10).stdout.decode().strip() == str(tmp_path)
    with pytest.raises(FileNotFoundError):
        run(["pwd"], cwd=tmp_path / "missing", timeout=10)
