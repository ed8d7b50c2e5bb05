"""`dolmen store commit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo commit --branch=main --subject="Created server" tree/
        dolmen store commit -b main --tree=tar=files.tar.gz --owner-uid=0 --owner-gid=0
        dolmen store commit -b main --tree=ref=other --tree=dir=changes --no-change
        dolmen store commit -b main --timestamp=@0 --parent=none tree/
    """
)
@click.option("-b", "--branch", metavar="REF", help="The branch that shall name the commit.")
@click.option("-s", "--subject", metavar="TEXT", help="One line that says what it is.")
@click.option("-m", "--body", metavar="TEXT", help="What more there is to say.")
@click.option("-F", "--body-file", metavar="FILE", help="Take the body from a file.")
@click.option("-e", "--editor", is_flag=True, help="Write subject and body in your editor.")
@click.option("--timestamp", metavar="TIME", help="Its date (default: now); @N: seconds of UTC.")
@click.option("--parent", metavar="COMMIT", help="Its parent, or none (default: the branch's).")
@click.option("--orphan", is_flag=True, help="No branch; the next prune deletes the commit.")
@click.option(
    "--tree",
    "trees",
    metavar="KIND=VALUE",
    multiple=True,
    help="dir=PATH, tar=FILE (- for standard input) or ref=COMMIT; later ones cover earlier ones.",
)
@click.option(
    "--base", metavar="COMMIT", help="The tree to begin with; options for files leave it."
)
@click.option("--owner-uid", type=click.IntRange(0), metavar="N", help="Owner of all files.")
@click.option("--owner-gid", type=click.IntRange(0), metavar="N", help="Group of all files.")
@click.option("--no-xattrs", is_flag=True, help="Leave extended attributes out.")
@click.option("--canonical-permissions", is_flag=True, help="0:0, 0755 or 0644, as bare-user-only.")
@click.option("--mode-ro-executables", is_flag=True, help="Nobody may write to executables.")
@click.option("--bootable", is_flag=True, help="Say which kernel is in it; without one, fail.")
@click.option(
    "--skip-if-unchanged",
    "--no-change",
    "skip",
    is_flag=True,
    help="No commit if the tree is its parent's; the parent is printed.",
)
@click.option("--tar-autocreate-parents", is_flag=True, help="Make directories that a tar lacks.")
@click.option(
    "--tar-pathname-filter",
    metavar="REGEX,TEXT",
    help="Change the names in tars, e.g. '^bin/,usr/bin/'.",
)
@click.option("--link-checkout-speedup", is_flag=True, help="Know hard links of a checkout again.")
@click.option("-I", "--devino-canonical", is_flag=True, help="Trust them without a look.")
@click.option("--consume", is_flag=True, help="Delete what was committed.")
@click.option("--selinux-policy", metavar="DIR", help="Labels by the policy of this root.")
@click.option("-P", "--selinux-policy-from-base", is_flag=True, help="By that of the first tree.")
@click.option(
    "--generate-sizes", is_flag=True, help="Say how large the objects are (mode archive)."
)
@click.option("--statoverride", metavar="FILE", help="Modes to set: lines of `MODE PATH`, `=MODE`.")
@click.option("--skip-list", metavar="FILE", help="Paths to leave out.")
@click.option("--add-metadata-string", "strings", metavar="K=V", multiple=True, help="Say more.")
@click.option("--add-metadata", "values", metavar="K=V", multiple=True, help="V in GVariant text.")
@click.option("--add-detached-metadata-string", "detached", metavar="K=V", multiple=True)
@click.option("--keep-metadata", metavar="K", multiple=True, help="Take it from the parent.")
@click.option("--no-bindings", is_flag=True, help="Do not write the branch into the commit.")
@click.option("--bind-ref", metavar="REF", multiple=True, help="Write this ref into it as well.")
@click.option("--gpg-sign", metavar="KEY", multiple=True, help="Sign with an OpenPGP key.")
@click.option("--gpg-homedir", metavar="DIR", help="Where that key is.")
@click.option("--sign", "keys", metavar="KEY", multiple=True, help="Sign with a libostree key.")
@click.option("--sign-type", metavar="NAME", default="ed25519", help="The kind of that key.")
@click.option("--fsync", type=click.BOOL, default=True, metavar="BOOL", help="Wait for the disk.")
@click.option("--disable-fsync", is_flag=True, hidden=True)
@click.option("--table-output", is_flag=True, help="Print figures, not the checksum alone.")
@click.argument("path", required=False)
def command(path: str | None, **given: Any) -> None:
    """Commit a tree (default: the working directory) and print the commit's checksum."""
    from dolmen.store.history import committing
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
    history = storing.opened()
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
            timestamp=None if given["timestamp"] is None else storing.seconds(given["timestamp"]),
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
            sync=given["fsync"] and not given["disable_fsync"],
            bind=None if given["no_bindings"] else given["bind_ref"],
            metadata=[_pair(words) for words in given["values"]],
            strings=[_pair(words) for words in given["strings"]],
            detached_strings=[_pair(words) for words in given["detached"]],
            keep_metadata=given["keep_metadata"],
            modes=modes,
            skipped=skipped,
        ),
    )
    current = session()
    current.answer(done)
    if given["table_output"]:
        current.say(f"Commit: {done.checksum}")
        for key, value in done.stats.items():
            current.say(f"{key}: {value}")
    else:
        current.say(done.checksum)


def _edited(branch: str | None, subject: str | None, body: str | None) -> tuple[str, str | None]:
    """Subject and body as typed in $EDITOR: the first line, and what follows it."""
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
    return storing.pair(words)


def _lines(file: str) -> list[str]:
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
