"""The `[system]` table of a manifest: a whole machine, declared.

Packages come from the manifest's own lists, as in an environment; what every system needs beside
them is `System.requests`. Names and values are Debian's and systemd's: units, kernel arguments,
locales (locale.gen), time zones, password hashes (crypt(5)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dolmen.model.reading import Reader
from dolmen.model.spec import PACKAGE_NAME, Spec

KEYS = frozenset(
    {
        "hostname",
        "locale",
        "locales",
        "timezone",
        "kernel",
        "kernel-arguments",
        "default-target",
        "enable",
        "disable",
        "mask",
        "boot-loader",
        "boot-tries",
        "volatile",
        "keep",
        "var",
        "users",
        "files",
        "disk",
        "update",
    }
)
USER_KEYS = frozenset(
    {"name", "uid", "groups", "shell", "comment", "home", "ssh-keys", "password", "system"}
)
FILE_KEYS = frozenset({"path", "source", "text", "link", "mode", "owner", "group"})
DISK_KEYS = frozenset({"filesystem", "size", "boot-size", "esp-size", "grow"})
UPDATE_KEYS = frozenset({"remote", "url", "ref", "key", "automatic", "sequence", "keep"})

HOSTNAME = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?)*"
)
LOCALE = re.compile(r"[A-Za-z]{1,8}(?:_[A-Z]{2})?(?:\.[A-Za-z0-9-]{1,16})?(?:@[a-z]{1,16})?")
TIMEZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
#: One word of the kernel's command line; quotes are GRUB's and the kernel's own trouble.
ARGUMENT = re.compile(r"[A-Za-z0-9_.,:;/=@%+~*-]{1,256}")
UNIT = re.compile(
    r"[A-Za-z0-9:_.@\\-]{1,200}\.(?:service|socket|timer|target|path|mount|automount|swap|slice)"
)
TARGET = re.compile(r"[A-Za-z0-9:_.@-]{1,200}\.target")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
HASH = re.compile(r"\$[a-z0-9]{1,8}\$[A-Za-z0-9./$=,]{8,250}|!|\*")
SSH_KEY = re.compile(
    r"(?:[^\n#\"']+ )?(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]{16,16000}(?: [^\n]*)?"
)
COMMENT = re.compile(r"[^:\n\0]{0,200}")
ABSOLUTE = re.compile(r"/(?:[A-Za-z0-9_.+@:~-]+/)*[A-Za-z0-9_.+@:~-]+")
MODE = re.compile(r"0?[0-7]{3,4}")
SIZE = re.compile(r"[1-9][0-9]{0,5}[MGT]")
URL = re.compile(r"(?:https?|file)://[!-~]+")
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LINK = re.compile(r"[^\n\0]{1,1024}")

#: Numbers of people, and what a manifest may give system users (Policy 9.2.2, 9.2.3).
PEOPLE = range(1000, 60000)

#: Where placed files may go: what is not below these is the machine's own or not writable at all.
_PLACES = ("/etc/", "/usr/", "/opt/", "/var/", "/srv/", "/root/", "/home/")
_NOT = ("/usr/etc/", "/var/lib/dpkg/", "/usr/lib/sysimage/", "/usr/lib/modules/")

FILESYSTEMS = ("ext4", "btrfs", "xfs")
VOLATILE = ("no", "state", "yes")
#: Files in /var: copied once, made empty, or left out.
FATES = ("seed", "empty", "discard")
PATTERN = re.compile(r"/var/[^\s\0]{1,400}")

#: Packages by need. grub-pc and grub-efi themselves are left out: their scripts look for a disk.
_ALL = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "dracut", "ostree", "ostree-boot"),
    *("e2fsprogs", "grub-common", "apt", "passwd", "login", "mount", "util-linux", "adduser"),
    *("iproute2", "procps", "ca-certificates", "zstd"),
)
_LOADERS = {
    "amd64": ("grub-efi-amd64-bin", "grub-pc-bin"),
    "arm64": ("grub-efi-arm64-bin",),
}
#: The same as Depends in debian/control: Dolmen itself runs on the machine.
_DOLMEN = (
    *("python3", "python3-apt", "python3-gi", "gir1.2-ostree-1.0", "python3-click"),
    *("python3-rich", "python3-tomlkit", "bubblewrap", "dpkg", "gpgv", "debian-archive-keyring"),
)
_FILESYSTEM_TOOLS = {"ext4": (), "btrfs": ("btrfs-progs",), "xfs": ("xfsprogs",)}


@dataclass(frozen=True, slots=True)
class User:
    """One account. `password` is a hash as in shadow(5) ("!": none); `uid` None: the next free.

    A `system` user has a number below 1000 and cannot log in, unless a shell is given.
    """

    name: str
    uid: int | None = None
    groups: tuple[str, ...] = ()
    shell: str = "/bin/bash"
    comment: str = ""
    home: str = ""
    ssh_keys: tuple[str, ...] = ()
    password: str = "!"
    system: bool = False


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file of the system: from a path beside the manifest, from a text, or a link."""

    path: str
    source: str | None = None
    text: str | None = None
    link: str | None = None
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Disk:
    """How a disk image is laid out; sizes in bytes, 0: as small as the content allows."""

    filesystem: str = "ext4"
    size: int = 0
    boot_size: int = 0
    esp_size: int = 0
    grow: bool = True


@dataclass(frozen=True, slots=True)
class Update:
    """Where a machine gets its next image: `remote` with `url`, `ref` there, the `key` beside the
    manifest that signs it. `sequence` takes the place of the newest Release file's date. `keep`:
    deployments beside the running one, its rollback and pinned ones."""

    remote: str = "origin"
    url: str | None = None
    ref: str | None = None
    key: str | None = None
    automatic: str = "no"
    sequence: int | None = None
    keep: int = 0


@dataclass(frozen=True, slots=True)
class System:
    """A machine. `volatile`: "no", "state" (/var and /etc are forgotten but for `keep`), "yes"
    (all of it is). `kernel` is the package, by default the architecture's own. `var`: what becomes
    of files in /var that no rule knows, by pattern."""

    hostname: str = "debian"
    locale: str = "C.UTF-8"
    locales: tuple[str, ...] = ()
    timezone: str = "Etc/UTC"
    kernel: str | None = None
    kernel_arguments: tuple[str, ...] = ()
    default_target: str = "multi-user.target"
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    boot_loader: str = "grub"
    boot_tries: int = 3
    volatile: str = "no"
    keep: tuple[str, ...] = ()
    var: tuple[tuple[str, str], ...] = ()
    users: tuple[User, ...] = ()
    files: tuple[PlacedFile, ...] = ()
    disk: Disk = field(default_factory=Disk)
    update: Update = field(default_factory=Update)

    def requests(self, architecture: str) -> tuple[Spec, ...]:
        """The packages that such a system needs beside those that the manifest names."""
        names = [self.kernel or f"linux-image-{architecture}", *_ALL, *_DOLMEN]
        names += _LOADERS.get(architecture, ())
        names += _FILESYSTEM_TOOLS.get(self.disk.filesystem, ())
        if self.all_locales():
            names.append("locales")
        if self.timezone not in ("Etc/UTC", "UTC"):
            names.append("tzdata")
        if any(user.ssh_keys for user in self.users):
            names.append("openssh-server")
        if any("sudo" in user.groups for user in self.users):
            names.append("sudo")
        return tuple(Spec(name) for name in sorted(set(names)))

    def all_locales(self) -> tuple[str, ...]:
        """Locales that have to be generated: C and C.UTF-8 are part of libc."""
        wanted = {self.locale, *self.locales} - {"C", "POSIX", "C.UTF-8", "C.utf8"}
        return tuple(sorted(wanted))


def read_system(reader: Reader, data: dict[str, Any]) -> System | None:
    """The part of a manifest's values that declares a machine; faults go to the reader."""
    if "system" not in data:
        return None
    table = reader.table(data, "system")
    reader.enter("system")
    reader.known(table, KEYS, "[system]")
    found = System(
        hostname=reader.string(table, "hostname", HOSTNAME, "a host name") or "debian",
        locale=reader.string(table, "locale", LOCALE, "a locale such as en_GB.UTF-8") or "C.UTF-8",
        locales=reader.strings(table, "locales", LOCALE, "a locale such as en_GB.UTF-8"),
        timezone=reader.string(table, "timezone", TIMEZONE, "a time zone such as Europe/Berlin")
        or "Etc/UTC",
        kernel=reader.string(table, "kernel", PACKAGE_NAME, "the name of a kernel package"),
        kernel_arguments=reader.strings(
            table, "kernel-arguments", ARGUMENT, "a kernel argument without blanks and quotes"
        ),
        default_target=reader.string(table, "default-target", TARGET, "the name of a target")
        or "multi-user.target",
        enable=reader.strings(table, "enable", UNIT, "the name of a unit, such as ssh.service"),
        disable=reader.strings(table, "disable", UNIT, "the name of a unit, such as ssh.service"),
        mask=reader.strings(table, "mask", UNIT, "the name of a unit, such as ssh.service"),
        boot_loader=_choice(reader, table, "boot-loader", ("grub",)),
        boot_tries=_number(reader.integer(table, "boot-tries", 0, 100), 3),
        volatile=_choice(reader, table, "volatile", VOLATILE),
        keep=_keep(reader, table),
        var=_var(reader, table),
        users=_users(reader, table),
        files=_files(reader, table),
        disk=_disk(reader, table),
        update=_update(reader, table),
    )
    reader.enter("system")
    for first, second in (("enable", "disable"), ("enable", "mask")):
        both = sorted({*getattr(found, first)} & {*getattr(found, second)})
        for unit in both:
            reader.fault(unit, f"system: {unit} is both in {first} and in {second}")
    reader.enter("")
    return found


def _users(reader: Reader, table: dict[str, Any]) -> tuple[User, ...]:
    found: dict[str, User] = {}
    numbers: dict[int, str] = {}
    for index, item in enumerate(reader.tables(table, "users")):
        reader.enter("system.users", index)
        reader.known(item, USER_KEYS, "[[system.users]]")
        name = reader.string(item, "name", USER, "a user name: a-z, 0-9, _ -")
        if "name" not in item:
            reader.fault("[[system.users]]", "a user has no name")
        is_system = reader.boolean(item, "system")
        low, high = (1, 999) if is_system else (PEOPLE.start, PEOPLE.stop - 1)
        uid = reader.integer(item, "uid", low, high)
        shell = reader.string(item, "shell", ABSOLUTE, "an absolute path")
        user = User(
            name=name or "?",
            uid=uid,
            groups=reader.strings(item, "groups", USER, "a group name"),
            shell=shell or ("/usr/sbin/nologin" if is_system else "/bin/bash"),
            comment=reader.string(item, "comment", COMMENT, "a comment without colons") or "",
            home=reader.string(item, "home", ABSOLUTE, "an absolute path") or "",
            ssh_keys=reader.strings(item, "ssh-keys", SSH_KEY, "a line of authorized_keys"),
            password=reader.string(
                item, "password", HASH, "a password's hash: mkpasswd --method=yescrypt"
            )
            or "!",
            system=is_system,
        )
        if user.name in found:
            reader.fault("name", f"user {user.name} is given twice")
        if uid is not None and uid in numbers:
            reader.fault("uid", f"{numbers[uid]} and {user.name} have the same number {uid}")
        if uid is not None:
            numbers[uid] = user.name
        found[user.name] = user
    return tuple(found.values())


def _files(reader: Reader, table: dict[str, Any]) -> tuple[PlacedFile, ...]:
    from dolmen.model.manifest import PATH

    found: dict[str, PlacedFile] = {}
    for index, item in enumerate(reader.tables(table, "files")):
        reader.enter("system.files", index)
        reader.known(item, FILE_KEYS, "[[system.files]]")
        path = reader.string(item, "path", ABSOLUTE, "an absolute path") or ""
        ways = [key for key in ("source", "text", "link") if key in item]
        if "path" not in item or len(ways) != 1:
            reader.fault("[[system.files]]", "a file needs path and one of source, text and link")
        if path and not _may_be_placed(path):
            reader.fault("path", f"{path} is no place for a file of the image")
        if path in found:
            reader.fault("path", f"{path} is given twice")
        text = item.get("text")
        if text is not None and not isinstance(text, str):
            reader.fault("text", "text is not a string")
            text = None
        mode = reader.string(item, "mode", MODE, 'octal digits in quotes, such as "0640"')
        found[path] = PlacedFile(
            path=path,
            source=reader.string(item, "source", PATH, "a path below this directory"),
            text=text,
            link=reader.string(item, "link", LINK, "the target of a link"),
            mode=int(mode or "644", 8),
            owner=reader.string(item, "owner", USER, "a user name") or "root",
            group=reader.string(item, "group", USER, "a group name") or "root",
        )
    return tuple(found.values())


def _may_be_placed(path: str) -> bool:
    clean = not any(part in (".", "..") for part in path.split("/"))
    return clean and path.startswith(_PLACES) and not path.startswith(_NOT)


def _keep(reader: Reader, table: dict[str, Any]) -> tuple[str, ...]:
    found = reader.strings(table, "keep", ABSOLUTE, "an absolute path")
    for path in found:
        if not path.startswith(("/etc/", "/var/", "/home", "/root", "/srv")):
            reader.fault(path, f"keep: {path} is nothing that is forgotten")
    return found


def _var(reader: Reader, table: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for pattern, fate in reader.table(table, "var").items():
        if not PATTERN.fullmatch(pattern):
            reader.fault(pattern, f"system.var: {pattern[:80]!r} is not a path below /var")
        elif fate not in FATES:
            reader.fault(pattern, f"system.var: {pattern} is none of {', '.join(FATES)}")
        else:
            found.append((pattern, fate))
    return tuple(found)


def _disk(reader: Reader, table: dict[str, Any]) -> Disk:
    values = reader.table(table, "disk")
    reader.enter("system.disk")
    reader.known(values, DISK_KEYS, "[system.disk]")
    return Disk(
        filesystem=_choice(reader, values, "filesystem", FILESYSTEMS),
        size=_size(reader, values, "size"),
        boot_size=_size(reader, values, "boot-size"),
        esp_size=_size(reader, values, "esp-size"),
        grow=reader.boolean(values, "grow") if "grow" in values else True,
    )


def _update(reader: Reader, table: dict[str, Any]) -> Update:
    from dolmen.model.manifest import PATH

    values = reader.table(table, "update")
    reader.enter("system.update")
    reader.known(values, UPDATE_KEYS, "[system.update]")
    return Update(
        remote=reader.string(values, "remote", REMOTE, "the name of a remote") or "origin",
        url=reader.string(values, "url", URL, "an http, https or file URI"),
        ref=reader.string(values, "ref", REF, "the name of a ref"),
        key=reader.string(values, "key", PATH, "a path below this directory"),
        automatic=_choice(reader, values, "automatic", ("no", "check", "stage", "reboot")),
        sequence=reader.integer(values, "sequence", 1, (1 << 53) - 1),
        keep=_number(reader.integer(values, "keep", 0, 100), 0),
    )


def _choice(reader: Reader, table: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    pattern = re.compile("|".join(map(re.escape, known)))
    return reader.string(table, key, pattern, f"one of {', '.join(known)}") or known[0]


def _size(reader: Reader, table: dict[str, Any], key: str) -> int:
    text = reader.string(table, key, SIZE, 'a size such as "8G"')
    if text is None:
        return 0
    return int(text[:-1]) << {"M": 20, "G": 30, "T": 40}[text[-1]]


def _number(value: int | None, default: int) -> int:
    return default if value is None else value
