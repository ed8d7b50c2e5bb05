"""Compiles Dolmen's own modules, inside an image, by the image's interpreter.

`bytecode.py SOURCES OUTPUT PREFIX`: every .py below SOURCES to a .pyc below OUTPUT, as if it lay
below PREFIX. Each in a process forked for it: marshal's output depends on what the process has
compiled before (CPython issue 129724). Bound to the time 0, which files of a deployment have.
"""

import importlib.util
import os
import py_compile
import sys

sources, output, prefix = sys.argv[1:]
names = sorted(
    os.path.relpath(os.path.join(directory, name), sources)
    for directory, _, found in os.walk(sources)
    for name in found
    if name.endswith(".py")
)
failed = running = 0
for name in names:
    if running >= len(os.sched_getaffinity(0)):
        failed |= os.wait()[1]
        running -= 1
    if os.fork() == 0:
        code = 1
        try:
            source = os.path.join(sources, name)
            target = os.path.join(output, importlib.util.cache_from_source(name))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            mode = py_compile.PycInvalidationMode.TIMESTAMP
            shown = os.path.join(prefix, name)
            py_compile.compile(source, target, shown, doraise=True, invalidation_mode=mode)
            code = 0
        finally:
            os._exit(code)
    running += 1
while running:
    failed |= os.wait()[1]
    running -= 1
sys.exit(1 if failed else 0)
