"""`dolmen store log`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.commits import Commit
    from dolmen.store.repo.repository import Repository


def log(
    current: Session, repository: Repository, *, revision: str, raw: bool, number: int | None
) -> None:
    """Show a commit and those before it, newest first."""
    from dolmen.cli import pager, text
    from dolmen.store.repo.commits import history, resolve

    commits = []
    for commit in history(repository, resolve(repository, revision)):
        commits.append(commit)
        if number is not None and len(commits) == number:
            break
    if current.json:
        current.answer([commit.value() for commit in commits])
        return
    lines: list[str] = []
    for commit in commits:
        lines += [f"commit {commit.checksum}", commit.text()] if raw else commit_lines(commit)
    if commits[-1].parent is not None and (number is None or len(commits) < number):
        lines.append("<< History beyond this commit not fetched >>")
    pager.show(text.sanitise("\n".join(lines)).split("\n"), current)


def commit_lines(commit: Commit) -> list[str]:
    """A commit as `ostree log` and `ostree show` print it."""
    from dolmen.support.clock import utc_text

    try:
        date = utc_text(commit.timestamp)
    except (OverflowError, ValueError, OSError):
        date = f"@{commit.timestamp}"
    lines = [f"commit {commit.checksum}"]
    if commit.parent is not None:
        lines.append(f"Parent:  {commit.parent}")
    lines += [
        f"ContentChecksum:  {commit.content}",
        f"Date:  {date}",
    ]
    version = commit.version
    if version is not None:
        lines.append(f"Version: {version}")
    lines += ["", *_indented(commit.subject)] if commit.subject else ["(no subject)"]
    lines.append("")
    if commit.body:
        lines += [*_indented(commit.body), ""]
    return lines


def _indented(words: str) -> list[str]:
    if "\n" not in words:
        return [f"    {words}"]
    return [f"    {line}" for line in words.removesuffix("\n").split("\n")]


VERB = Verb(
    log,
    examples="""
        dolmen store --repo=repo log main
        dolmen store log main~3 --json
        dolmen store log 'main@{yesterday}'
    """,
    options=(
        Option("--raw", "raw", "Print what is stored, as GVariant text."),
        Option("-n --number", "number", "No more than N.", metavar="N", convert=int, minimum=1),
    ),
    arguments=(Argument("revision", "COMMIT"),),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
