"""What the tests of whole machines share: two images of one manifest, a disk, a server.

Built once a session; with DOLMEN_TEST_LAB=DIR once and for all, for whoever works on these tests.
"""

from __future__ import annotations

import functools
import http.server
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lib.command import Dolmen
from tests.lib.serving import answering

AGENT = Path(__file__).resolve().parents[1] / "lib/guest_agent.py"
#: What the server is called in a machine with a network.
HOST = "10.0.2.2"
REF = "test/machine"
SIGNER = "machine@example.org"
#: Where the machine has the key of its images.
KEY = "/usr/lib/dolmen-test/key.gpg"

UNIT = """\
[Unit]
Description=Listen for the test
DefaultDependencies=no
After=sysinit.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=/dev/virtio-ports/dolmen.test

[Service]
# Tests read what programs say.
Environment=LC_ALL=C.UTF-8
ExecStart=/usr/bin/python3 /usr/lib/dolmen-test/agent.py
Restart=always

[Install]
WantedBy=multi-user.target
"""

MANIFEST = '''\
suite = "{suite}"
packages = [{packages}]

[system]
hostname = "dolmen-test"
locale = "{locale}"
timezone = "{zone}"
kernel = "linux-image-cloud-amd64"
kernel-arguments = ["console=tty0", "console=ttyS0,115200", "quiet", "mitigations=off"]
enable = ["dolmen-test.service"]
# Waits for cards that a machine under test does not have, and work of the night.
mask = ["apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_reap.service"]
{system}

[[system.users]]
name = "ada"
uid = 1000
ssh-keys = ["{login}"]

[[system.files]]
path = "/usr/lib/dolmen-test/agent.py"
source = "agent.py"

[[system.files]]
path = "/usr/lib/systemd/system/dolmen-test.service"
source = "dolmen-test.service"

# A host that is busy with other things makes everything slow in here.
[[system.files]]
path = "/usr/lib/systemd/system.conf.d/60-dolmen-test.conf"
text = """
[Manager]
DefaultTimeoutStartSec=900
DefaultTimeoutStopSec=300
"""

[[system.files]]
path = "/usr/lib/dolmen-test/key.gpg"
source = "key.gpg"

[[system.files]]
path = "/etc/dolmen-test.conf"
text = "{text}\\n"

[[system.files]]
path = "/etc/dolmen-both.conf"
text = "{text}\\n"

[[system.files]]
path = "/etc/dolmen-other.conf"
text = "as shipped\\n"

[system.disk]
size = "4G"
{disk}

[system.update]
sequence = {sequence}
'''

#: lighttpd: a service from a package, with state in /var and a user of its own. The tools of other
#: file systems: so that a root on these has the same lock.
PACKAGES = ("lighttpd", "openssh-server", "curl", "btrfs-progs", "xfsprogs")
LOCALE = "de_DE.UTF-8"
ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Lab:
    """Where things are; `first` is on the disk, `second` is what it upgrades to (commits)."""

    directory: Path
    first: str
    second: str

    @property
    def disk(self) -> Path:
        """A raw disk with the first image; machines start from overlays of it."""
        return self.directory / "disk.raw"

    @property
    def repository(self) -> Path:
        """An `archive` repository with both images, for a web server."""
        return self.directory / "archive"

    @property
    def login(self) -> Path:
        """The private key that opens the account `ada`."""
        return self.directory / "login"

    def copy_first(self, place: Path) -> Path:
        """Copy what the first image was built from: manifest, lock, files beside them."""
        ignore = shutil.ignore_patterns(".dolmen")
        return shutil.copytree(self.directory / "one", place, ignore=ignore, dirs_exist_ok=True)

    def borrow_lock(self, directory: Path) -> None:
        """Give another manifest of the same packages the first image's lock."""
        (directory / "dolmen.lock").write_bytes((self.directory / "one/dolmen.lock").read_bytes())

    def publish_broken(self, part: str) -> str:
        """Publish the second image with a kernel, or an initramfs, of noise; returns the commit."""
        overlay = self.directory / f"broken-{part}"
        (name,) = _ostree(self.repository, "ls", self.second, "/usr/lib/modules").split()[-1:]
        place = overlay / name.lstrip("/") / part
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(random.Random(part).randbytes(200_000))
        commit = _ostree(
            self.repository,
            *("commit", f"--branch=test/broken-{part}", f"--tree=ref={self.second}"),
            *(f"--tree=dir={overlay}", "--owner-uid=0", "--owner-gid=0", "--bootable"),
            *("--timestamp=@1700000002", f"--add-metadata-string=version=broken {part}"),
            *("--add-metadata=dolmen.sequence=uint64 1700000002",),
            *("--add-metadata-string=dolmen.architecture=amd64",),
            *("--add-metadata-string=dolmen.suite=bookworm",),
        ).strip()
        home = f"--gpg-homedir={self.directory / 'keys'}"
        _ostree(self.repository, "gpg-sign", home, commit, SIGNER)
        return commit

    @contextmanager
    def served(self) -> Iterator[str]:
        """The repository on loopback; returns the URL that a machine sees."""
        handler = functools.partial(_Quiet, directory=str(self.repository))
        with answering(handler) as port:
            yield f"http://{HOST}:{port}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


def declare(
    directory: Path,
    *,
    key: Path,
    text: str,
    sequence: int,
    packages: tuple[str, ...] = (),
    system: str = "",
    disk: str = "",
    suite: str = "bookworm",
) -> Path:
    """Write a manifest of the machine under test, with what it places; `key` lies in the lab."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = (*PACKAGES, *packages)
    (directory / "dolmen.toml").write_text(
        MANIFEST.format(
            suite=suite,
            packages=", ".join(f'"{name}"' for name in wanted),
            system=system,
            disk=disk,
            text=text,
            locale=LOCALE,
            zone=ZONE,
            login=make_login(key.parent),
            sequence=sequence,
        )
    )
    (directory / "key.gpg").write_bytes(key.read_bytes())
    (directory / "agent.py").write_bytes(AGENT.read_bytes())
    (directory / "dolmen-test.service").write_text(UNIT)
    return directory


def build(dolmen: Dolmen, directory: Path) -> str:
    """Lock and build what a directory declares; returns the commit."""
    if not (directory / "dolmen.lock").exists():
        dolmen.ok("lock", cwd=directory, timeout=900)
    return str(dolmen.json("system", "build", cwd=directory, timeout=1800)["commit"])


def publish(dolmen: Dolmen, directory: Path, lab: Path, ref: str) -> str:
    """Sign what a directory declares and put it where machines fetch it, with a delta from what was
    there; the commit, which is the built tree with the name of the branch."""
    signing = (f"--sign={SIGNER}", f"--gpg-homedir={lab / 'keys'}")
    words = ("system", "publish", str(lab / "archive"), ref, "--delta", *signing)
    return str(dolmen.json(*words, cwd=directory, timeout=1800)["commit"])


def make_key(lab: Path) -> Path:
    """Make the key that images are signed with; returns its public half."""
    home = lab / "keys"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "")
    run = functools.partial(subprocess.run, check=True, timeout=120)
    run([*gpg, "--quick-generate-key", SIGNER, "ed25519", "sign", "never"])
    run([*gpg, "--output", str(lab / "key.gpg"), "--export", SIGNER])
    return lab / "key.gpg"


def make_login(lab: Path) -> str:
    """Make the key of the account, unless it is there; returns its public half."""
    key = lab / "login"
    if not key.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(key)]
        subprocess.run(argv, check=True, timeout=60)
    return key.with_suffix(".pub").read_text().strip()


def _ostree(repository: Path, *arguments: str) -> str:
    argv = ["ostree", f"--repo={repository}", *arguments]
    return subprocess.run(argv, check=True, timeout=900, stdout=subprocess.PIPE, text=True).stdout


def make(dolmen: Dolmen, directory: Path, *, suite: str = "bookworm") -> Lab:
    """Build both images, the disk and the repository below `directory`, or find them there."""
    directory.mkdir(parents=True, exist_ok=True)
    note = directory / "lab.json"
    if note.exists():
        found = json.loads(note.read_text())
        return Lab(directory, found["first"], found["second"])
    key = make_key(directory)
    one = declare(directory / "one", key=key, text="one", sequence=1_700_000_001, suite=suite)
    two = declare(
        directory / "two",
        key=key,
        text="two",
        sequence=1_700_000_002,
        packages=("hello",),
        suite=suite,
    )
    first = build(dolmen, one)
    dolmen.ok("system", "image", "-o", directory / "disk.raw", cwd=one, timeout=900)
    build(dolmen, two)
    publish(dolmen, one, directory, REF)
    second = publish(dolmen, two, directory, REF)
    lab = Lab(directory, first, second)
    values = asdict(lab)
    values.pop("directory")
    note.write_text(json.dumps(values))
    return lab
