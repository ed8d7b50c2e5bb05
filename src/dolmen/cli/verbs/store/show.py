"""`dolmen store show`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily
from dolmen.cli.verbs.store.log import commit_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.commits import Commit
    from dolmen.store.repo.repository import Repository

_SIGNATURES = "ostree.gpgsigs"


def show(
    current: Session,
    repository: Repository,
    *,
    revision: str,
    raw: bool,
    print_related: bool,
    key: str | None,
    detached: str | None,
    no_byteswap: bool,
    sizes: bool,
    variant_type: str | None,
    gpg_homedir: str | None,
    gpg_verify_remote: str | None,
) -> None:
    """Show one commit, or something of its metadata; or another object by its whole checksum."""
    from dolmen.store.repo import commits, refs

    if variant_type is not None:
        _file(current, revision, variant_type)
        return
    special = key is not None or detached is not None or print_related or sizes
    if refs.is_checksum(revision) and not special and not repository.has(revision, "commit"):
        _object(current, repository, revision, no_byteswap)
        return
    checksum = commits.resolve(repository, revision)
    if key is not None or detached is not None:
        _metadata(current, repository, checksum, key, detached, not no_byteswap)
        return
    commit = commits.load(repository, checksum)
    if print_related:
        pairs = commit.related()
        current.answer(dict(pairs))
        for name, target in pairs:
            current.say(f"{name} {target}")
    elif sizes:
        _sizes(current, repository, commit)
    elif raw or no_byteswap:
        current.say(f"commit {checksum}")
        current.say(commit.text(swap=not no_byteswap))
        if no_byteswap:
            for line in commit_lines(commit)[1:]:
                current.say(line)
    else:
        _commit(current, repository, commit, gpg_homedir, gpg_verify_remote)


def _commit(
    current: Session,
    repository: Repository,
    commit: Commit,
    gpg_homedir: str | None,
    gpg_verify_remote: str | None,
) -> None:
    from dolmen.cli import text
    from dolmen.store.repo import variant
    from dolmen.store.repo.commits import detached

    if current.json:
        texts = {n: variant.text(v.type, v.value) for n, v in commit.metadata().items()}
        current.answer({"commit": commit.value(), "metadata": texts})
        return
    lines = commit_lines(commit)
    if _SIGNATURES in (detached(repository, commit.checksum) or {}):
        from pathlib import Path

        from dolmen.store.history.describing import describe_signatures
        from dolmen.store.history.repository import History

        lines += describe_signatures(
            History.open(Path(repository.path)),
            commit.checksum,
            homedir=gpg_homedir,
            remote=gpg_verify_remote,
        )
    for line in text.sanitise("\n".join(lines)).split("\n"):
        current.say(line)


def _metadata(
    current: Session,
    repository: Repository,
    checksum: str,
    key: str | None,
    detached: str | None,
    swap: bool,
) -> None:
    from dolmen.store.repo import commits, variant
    from dolmen.support.errors import StoreError

    wanted = key if key is not None else detached or ""
    if key is not None:
        found = commits.load(repository, checksum).metadata()
    else:
        kept = commits.detached(repository, checksum)
        if kept is None:
            raise StoreError(
                f"No detached metadata for commit {checksum}",
                reason="no-metadata",
                hint=f"dolmen store show --raw {checksum}",
            )
        found = kept
    if wanted not in found:
        raise StoreError(
            f"No such metadata key '{wanted}'",
            reason="no-metadata",
            hint=f"dolmen store show --raw {checksum}",
        )
    one = found[wanted]
    value = variant.swapped(one.type, one.value) if swap else one.value
    shown = variant.text(one.type, value)
    current.answer({"key": wanted, "value": shown})
    current.say(shown)


def _sizes(current: Session, repository: Repository, commit: Commit) -> None:
    from dolmen.store.repo.sizes import sizes

    found = sizes(repository, commit)
    current.answer(found.value())
    for line in found.lines():
        current.say(line)


def _object(current: Session, repository: Repository, checksum: str, no_byteswap: bool) -> None:
    """A dirmeta, a dirtree or a file."""
    from dolmen.store.repo import contents, variant

    for kind in ("dirmeta", "dirtree"):
        if repository.has(checksum, kind):
            current.answer({"object": checksum, "type": kind})
            current.say(f"{kind} {checksum}")
            if no_byteswap:
                type_ = {"dirmeta": "(uuua(ayay))", "dirtree": "(a(say)a(sayay))"}[kind]
                value = variant.read(type_, repository.read(checksum, kind))
                current.say(variant.text(type_, value))
            return
    mode, uid, gid, size, target, _ = contents.facts(repository, checksum)
    kept = variant.read(contents.XATTRS, contents.xattrs(repository, checksum))
    link = target is not None
    current.answer({"object": checksum, "type": "file", "mode": f"{mode:06o}", "size": size})
    for line in (
        f"Object: {checksum}",
        "Type: file",
        f"File Type: {'symlink' if link else 'regular'}",
        f"Target: {target}" if link else f"Size: {size}",
        f"Mode: 0{mode:04o}",
        f"Uid: {uid}",
        f"Gid: {gid}",
        f"Extended Attributes: {{ {variant.text(contents.XATTRS, kept)} }}",
    ):
        current.say(line)


def _file(current: Session, path: str, type_: str) -> None:
    """A file of a GVariant, whatever it is."""
    from dolmen.store.repo import variant
    from dolmen.store.repo.repository import slurp
    from dolmen.support.errors import StoreError

    try:
        shown = variant.text(type_, variant.swapped(type_, variant.read(type_, slurp(path))))
    except (ValueError, IndexError) as error:
        raise StoreError(
            f"{path} is no variant of type {type_}: {error}",
            reason="object-damaged",
            hint="dolmen store show --help",
        ) from None
    current.answer({"type": type_, "value": shown})
    current.say(shown)


VERB = Verb(
    show,
    examples="""
        dolmen store --repo=repo show main
        dolmen store show main^ --json
        dolmen store show --print-metadata-key=version main
    """,
    options=(
        Option("--raw", "raw", "Print what is stored, as GVariant text."),
        Option("--print-related", "print_related", "Print the commits that it says are related."),
        Option("--print-metadata-key", "key", "Print one value.", metavar="KEY"),
        Option("--print-detached-metadata-key", "detached", "Print one value.", metavar="KEY"),
        Option("--print-sizes", "sizes", "Print how much a pull would fetch."),
        Option(
            "--print-variant-type", "variant_type", "Print a file of this type.", metavar="TYPE"
        ),
        Option("-B --no-byteswap", "no_byteswap", "Print numbers as they are stored."),
        Option("--gpg-homedir", "gpg_homedir", "Where the keys are.", metavar="DIR"),
        Option("--gpg-verify-remote", "gpg_verify_remote", "A remote's keys.", metavar="REMOTE"),
    ),
    arguments=(Argument("revision", "COMMIT"),),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
