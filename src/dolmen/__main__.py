"""`python3 -m dolmen`, and `python3 .../src/dolmen/__main__.py` from a source tree."""

import gc
import os
import sys

if not __package__:
    # Isolated mode (-I) keeps the caller's PYTHONPATH out, and so a source tree must say where it
    # lies; nothing but our own directory is added.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Most commands are over before there is any garbage; looking for it costs a tenth of their time.
gc.set_threshold(50_000, 20, 20)

if __name__ == "__main__":
    try:
        from dolmen.cli.quick import quick

        code = quick(sys.argv[1:])
        if code is None:
            if sys.flags.no_site:  # front.sh: `dolmen store`
                import site

                site.main()
            from dolmen.cli.main import main

            code = main()
    except KeyboardInterrupt:  # Ctrl-C while we were still being loaded
        code = 130
    # What is open was closed by those who opened it; the interpreter need not take itself apart.
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  # to import contextlib would cost more than it saves here
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit(code)
