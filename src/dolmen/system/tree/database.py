"""The dpkg database and its siblings belong to the commit: below /usr, reached by links in /var.

dpkg(1), apt, ucf, debconf, pam-auth-update, deb-systemd-helper and others keep in /var what
describes files of /usr and /etc. It goes where the files go; what they look for in /var are
relative links that tmpfiles makes before anything else (first file of tmpfiles.d(5) wins).
"""

from __future__ import annotations

from collections.abc import Mapping

from dolmen.system.tree.construction import Construction

SYSIMAGE = "usr/lib/sysimage"
ADMIN = f"{SYSIMAGE}/dpkg"

#: Path in /var -> name below SYSIMAGE.
MOVED: Mapping[str, str] = {
    "var/lib/dpkg": "dpkg",
    "var/lib/ucf": "ucf",
    "var/lib/pam": "pam",
    "var/lib/python": "python",
    "var/lib/shells.state": "shells.state",
    "var/lib/xml-core": "xml-core",
    "var/lib/sgml-base": "sgml-base",
    "var/lib/dictionaries-common": "dictionaries-common",
    "var/lib/aspell": "aspell",
    "var/lib/ispell": "ispell",
    "var/lib/emacsen-common": "emacsen-common",
    "var/lib/systemd/deb-systemd-helper-enabled": "deb-systemd-helper-enabled",
    "var/lib/systemd/deb-systemd-helper-masked": "deb-systemd-helper-masked",
    "var/lib/systemd/deb-systemd-user-helper-enabled": "deb-systemd-user-helper-enabled",
    "var/lib/systemd/deb-systemd-user-helper-masked": "deb-systemd-user-helper-masked",
    "var/lib/apt/extended_states": "apt/extended_states",
    "var/lib/grub/ucf": "grub-ucf",
    "var/lib/initramfs-tools": "initramfs-tools",
    "var/lib/dkms": "dkms",
    "var/lib/binfmts": "binfmts",
    "var/lib/ghostscript": "ghostscript",
    "var/lib/texmf": "texmf",
    "var/lib/tex-common": "tex-common",
    # Registries and data that only packages write: they have to go along with their packages.
    "var/lib/ghc": "ghc",
    "var/lib/ocaml": "ocaml",
    "var/lib/coq": "coq",
    "var/lib/chicken": "chicken",
    "var/lib/slib": "slib",
    "var/lib/mecab": "mecab",
    "var/lib/chasen": "chasen",
    "var/lib/prokka": "prokka",
    "var/lib/metaphlan2-data": "metaphlan2-data",
    "var/lib/info2www": "info2www",
    "var/lib/sepolgen": "sepolgen",
    "var/lib/gnumed": "gnumed",
    "var/cache/debconf": "debconf",
    "var/cache/dictionaries-common": "dictionaries-common-cache",
}


def move(work: Construction) -> None:
    """Move them, and note the links."""
    work.builder.add_directory(SYSIMAGE)
    for old, name in MOVED.items():
        if not work.has(old):
            continue
        new = f"{SYSIMAGE}/{name}"
        work.builder.move(old, new)
        ups = "../" * old.count("/")
        work.tmpfiles[f"/{old}"] = f"L+ /{old} - - - - {ups}{new}"
    for lock in ("lock", "lock-frontend", "triggers/Lock"):
        work.builder.remove(f"{ADMIN}/{lock}")


def relocate(work: Construction, moved: Mapping[str, str]) -> None:
    """Tell the database of files that lie elsewhere now; before or after `move`."""
    if not moved:
        return
    admin = ADMIN if work.has(ADMIN) else "var/lib/dpkg"
    for name in work.names(f"{admin}/info"):
        path = f"{admin}/info/{name}"
        if name.endswith(".list"):
            lines = work.text(path).splitlines()
            if not moved.keys().isdisjoint(lines):
                kept = [moved.get(line, line) for line in lines]
                work.rewrite(path, "".join(f"{line}\n" for line in kept))
                _sums(work, f"{path.removesuffix('.list')}.md5sums", moved)


def _sums(work: Construction, path: str, moved: Mapping[str, str]) -> None:
    lines = []
    for line in work.text(path).splitlines():
        digest, _, name = line.partition("  ")
        lines.append(f"{digest}  {moved.get(f'/{name}', f'/{name}')[1:]}\n")
    if lines:
        work.rewrite(path, "".join(lines))
