"""`dolmen store summary`."""

from __future__ import annotations

from dolmen.cli.reading import Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository


def summary(
    current: Session,
    repository: Repository,
    *,
    update: bool,
    view: bool,
    raw: bool,
    metadata: list[str],
    gpg_sign: list[str],
    gpg_homedir: str | None,
    sign: list[str],
    sign_type: str,
) -> None:
    """Write, or show, the list of refs that those who pull from here read first."""
    from dolmen.support.errors import UsageError

    if update:
        from pathlib import Path

        from dolmen.store.history.repository import History
        from dolmen.store.history.summarising import Signers, write_summary

        pairs = {}
        for words in metadata:
            key, equals, value = words.partition("=")
            if not equals:
                raise UsageError(
                    f"Missing '=' in KEY=VALUE metadata '{words}'",
                    hint="dolmen store summary --help",
                )
            pairs[key] = value
        history = History.open(Path(repository.path))
        write_summary(history, pairs, Signers(gpg_sign, gpg_homedir, sign, sign_type))
        current.answer({"summary": f"{repository.path}/summary"})
        return
    if not view and not raw:
        raise UsageError(
            "No option specified; use -u to update summary", hint="dolmen store summary --update"
        )
    from dolmen.cli import pager, text
    from dolmen.store.repo import summary as reading

    found = reading.read(repository)
    lines = [reading.raw(found)] if raw else list(reading.lines(found))
    current.answer({"refs": {name: entry[1].hex() for name, entry in found[0]}})
    pager.show(text.sanitise("\n".join(lines)).split("\n"), current)


VERB = Verb(
    summary,
    examples="""
        dolmen store --repo=repo summary --update
        dolmen store --repo=repo summary --view
    """,
    options=(
        Option("-u --update", "update", "Write it anew."),
        Option("-v --view", "view", "Show it."),
        Option("--raw", "raw", "Show what is stored, as GVariant text."),
        Option(
            "-m --add-metadata",
            "metadata",
            "With --update: say this too, in GVariant's text.",
            metavar="KEY=VALUE",
            many=True,
        ),
        Option("--gpg-sign", "gpg_sign", "Sign with an OpenPGP key.", metavar="KEY", many=True),
        Option("--gpg-homedir", "gpg_homedir", "Where the OpenPGP keys are.", metavar="DIR"),
        Option("--sign", "sign", "Sign with a libostree key.", metavar="KEY", many=True),
        Option(
            "--sign-type", "sign_type", "The kind of that key.", metavar="NAME", default="ed25519"
        ),
    ),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
