"""`dolmen store`: the walk through libostree, on the store's repository or any other."""

from __future__ import annotations

from importlib import import_module

import click

from dolmen.cli.storing import options

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
    "export": ("export", "Write a commit as tar"),
    "checksum": ("checksum", "Print the checksum that a file would have in a commit"),
    "pull-local": ("pull_local", "Copy commits from another repository"),
    "remote": ("remote", "Remember repositories elsewhere"),
    "pull": ("pull", "Fetch commits from a remote"),
    "summary": ("summary", "Write the list of refs for those who pull from here"),
    "config": ("config", "Read and change the repository's configuration"),
    "prune": ("prune", "Delete what no ref needs"),
    "fsck": ("fsck", "Check every object"),
}


class StoreGroup(click.Group):
    """Verbs are imported when they are typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        found = VERBS.get(cmd_name)
        if found is None:
            return None
        verb = import_module(f"{__name__}.{found[0]}").command
        assert isinstance(verb, click.Command)
        verb.name = cmd_name
        return verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


@click.group(
    cls=StoreGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n"
    "  dolmen store --repo=repo init\n"
    "  dolmen store --repo=repo commit --branch=main --subject='Created server' tree/\n"
    "  dolmen store --repo=repo log main",
)
@options
def command() -> None:
    """Keep trees as history in a libostree repository: Git for operating system binaries.

    Without --repo it is the repository of the store, which the environments are made from. The
    program ostree reads and writes the same repositories. A commit is named by a ref, by its
    checksum or the first digits of it, and each of these with ^ (its parent) or ~N after it.
    """
