"""`dolmen store`: the walk through libostree, on the store's repository or any other."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Verb -> (module here, one line of help).
VERBS: dict[str, tuple[str, str]] = {
    "init": ("init", "Make a repository"),
    "commit": ("commit", "Commit a directory, a tar or another commit"),
    "log": ("log", "Show a commit and those before it"),
    "show": ("show", "Show one commit, or its metadata"),
    "ls": ("ls", "List the files of a commit"),
    "cat": ("cat", "Print files of a commit"),
    "rev-parse": ("rev_parse", "Print the checksum that a name stands for"),
    "refs": ("refs", "List, create and delete refs"),
    "tag": ("tag", "Give a commit a name that stays"),
    "diff": ("diff", "Compare commits or directories"),
    "checkout": ("checkout", "Write the tree of a commit into a directory"),
    "reset": ("reset", "Let a branch name another commit"),
    "revert": ("revert", "Undo what one commit changed, by a new one"),
    "export": ("export", "Write a commit as a tar, or as an image of containers"),
    "checksum": ("checksum", "Print the checksum that a file would have in a commit"),
    "pull-local": ("pull_local", "Copy commits from another repository"),
    "remote": ("remote", "Remember repositories elsewhere"),
    "pull": ("pull", "Fetch commits from a remote"),
    "summary": ("summary", "Write the list of refs for those who pull from here"),
    "config": ("config", "Read and change the repository's configuration"),
    "import": ("import_", "Commit a directory, a tar or an image of containers"),
    "push": ("push", "Send refs to another repository, also over ssh"),
    "receive": ("receive", "Take a push from standard input"),
    "serve": ("serve", "Serve a repository over HTTP, for pulls and pushes"),
    "deltas": ("deltas", "Files that lead from one commit to another"),
    "static-delta": ("deltas", "The same, as ostree calls it"),
    "sign": ("sign", "Sign a commit with an OpenPGP key"),
    "gpg-sign": ("sign", "The same, as ostree calls it"),
    "verify": ("verify", "Check the signatures of a commit"),
    "repair": ("repair", "Mend damaged objects from other repositories"),
    "prune": ("prune", "Delete what no ref needs"),
    "fsck": ("fsck", "Check every object"),
}


def __getattr__(name: str) -> Any:
    """`command`, made when somebody asks: who only looks does without click."""
    if name != "command":
        raise AttributeError(name)
    import click

    from dolmen.cli.lazy import LazyGroup, VerbFirst
    from dolmen.cli.storing import options

    class Group(VerbFirst, LazyGroup):
        """Verbs that are imported late, whose options may stand before them."""

    @click.group(
        cls=Group,
        package=__name__,
        table=VERBS,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="\b\nExamples:\n"
        "  dolmen store --repo=repo init\n"
        "  dolmen store --repo=repo commit --branch=main --subject='Created server' tree/\n"
        "  dolmen store --repo=repo log main",
    )
    @options
    def command() -> None:
        """Keep trees as history in a libostree repository: Git for operating system binaries.

        Without --repo it is the repository of the store, which the environments are made from.
        The program ostree reads and writes the same repositories. A commit is named by a ref, by
        its checksum or the first digits of it; after each of these ^ is its parent, ~N or @{N} is
        N commits before it, and @{DATE} is what it was at that time.
        """

    return command
