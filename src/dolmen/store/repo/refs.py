"""Refs as files: names of commits, the repository's own, remotes' and collections'."""

from __future__ import annotations

import os

from dolmen.store.repo.repository import slurp
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dolmen.store.repo.repository import Repository

_HEX = "0123456789abcdef"


def is_checksum(word: str) -> bool:
    """Whether it is 64 hexadecimal digits in lower case."""
    return len(word) == 64 and not word.strip(_HEX)


def is_name(name: str) -> bool:
    """Whether it can be a ref (ostree_validate_rev): letters, digits, `-._`, `/` between such."""
    return all(
        (part[:1].isalnum() or part[:1] == "_") and all(c.isalnum() or c in "-._" for c in part)
        for part in name.split("/")
    )


def parse(refspec: str) -> tuple[str | None, str]:
    """A remote's name (or None) and the ref; raises StoreError ("no-revision")."""
    remote, colon, ref = refspec.partition(":")
    if not colon:
        remote, ref = "", refspec
    if not is_name(ref) or (colon and not is_name(remote)):
        raise StoreError(
            f"Invalid refspec {refspec}", reason="no-revision", hint="dolmen store refs"
        )
    return remote or None, ref


def read(repository: Repository, place: str) -> str | None:
    """The checksum in a ref's file below `refs/`, None where there is none.

    Raises StoreError ("no-revision" for what is no checksum).
    """
    words = _words(repository, place)
    if words is not None and not is_checksum(words):
        raise StoreError(
            f"Invalid rev {words[:80]}",
            reason="no-revision",
            context=f"in {place}",
            hint="dolmen store fsck",
        )
    return words


def _words(repository: Repository, place: str) -> str | None:
    try:
        return slurp(f"{repository.path}/refs/{place}").decode(errors="replace").rstrip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def lookup(repository: Repository, refspec: str, *, remotes: bool = True) -> str | None:
    """The commit that a ref names; one without a remote may be a remote's as well.

    Raises StoreError ("no-revision" where the words cannot be a ref).
    """
    remote, ref = parse(refspec)
    if remote is not None:
        found = read(repository, f"remotes/{remote}/{ref}")
    else:
        found = read(repository, f"heads/{ref}")
        if found is None and remotes:
            found = read(repository, f"remotes/{ref}")
            for name in _directories(f"{repository.path}/refs/remotes") if found is None else ():
                found = found or read(repository, f"remotes/{name}/{ref}")
    if found is None and repository.parent is not None:
        return lookup(repository.parent, refspec, remotes=remotes)
    return found


def listed(
    repository: Repository, prefix: str | None = None, *, aliases: bool = False
) -> dict[str, str]:
    """Refs and their commits (of aliases: the refs that they stand for), sorted by name.

    All, or those of a prefix: a ref of that name or all below it; `REMOTE:` is a prefix as well.
    """
    found: dict[str, str] = {}
    if prefix is None:
        if not os.path.isdir(f"{repository.path}/refs/remotes"):
            # As ostree: a part of the repository is lost, and with it refs that nobody would miss.
            raise StoreError(
                f"Listing refs: opendir({repository.path}/refs/remotes): No such file or directory",
                reason="store-failed",
                hint=f"mkdir {repository.path}/refs/remotes, if it never had refs of remotes",
            )
        _below(repository, "heads", "", aliases, found, "")
        for remote in _directories(f"{repository.path}/refs/remotes"):
            _below(repository, f"remotes/{remote}", "", aliases, found, f"{remote}:")
        return dict(sorted(found.items()))
    remote, colon, ref = prefix.partition(":")
    if colon and ref in ("", "."):
        place, ref, mark = f"remotes/{remote}", "", f"{remote}:"
    else:
        owner, ref = parse(prefix)
        place, mark = (f"remotes/{owner}", f"{owner}:") if owner else ("heads", "")
    if os.path.isdir(f"{repository.path}/refs/{place}/{ref}"):
        _below(repository, place, f"{ref}/" if ref else "", aliases, found, mark)
    elif not aliases and (named := _words(repository, f"{place}/{ref}")) is not None:
        found[mark + ref] = named
    return dict(sorted(found.items()))


def collections(
    repository: Repository, prefix: str | None = None, *, remotes: bool = True
) -> dict[tuple[str, str], str]:
    """(collection, ref) -> commit: the repository's own, mirrored ones, and those of remotes.

    `prefix` is a collection; raises StoreError ("no-revision").
    """
    found: dict[tuple[str, str], str] = {}
    places = []
    if repository.collection is not None:
        places.append((repository.collection, "heads"))
    mirrors = f"{repository.path}/refs/mirrors"
    places += [(name, f"mirrors/{name}") for name in _directories(mirrors)]
    if remotes:
        for section in repository.sections():
            kind, _, rest = section.partition(" ")
            name = rest.strip('"')
            owner = repository.setting("collection-id", "", section)
            if kind == "remote" and owner:
                places.append((owner, f"remotes/{name}"))
    for collection, place in places:
        if prefix in (None, collection):
            names: dict[str, str] = {}
            _below(repository, place, "", False, names, "")
            found.update(((collection, name), commit) for name, commit in names.items())
    return dict(sorted(found.items()))


def _below(
    repository: Repository, place: str, head: str, aliases: bool, found: dict[str, str], mark: str
) -> None:
    try:
        entries = list(os.scandir(f"{repository.path}/refs/{place}/{head}"))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        name = head + entry.name
        if entry.is_dir(follow_symlinks=False):
            _below(repository, place, f"{name}/", aliases, found, mark)
        elif entry.is_symlink() and aliases:
            target = os.readlink(entry.path)
            while target.startswith("../"):
                target = target[3:]
            found[mark + name] = target
        elif not aliases and is_name(entry.name):
            commit = _words(repository, f"{place}/{name}")
            if commit is not None:
                found[mark + name] = commit


def _directories(path: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    except OSError:
        return []
