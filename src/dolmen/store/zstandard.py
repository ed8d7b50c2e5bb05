"""Zstandard decoding by libzstd, which dpkg and apt need and every Debian therefore has.

Python has no decoder of its own before 3.14, and python3-zstandard would be a dependency for the
few .debs from elsewhere that use it; Debian's own are xz.
"""

from __future__ import annotations

import ctypes
import functools

from dolmen.support.errors import HostError

_WINDOW_LOG_MAX = 100  # ZSTD_d_windowLogMax
#: 128 MiB, what `zstd -19` and dpkg-deb can make; `--ultra --long` asks for more and is refused.
_WINDOW_LOG = 27


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer have the same shape."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("position", ctypes.c_size_t),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError:
        raise HostError(
            "libzstd is not installed, and a package is compressed with it",
            reason="program-missing",
            hint="apt install libzstd1",
        ) from None
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    library.ZSTD_DCtx_setParameter.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(_Buffer)] * 2
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


class Decoder:
    """In the manner of `lzma.LZMADecompressor`; raises ValueError on a damaged stream."""

    def __init__(self) -> None:
        self._library = _library()
        self._stream = self._library.ZSTD_createDStream()
        if not self._stream:
            raise MemoryError
        self._library.ZSTD_DCtx_setParameter(self._stream, _WINDOW_LOG_MAX, _WINDOW_LOG)
        self._pending = b""
        self._out = ctypes.create_string_buffer(0)
        self._flushed = True
        self.eof = False

    def __del__(self) -> None:
        if getattr(self, "_stream", None):
            self._library.ZSTD_freeDStream(self._stream)
            self._stream = None

    @property
    def needs_input(self) -> bool:
        """Whether a call without new data would give nothing."""
        return not self._pending and self._flushed

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end of the frame."""
        return self._pending

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most `max_length` bytes of output."""
        self._pending += data
        size = max_length if max_length > 0 else 1 << 20
        if len(self._out) != size:
            self._out = ctypes.create_string_buffer(size)
        out = _Buffer(ctypes.addressof(self._out), size, 0)
        source = ctypes.create_string_buffer(self._pending, len(self._pending))
        into = _Buffer(ctypes.addressof(source), len(self._pending), 0)
        code = self._library.ZSTD_decompressStream(
            self._stream, ctypes.byref(out), ctypes.byref(into)
        )
        if self._library.ZSTD_isError(code):
            raise ValueError(self._library.ZSTD_getErrorName(code).decode())
        self.eof = code == 0
        self._pending = self._pending[into.position :]
        self._flushed = out.position < size
        return ctypes.string_at(self._out, out.position)
