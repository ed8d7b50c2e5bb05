"""Archives whose members get other names on their way into a commit (`--tar-pathname-filter`).

libostree has a callback for this that introspection leaves out. So libarchive, which libostree is
linked with, reads the archive, and what it reads goes on under the new names through a pipe.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gi.repository import GLib

from dolmen.support.errors import StoreError, UsageError

_PIECE = 1 << 16
_OK, _EOF, _WARN = 0, 1, -20


def renaming(words: str) -> Callable[[bytes], bytes]:
    """What `REGEX,REPLACEMENT` does to a path, in GRegex's terms (`\\1` is a group).

    Raises UsageError ("usage").
    """
    pattern, comma, replacement = words.partition(",")
    hint = "--tar-pathname-filter='^bin/,usr/bin/'"
    if not comma:
        raise UsageError("Missing ',' in --tar-pathname-filter", hint=hint)
    try:
        GLib.Regex.new(pattern, 0, 0)
        GLib.Regex.check_replacement(replacement)
    except GLib.Error as error:
        raise UsageError(f"--tar-pathname-filter: {error.message}", hint=hint) from None
    # Introspection has g_regex_replace take an array of characters, which nothing can be put into.
    lib = _glib()
    regex, text = lib.g_regex_new(os.fsencode(pattern), 0, 0, None), os.fsencode(replacement)

    def change(path: bytes) -> bytes:
        found = lib.g_regex_replace(regex, path, -1, 0, text, 0, None)
        if found is None:
            raise ValueError(f"--tar-pathname-filter: not UTF-8: {path!r}")
        return bytes(found)

    return change


@dataclass(slots=True)
class _Pump:
    """The thread that hands the archive on, and what stopped it."""

    source: int
    sink: int
    change: Callable[[bytes], bytes]
    failed: list[str] = field(default_factory=list)

    def __call__(self) -> None:
        try:
            self._copy()
        except Exception as error:  # a short archive must not pass for a whole one
            self.failed.append(str(error))
        finally:
            os.close(self.sink)

    def _copy(self) -> None:
        lib = _library()
        reader, writer = lib.archive_read_new(), lib.archive_write_new()
        try:
            for step in (lib.archive_read_support_filter_all, lib.archive_read_support_format_all):
                step(reader)
            _check(lib, reader, lib.archive_read_open_fd(reader, self.source, _PIECE))
            lib.archive_write_set_format_pax_restricted(writer)
            lib.archive_write_set_bytes_per_block(writer, _PIECE)
            _check(lib, writer, lib.archive_write_open_fd(writer, self.sink))
            entry = ctypes.c_void_p()
            while True:
                code = lib.archive_read_next_header(reader, ctypes.byref(entry))
                if code == _EOF:
                    break
                _check(lib, reader, code)
                self._rename(lib, entry)
                _check(lib, writer, lib.archive_write_header(writer, entry))
                _content(lib, reader, writer)
            _check(lib, writer, lib.archive_write_close(writer))
        finally:
            lib.archive_read_free(reader)
            lib.archive_write_free(writer)

    def _rename(self, lib: ctypes.CDLL, entry: ctypes.c_void_p) -> None:
        name = self.change(_relative(lib.archive_entry_pathname(entry)))
        lib.archive_entry_set_pathname(entry, name or b".")
        link = lib.archive_entry_hardlink(entry)
        if link is not None:
            lib.archive_entry_set_hardlink(entry, self.change(_relative(link)))


@contextmanager
def renamed(source: int, change: Callable[[bytes], bytes]) -> Iterator[int]:
    """A descriptor to read the archive from `source` with its members' names changed.

    Raises StoreError ("store-failed") at the end, if the archive could not be read.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    pump = _Pump(source, write, change)
    thread = threading.Thread(target=pump, name="archive", daemon=True)
    thread.start()
    try:
        yield read
    finally:
        # Whoever stopped reading early leaves the other end with EPIPE, so that it ends as well.
        os.close(read)
        thread.join()
    if pump.failed:
        raise StoreError(pump.failed[0], reason="store-failed", hint="tar tvf FILE")


def _relative(name: bytes | None) -> bytes:
    """A member's name as libostree's own filter sees it."""
    found = name or b""
    while found.startswith((b"/", b"./")):
        found = found.removeprefix(b"/").removeprefix(b"./")
    return b"" if found == b"." else found


def _content(lib: ctypes.CDLL, reader: int, writer: int) -> None:
    buffer = ctypes.create_string_buffer(_PIECE)
    while True:
        size = lib.archive_read_data(reader, buffer, _PIECE)
        _check(lib, reader, min(size, 0))
        if size == 0:
            return
        _check(lib, writer, min(lib.archive_write_data(writer, buffer, size), 0))


def _check(lib: ctypes.CDLL, archive: int, code: int) -> None:
    if code < _WARN:
        raise ValueError(os.fsdecode(lib.archive_error_string(archive) or b"unreadable archive"))


def _glib() -> ctypes.CDLL:
    lib = ctypes.CDLL("libglib-2.0.so.0")
    pointer, number, text, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_ssize_t
    lib.g_regex_new.restype = pointer
    lib.g_regex_new.argtypes = (text, number, number, pointer)
    lib.g_regex_replace.restype = text
    lib.g_regex_replace.argtypes = (pointer, text, size, number, text, number, pointer)
    return lib


def _library() -> ctypes.CDLL:
    lib = ctypes.CDLL("libarchive.so.13")
    pointer, number, text, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_ssize_t
    for name, result, arguments in (
        ("archive_read_new", pointer, ()),
        ("archive_write_new", pointer, ()),
        ("archive_read_support_filter_all", number, (pointer,)),
        ("archive_read_support_format_all", number, (pointer,)),
        ("archive_read_open_fd", number, (pointer, number, ctypes.c_size_t)),
        ("archive_read_next_header", number, (pointer, pointer)),
        ("archive_read_data", size, (pointer, pointer, ctypes.c_size_t)),
        ("archive_read_free", number, (pointer,)),
        ("archive_write_set_format_pax_restricted", number, (pointer,)),
        ("archive_write_set_bytes_per_block", number, (pointer, number)),
        ("archive_write_open_fd", number, (pointer, number)),
        ("archive_write_header", number, (pointer, pointer)),
        ("archive_write_data", size, (pointer, pointer, ctypes.c_size_t)),
        ("archive_write_close", number, (pointer,)),
        ("archive_write_free", number, (pointer,)),
        ("archive_error_string", text, (pointer,)),
        ("archive_entry_pathname", text, (pointer,)),
        ("archive_entry_set_pathname", None, (pointer, text)),
        ("archive_entry_hardlink", text, (pointer,)),
        ("archive_entry_set_hardlink", None, (pointer, text)),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
