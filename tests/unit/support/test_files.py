import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from dolmen.support.files import remove_tree, symlink_atomic, sync_directory, write_atomic


def test_write_replaces_and_sets_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "first")
    write_atomic(path, b"second", mode=0o600)
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_text_is_written_as_utf8_with_its_newlines(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "ä\r\n")
    assert (tmp_path / "file").read_bytes() == "ä\r\n".encode()


@pytest.mark.parametrize("failing", ["fsync", "fchmod"])
def test_a_failing_device_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(path, "new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_cut_short_leaves_the_old_file(tmp_path: Path) -> None:
    """A real limit of the kernel, in a child so that the limit ends with it."""
    path = tmp_path / "file"
    write_atomic(path, "old")
    child = os.fork()
    if child == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write_atomic(path, b"n" * 100_000)
        except OSError as error:
            os._exit(0 if error.errno == errno.EFBIG else 2)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_directory_are_synced_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(fd: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_fsync(fd)

    def rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    write_atomic(tmp_path / "file", "x")
    assert done == ["file", "rename", "directory"]
    done.clear()
    symlink_atomic(tmp_path / "link", "file")
    assert done == ["rename", "directory"]


def test_symlink_replaces_links_and_files(tmp_path: Path) -> None:
    link = tmp_path / "current"
    symlink_atomic(link, "generations/1")
    symlink_atomic(link, "generations/2")
    assert os.readlink(link) == "generations/2"
    assert os.listdir(tmp_path) == ["current"]


def test_symlink_over_a_directory_fails_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(IsADirectoryError):
        symlink_atomic(tmp_path / "current", "x")
    assert os.listdir(tmp_path) == ["current"]


def test_sync_directory_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")


def test_remove_tree_takes_files_links_and_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "file").touch()
    for name in ("link", "file", "missing"):
        remove_tree(tmp_path / name)
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(kept) == ["file"]


def test_remove_tree_goes_through_locked_directories(tmp_path: Path) -> None:
    """As an ordinary user: root needs no permission bits, so root becomes somebody first."""
    tmp_path.chmod(0o777)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(tmp_path)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            inner = Path("tree/a/b/c")
            inner.mkdir(parents=True)
            (inner / "file").touch()
            Path("tree/link").symlink_to("/")
            for directory in (inner, inner.parent, inner.parent.parent):
                directory.chmod(0)
            remove_tree(Path("tree"))
            status = 0 if not os.path.lexists("tree") else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
