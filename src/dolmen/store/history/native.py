"""`ostree_repo_checkout_at` called in C: introspection leaves out its filter.

The structure is part of libostree's stable interface (ostree-repo.h, OstreeRepoCheckoutAtOptions);
tests compare what comes of it with the command's own checkouts.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from gi.repository import GLib

_HERE = -100  # AT_FDCWD
_FILTER = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p
)


class _Options(ctypes.Structure):
    _fields_ = (
        ("mode", ctypes.c_int),
        ("overwrite_mode", ctypes.c_int),
        ("enable_uncompressed_cache", ctypes.c_int),
        ("enable_fsync", ctypes.c_int),
        ("process_whiteouts", ctypes.c_int),
        ("no_copy_fallback", ctypes.c_int),
        ("force_copy", ctypes.c_int),
        ("bareuseronly_dirs", ctypes.c_int),
        ("force_copy_zerosized", ctypes.c_int),
        ("process_passthrough_whiteouts", ctypes.c_int),
        ("unused_bools", ctypes.c_int * 3),
        ("subpath", ctypes.c_char_p),
        ("devino_to_csum_cache", ctypes.c_void_p),
        ("unused_ints", ctypes.c_int * 6),
        ("unused_ptrs", ctypes.c_void_p * 3),
        ("filter", _FILTER),
        ("filter_user_data", ctypes.c_void_p),
        ("sepolicy", ctypes.c_void_p),
        ("sepolicy_prefix", ctypes.c_char_p),
    )


class _Error(ctypes.Structure):
    _fields_ = (
        ("domain", ctypes.c_uint32),
        ("code", ctypes.c_int),
        ("message", ctypes.c_char_p),
    )


@dataclass(frozen=True, slots=True)
class Flags:
    """Numbers and flags of OstreeRepoCheckoutAtOptions, under its names."""

    mode: int = 0
    overwrite_mode: int = 0
    enable_uncompressed_cache: bool = False
    process_whiteouts: bool = False
    no_copy_fallback: bool = False
    force_copy: bool = False
    bareuseronly_dirs: bool = False
    force_copy_zerosized: bool = False
    process_passthrough_whiteouts: bool = False


def checkout_at(
    repo: Any,
    flags: Flags,
    destination: str,
    commit: str,
    *,
    subpath: str | None = None,
    skips: Callable[[str], bool] | None = None,
    policy: Any = None,
    prefix: str | None = None,
    cancellable: Any = None,
) -> None:
    """Check out a commit or its `subpath`; `skips` says of paths ("/", "/usr") what to leave out.

    Raises GLib.Error.
    """
    values = {name: int(getattr(flags, name)) for name in Flags.__slots__}
    options = _Options(**values)
    if subpath is not None:
        options.subpath = os.fsencode(subpath)
    if prefix is not None:
        options.sepolicy_prefix = os.fsencode(prefix)
    if policy is not None:
        options.sepolicy = _pointer(policy)
    if skips is not None:
        known = skips
        # A directory's path comes with a slash at its end.
        options.filter = _FILTER(
            lambda _repo, path, _stat, _data: known(os.fsdecode(path).rstrip("/") or "/")
        )
    error = ctypes.POINTER(_Error)()
    done = _library().ostree_repo_checkout_at(
        _pointer(repo),
        ctypes.byref(options),
        _HERE,
        os.fsencode(destination),
        commit.encode(),
        None if cancellable is None else _pointer(cancellable),
        ctypes.byref(error),
    )
    if not done:
        found = error.contents
        message, code = (found.message or b"").decode(errors="replace"), found.code
        domain = GLib.quark_to_string(found.domain)
        _glib().g_error_free(error)
        raise GLib.Error(message, domain, code)


def _pointer(thing: Any) -> int:
    """The address of a GObject's structure."""
    capsule = thing.__gpointer__
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = (ctypes.py_object,)
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


@cache
def _library() -> ctypes.CDLL:
    lib = ctypes.CDLL("libostree-1.so.1")
    lib.ostree_repo_checkout_at.restype = ctypes.c_int
    lib.ostree_repo_checkout_at.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    return lib


@cache
def _glib() -> ctypes.CDLL:
    lib = ctypes.CDLL("libglib-2.0.so.0")
    lib.g_error_free.argtypes = (ctypes.c_void_p,)
    return lib
