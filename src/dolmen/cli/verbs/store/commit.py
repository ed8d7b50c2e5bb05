"""`dolmen store commit`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def commit(current: Session, repository: Repository, *, path: str | None, **given: Any) -> None:
    """Commit a tree (default: the working directory) and print the commit's checksum."""
    from pathlib import Path

    from dolmen.store.history import committing
    from dolmen.store.history.repository import History
    from dolmen.support.dates import seconds
    from dolmen.support.errors import UsageError

    branch: str | None = given["branch"]
    if branch is None and not given["orphan"]:
        raise UsageError(
            "A branch must be specified with --branch, or use --orphan",
            hint="dolmen store commit --branch=main …",
        )
    if given["canonical_permissions"] and (given["owner_uid"] or given["owner_gid"]):
        which = "uid" if given["owner_uid"] else "gid"
        raise UsageError(
            f"Cannot specify both --canonical-permissions and non-zero --owner-{which}",
            hint="dolmen store commit --help",
        )
    if given["selinux_policy"] is not None and given["selinux_policy_from_base"]:
        raise UsageError(
            "Cannot specify both --selinux-policy and --selinux-policy-from-base",
            hint="dolmen store commit --help",
        )
    sources = [_source(words) for words in given["trees"]]
    if path is not None:
        sources.append(committing.Source("dir", path))
    if not sources:
        sources.append(committing.Source("dir", "."))
    subject, body = given["subject"], given["body"]
    if given["body_file"] is not None:
        body = Path(given["body_file"]).read_text()
    if given["editor"]:
        subject, body = _edited(branch, subject, body)
    modes, skipped = _modes(given["statoverride"]), _paths(given["skip_list"])
    history = History.open(Path(repository.path))
    done = committing.commit(
        history,
        committing.Wish(
            sources,
            base=given["base"],
            read_only_executables=given["mode_ro_executables"],
            bootable=given["bootable"],
            branch=branch if not given["orphan"] else None,
            subject=subject,
            body=body,
            parent=given["parent"],
            timestamp=None if given["timestamp"] is None else seconds(given["timestamp"]),
            uid=given["owner_uid"],
            gid=given["owner_gid"],
            xattrs=not given["no_xattrs"],
            canonical=given["canonical_permissions"],
            link_speedup=given["link_checkout_speedup"] or given["devino_canonical"],
            devino_canonical=given["devino_canonical"],
            consume=given["consume"],
            autocreate=given["tar_autocreate_parents"],
            renaming=given["tar_pathname_filter"],
            sizes=given["generate_sizes"],
            selinux_policy=given["selinux_policy"],
            selinux_from_base=given["selinux_policy_from_base"],
            gpg_keys=given["gpg_sign"],
            gpg_home=given["gpg_homedir"],
            keys=given["keys"],
            key_type=given["sign_type"],
            skip_if_unchanged=given["skip"],
            sync=truth("--fsync", given["fsync"]) and not given["disable_fsync"],
            bind=None if given["no_bindings"] else given["bind_ref"],
            metadata=[_pair(words) for words in given["values"]],
            strings=[_pair(words) for words in given["strings"]],
            detached_strings=[_pair(words) for words in given["detached"]],
            keep_metadata=given["keep_metadata"],
            modes=modes,
            skipped=skipped,
        ),
    )
    current.answer(done)
    if given["table_output"]:
        current.say(f"Commit: {done.checksum}")
        for key, value in done.stats.items():
            current.say(f"{key}: {value}")
    else:
        current.say(done.checksum)


def _edited(branch: str | None, subject: str | None, body: str | None) -> tuple[str, str | None]:
    """Subject and body as typed in $EDITOR: the first line, and what follows it."""
    import click

    from dolmen.support.errors import UsageError

    lines = [
        "",
        "# Please enter the commit message for your changes. The first line will",
        "# become the subject, and the remainder the body. Lines starting",
        "# with '#' will be ignored, and an empty message aborts the commit.",
        *(["#", f"# Branch: {branch}"] if branch is not None else []),
        *(words for words in (subject, body) if words),
    ]
    typed = click.edit("\n".join(lines) + "\n", require_save=False) or ""
    kept = "\n".join(
        line.rstrip() for line in typed.splitlines() if not line.startswith("#")
    ).strip()
    first, _, rest = kept.partition("\n")
    if not first:
        raise UsageError("Aborting commit due to empty commit subject.", hint="--subject=TEXT")
    return first, rest.strip("\n") or None


def _source(words: str) -> Any:
    from dolmen.store.history.committing import Source
    from dolmen.support.errors import UsageError

    kind, _, value = words.partition("=")
    if kind not in ("dir", "tar", "ref") or not value:
        raise UsageError(
            f"Invalid tree type specification '{words}'", hint="--tree=dir=PATH, tar=FILE, ref=REF"
        )
    return Source(kind, "-" if kind == "tar" and value == "/dev/stdin" else value)


def _pair(words: str) -> tuple[str, str]:
    from dolmen.support.errors import UsageError

    if words.startswith("="):
        raise UsageError("Empty metadata key", hint="dolmen store commit --help")
    key, equals, value = words.partition("=")
    if not equals:
        raise UsageError(
            f"Missing '=' in KEY=VALUE metadata '{words}'", hint="dolmen store commit --help"
        )
    return key, value


def _lines(file: str) -> list[str]:
    import sys
    from pathlib import Path

    data = sys.stdin.read() if file == "-" else Path(file).read_text()
    return [line for line in data.splitlines() if line]


def _modes(file: str | None) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for line in _lines(file) if file is not None else []:
        mode, _, path = line.partition(" ")
        found[path] = ("=", int(mode[1:])) if mode.startswith("=") else ("+", int(mode))
    return found


def _paths(file: str | None) -> frozenset[str]:
    return frozenset(_lines(file)) if file is not None else frozenset()


VERB = Verb(
    commit,
    examples="""
        dolmen store --repo=repo commit --branch=main --subject="Created server" tree/
        dolmen store commit -b main --tree=tar=files.tar.gz --owner-uid=0 --owner-gid=0
        dolmen store commit -b main --tree=ref=other --tree=dir=changes --no-change
        dolmen store commit -b main --timestamp=@0 --parent=none tree/
    """,
    options=(
        Option("-b --branch", "branch", "The branch that shall name the commit.", metavar="REF"),
        Option("-s --subject", "subject", "One line that says what it is.", metavar="TEXT"),
        Option("-m --body", "body", "What more there is to say.", metavar="TEXT"),
        Option("-F --body-file", "body_file", "Take the body from a file.", metavar="FILE"),
        Option("-e --editor", "editor", "Write subject and body in your editor."),
        Option(
            "--timestamp",
            "timestamp",
            "Its date (default: now); @N: seconds of UTC.",
            metavar="TIME",
        ),
        Option(
            "--parent", "parent", "Its parent, or none (default: the branch's).", metavar="COMMIT"
        ),
        Option("--orphan", "orphan", "No branch; the next prune deletes the commit."),
        Option(
            "--tree",
            "trees",
            "dir=PATH, tar=FILE (- for standard input) or ref=COMMIT; later cover earlier ones.",
            metavar="KIND=VALUE",
            many=True,
        ),
        Option(
            "--base",
            "base",
            "The tree to begin with; options for files leave it.",
            metavar="COMMIT",
        ),
        Option(
            "--owner-uid", "owner_uid", "Owner of all files.", metavar="N", convert=int, minimum=0
        ),
        Option(
            "--owner-gid", "owner_gid", "Group of all files.", metavar="N", convert=int, minimum=0
        ),
        Option("--no-xattrs", "no_xattrs", "Leave extended attributes out."),
        Option(
            "--canonical-permissions",
            "canonical_permissions",
            "0:0, 0755 or 0644, as bare-user-only.",
        ),
        Option("--mode-ro-executables", "mode_ro_executables", "Nobody may write to executables."),
        Option("--bootable", "bootable", "Say which kernel is in it; without one, fail."),
        Option(
            "--skip-if-unchanged --no-change",
            "skip",
            "No commit if the tree is its parent's; the parent is printed.",
        ),
        Option(
            "--tar-autocreate-parents",
            "tar_autocreate_parents",
            "Make directories that a tar lacks.",
        ),
        Option(
            "--tar-pathname-filter",
            "tar_pathname_filter",
            "Change the names in tars, e.g. '^bin/,usr/bin/'.",
            metavar="REGEX,TEXT",
        ),
        Option(
            "--link-checkout-speedup",
            "link_checkout_speedup",
            "Know hard links of a checkout again.",
        ),
        Option("-I --devino-canonical", "devino_canonical", "Trust them without a look."),
        Option("--consume", "consume", "Delete what was committed."),
        Option(
            "--selinux-policy",
            "selinux_policy",
            "Labels by the policy of this root.",
            metavar="DIR",
        ),
        Option(
            "-P --selinux-policy-from-base",
            "selinux_policy_from_base",
            "By that of the first tree.",
        ),
        Option(
            "--generate-sizes", "generate_sizes", "Say how large the objects are (mode archive)."
        ),
        Option(
            "--statoverride",
            "statoverride",
            "Modes to set: lines of `MODE PATH`, `=MODE`.",
            metavar="FILE",
        ),
        Option("--skip-list", "skip_list", "Paths to leave out.", metavar="FILE"),
        Option("--add-metadata-string", "strings", "Say more.", metavar="K=V", many=True),
        Option("--add-metadata", "values", "V in GVariant text.", metavar="K=V", many=True),
        Option(
            "--add-detached-metadata-string",
            "detached",
            "Say it beside the commit.",
            metavar="K=V",
            many=True,
        ),
        Option(
            "--keep-metadata", "keep_metadata", "Take it from the parent.", metavar="K", many=True
        ),
        Option("--no-bindings", "no_bindings", "Do not write the branch into the commit."),
        Option(
            "--bind-ref", "bind_ref", "Write this ref into it as well.", metavar="REF", many=True
        ),
        Option("--gpg-sign", "gpg_sign", "Sign with an OpenPGP key.", metavar="KEY", many=True),
        Option("--gpg-homedir", "gpg_homedir", "Where that key is.", metavar="DIR"),
        Option("--sign", "keys", "Sign with a libostree key.", metavar="KEY", many=True),
        Option(
            "--sign-type", "sign_type", "The kind of that key.", metavar="NAME", default="ed25519"
        ),
        Option("--fsync", "fsync", "Wait for the disk.", metavar="BOOL", default="true"),
        Option("--disable-fsync", "disable_fsync", "The same as --fsync=false."),
        Option("--table-output", "table_output", "Print figures, not the checksum alone."),
    ),
    arguments=(Argument("path", "[PATH]", "?"),),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
