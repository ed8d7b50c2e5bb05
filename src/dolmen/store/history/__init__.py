"""The store as history: what `ostree` does with a repository of any mode, as calls of a library.

libostree does the work, through GObject introspection, so that each repository made here is read
and written by the real `ostree` too.
"""

import sys

if sys.flags.no_site:
    # front.sh starts Python without Debian's packages for what only looks; this does more.
    import site

    site.main()

import gi

gi.require_version("OSTree", "1.0")
