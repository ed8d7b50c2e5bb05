"""Declared locales, compiled by the image's own localedef, in the sandbox."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dolmen import sandbox
from dolmen.image.configure import ENVIRONMENT
from dolmen.model import Lock
from dolmen.model.digest import digest_text
from dolmen.store import Store
from dolmen.support.errors import DeclarationError
from dolmen.system.tree.construction import Construction

NAME = "locale-archive"
ARCHIVE = f"usr/lib/locale/{NAME}"
VERSION = 1
_TIMEOUT = 900.0
#: What localedef does not read, and what would take longer to link than most locales to compile.
_UNREAD = ("usr/share/doc", "usr/share/man", "usr/lib/modules", "usr/lib/firmware", "boot")
_SUPPORTED = "usr/share/i18n/SUPPORTED"


def generate(work: Construction, store: Store) -> None:
    """Write /etc/locale.gen and the archive. Raises DeclarationError ("unknown-locale")."""
    wanted = work.system.all_locales()
    if not wanted:
        return
    supported = work.text(_SUPPORTED).splitlines()
    lines = [_line(locale, supported) for locale in wanted]
    work.write("etc/locale.gen", "".join(f"{line}\n" for line in lines))
    content = _archive(work, store, lines)
    work.builder.add_file(ARCHIVE, content)


def reference(lock: Lock, lines: Sequence[str]) -> str:
    """The ref of an archive of these lines of locale.gen(5)."""
    packages = [lock.find(name) for name in ("locales", "libc-bin", "libc6")]
    parts = [f"{p.name} {p.sha256}" for p in packages if p is not None]
    key = digest_text("\n".join([f"locales {VERSION}", *parts, *lines]))
    return f"locales/{key}"


def _line(locale: str, supported: list[str]) -> str:
    for line in supported:
        if line.split(" ")[0] == locale:
            return line
    raise DeclarationError(
        f"there is no locale {locale}",
        reason="unknown-locale",
        details=[line for line in supported if line.startswith(locale[:2])][:10],
        hint="less /usr/share/i18n/SUPPORTED",
    )


def _archive(work: Construction, store: Store, lines: list[str]) -> bytes:
    ref = reference(work.lock, lines)
    known = store.resolve(ref)
    if known is not None:
        return store.file(known, NAME)
    commands = ["set -e", "umask 022", "mkdir -p /run/out/tree/usr/lib/locale"]
    for line in lines:
        name, charset = line.split(" ")
        base, modifier = re.fullmatch(r"([^.@]+)(?:\.[^@]+)?(@.+)?", name).groups()  # type: ignore[union-attr]
        source = f"{base}{modifier or ''}"
        commands.append(
            f"localedef --prefix=/run/out/tree -i {source} -c -f {charset}"
            f" -A /usr/share/locale/locale.alias {name}"
        )
    said: list[str] = []
    with store.scratch() as scratch, store.tree_builder() as builder:
        lower, out = scratch / "tree", scratch / "out"
        work.builder.checkout(lower, without=_UNREAD)
        out.mkdir()
        result = sandbox.build(
            sandbox.BuildJob(
                lower=lower,
                scratch=scratch,
                argv=("/bin/sh", "-c", "\n".join(commands)),
                environment=ENVIRONMENT,
                timeout=_TIMEOUT,
                writable=((out, "/run/out"),),
            ),
            on_line=said.append,
        )
        made = out / "tree" / ARCHIVE
        if result.returncode != 0 or not made.is_file():
            raise DeclarationError(
                f"the locales {', '.join(lines)} could not be compiled",
                reason="unknown-locale",
                details=said[-10:],
                hint="less /usr/share/i18n/SUPPORTED",
            )
        content = made.read_bytes()
        builder.keep(ref, {NAME: content})
        builder.commit()
    return content
