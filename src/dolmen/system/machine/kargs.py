"""Kernel arguments: what an image declares, and what is an administrator's own."""

from __future__ import annotations

from collections.abc import Sequence

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.store.sysroot.commits import read
from dolmen.store.sysroot.deployment import parse_arguments
from dolmen.support.errors import UsageError

#: One line: the arguments that the manifest declares, put into the image when it was built.
DECLARED = "usr/lib/dolmen/kargs"
#: libostree's own business, in every entry.
_OURS = ("ostree=",)


def declared(sysroot: Sysroot, deployment: Deployment | None) -> tuple[str, ...]:
    """What a deployment's image declares."""
    content = sysroot.read_file(deployment, DECLARED) if deployment is not None else None
    return parse_arguments((content or b"").decode("utf-8", "replace"))


def declared_by(sysroot: Sysroot, commit: str) -> tuple[str, ...]:
    """The same of a commit that is in the repository."""
    content = read(sysroot.repository, commit, DECLARED)
    return parse_arguments((content or b"").decode("utf-8", "replace"))


def merged(current: Sequence[str], before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """The arguments of a new deployment: those in use, less what the old image declared and the new
    one does not, with what only the new one declares.

    What an administrator took out although the old image declares it stays out.
    """
    result = list(current)
    for word in before:
        if word not in after and word in result:
            result.remove(word)
    result += [word for word in after if word not in before and word not in result]
    return tuple(result)


def edited(
    current: Sequence[str],
    *,
    append: Sequence[str] = (),
    delete: Sequence[str] = (),
    replace: Sequence[str] = (),
) -> tuple[str, ...]:
    """Change a list of arguments.

    `delete`: `KEY` takes every argument of that name, `KEY=VALUE` that one. `replace`: `KEY=VALUE`
    in place of the only one of that name (added where there is none). Raises UsageError.
    """
    result = list(current)
    for word in (*append, *delete, *replace):
        if not word or word.startswith(_OURS) or any(c in word for c in "\n\0") or _split(word):
            raise UsageError(
                f"{word[:80]!r} is no kernel argument to be changed here",
                hint="dolmen system kargs --append=console=ttyS0",
            )
    for word in delete:
        left = [one for one in result if one != word and ("=" in word or _key(one) != word)]
        if len(left) == len(result):
            raise UsageError(f"there is no kernel argument {word}", hint="dolmen system kargs")
        result = left
    for word in replace:
        places = [number for number, one in enumerate(result) if _key(one) == _key(word)]
        if len(places) > 1:
            raise UsageError(
                f"there are {len(places)} kernel arguments {_key(word)}",
                hint=f"dolmen system kargs --delete={result[places[0]]} --append={word}",
            )
        if places:
            result[places[0]] = word
        else:
            result.append(word)
    return (*result, *append)


def _key(word: str) -> str:
    return word.partition("=")[0]


def _split(word: str) -> bool:
    """Whether the kernel would see more than one argument."""
    return len(parse_arguments(word)) != 1
