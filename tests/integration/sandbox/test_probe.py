from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolmen.support.run import run
from tests.integration.sandbox.conftest import PYTHON, Party

_PROBE = """
import json, sys
from pathlib import Path
from dolmen.sandbox import probe
print(json.dumps([[f.name, f.ok, f.reason, f.hint] for f in probe(Path(sys.argv[1]))]))
"""


def test_this_host_can_do_everything(party: Party) -> None:
    done = party.python(_PROBE, str(party.home))
    assert done.ok, done.stderr.decode()
    found = json.loads(done.stdout)
    assert [name for name, ok, _reason, _hint in found if not ok] == []
    assert [name for name, *_ in found] == [
        *("programs", "user-namespaces", "user-xattrs", "overlay", "sandbox", "seccomp")
    ]
    assert list(party.home.glob(".probe.*")) == []


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        # Without /usr/bin there is no python either: a copy is kept.
        (
            f"mount -t tmpfs none /tmp && cp {PYTHON} /tmp/python3 && mount -t tmpfs none /usr/bin "
            "&& exec /tmp/python3",
            "no-bubblewrap",
        ),
        (f"echo 0 >/proc/sys/user/max_user_namespaces && exec {PYTHON}", "no-user-namespaces"),
    ],
)
def test_what_is_missing_is_named(party: Party, prefix: str, reason: str) -> None:
    """In a user and mount namespace of our own, one thing at a time is taken away."""
    script = 'mount -t tmpfs none /mnt && cp -R "$2" /mnt/src && PYTHONPATH=/mnt/src && ' + (
        f'export PYTHONPATH && {prefix} -c "$1" /var/tmp'
    )
    space = ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", script, "sh"]
    done = party.run([*space, _PROBE, str(party.source)], env={"PYTHONHOME": "/usr"})
    assert done.ok, done.stderr.decode()
    bad = [(found, hint) for _name, ok, found, hint in json.loads(done.stdout) if not ok]
    assert [found for found, _hint in bad] == [reason]
    assert bad[0][1]


@pytest.mark.root
def test_inside_a_chroot(installed_source: Path) -> None:
    script = (
        'd=$(mktemp -d) && mount -t tmpfs none "$d" && mkdir "$d/root" && cd "$d/root" && '
        "for n in usr etc proc tmp dev; do mkdir $n && mount --rbind /$n $n; done; "
        "for n in bin lib lib64 sbin; do ln -s usr/$n $n; done; "
        f'mkdir src && mount --bind "{installed_source}" src && '
        "PYTHONPATH=/src && export PYTHONPATH && "
        f'exec chroot . {PYTHON} -c "$1" /tmp'
    )
    done = run(
        ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script, "sh", _PROBE],
        timeout=60,
    )
    assert done.ok, done.stderr.decode()
    bad = [reason for _name, ok, reason, _hint in json.loads(done.stdout) if not ok]
    assert bad == ["nested-chroot"]
