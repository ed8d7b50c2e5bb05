"""Stands in for an image's py_compile module while its maintainer scripts run.

Debian packages compile their Python modules in postinst, by `python3.X py_compile.py FILES` or by
py3compile, which sends file names to `python3.X -m py_compile -`. Two things differ here:

* The .pyc files are bound to the source's time stamp (0 in libostree checkouts) and not to its
  hash, which SOURCE_DATE_EPOCH would choose: valid where images are used, and no re-hashing at
  each import. A file that is compiled already is left alone, as py3compile would leave it.
* Each file is compiled in a process forked for it, as many at once as there are processors.
  marshal's output depends on reference counts, so on what the process compiled before (CPython
  issue 129724); a fresh fork makes it depend on the one file.

The image's own module, unchanged, is at ORIGINAL/<version>/py_compile.py.
"""

import os as _os
import sys as _sys

ORIGINAL = "/run/dolmen/python"

_own = _os.path.abspath(__file__)
_name = "%s/%d.%d/py_compile.py" % (ORIGINAL, _sys.version_info[0], _sys.version_info[1])
with open(_name, encoding="utf-8") as _stream:
    _code = compile(_stream.read(), _name, "exec")
_main_name, __name__ = __name__, "py_compile"
exec(_code, globals())
__name__ = _main_name


def _get_default_invalidation_mode():
    return PycInvalidationMode.TIMESTAMP  # noqa: F821


def _up_to_date(name):
    import importlib.util

    try:
        with open(importlib.util.cache_from_source(name), "rb") as stream:
            head = stream.read(16)
        status = _os.stat(_name if name == _own else name)
    except (OSError, NotImplementedError):
        return False
    numbers = (0, int(status.st_mtime), status.st_size)
    tail = b"".join((n & 0xFFFFFFFF).to_bytes(4, "little") for n in numbers)
    return head == importlib.util.MAGIC_NUMBER + tail


def _compile_one(name):
    import importlib.util

    # This very file covers the image's own module; its source is the copy, dated as the image is.
    source = _name if name == _own else name
    target = importlib.util.cache_from_source(name)
    try:
        compile(source, cfile=target, dfile=name, doraise=True)
    except PyCompileError as error:  # noqa: F821
        _sys.stderr.write("%s\n" % error.msg)
        return 1
    except OSError as error:
        _sys.stderr.write("%s\n" % error)
        return 1
    return 0


def main():
    names = _sys.argv[1:]
    if names == ["-"]:
        names = [line.rstrip("\n") for line in _sys.stdin]
    names = sorted({name for name in names if not _up_to_date(name)})
    limit = len(_os.sched_getaffinity(0))
    running = 0
    failed = 0
    for name in names:
        if running >= limit:
            failed |= _os.wait()[1]
            running -= 1
        if _os.fork() == 0:
            code = 1
            try:
                code = _compile_one(name)
                _sys.stderr.flush()
            finally:
                _os._exit(code)
        running += 1
    while running:
        failed |= _os.wait()[1]
        running -= 1
    return 1 if failed else 0


if __name__ == "__main__":
    _sys.exit(main())
