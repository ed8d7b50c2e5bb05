#!/bin/sh
# The `dolmen` command: what plain sh cannot answer goes to Python.
# Isolated mode (-I) keeps the caller's PYTHON* variables and modules in the working directory out.

case $0 in
*/src/dolmen/data/front.sh)
    # A source tree, not an installation: its modules are not on Python's path.
    exec /usr/bin/python3 -I -c '
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("dolmen", run_name="__main__", alter_sys=True)
' "${0%/dolmen/data/front.sh}" "$@"
    ;;
esac
exec /usr/bin/python3 -I -m dolmen "$@"
