"""`dolmen store push`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo push ../other main
        dolmen store push ssh://build@host/srv/repo main v1
        dolmen store push host:repo --dry-run
        dolmen store push --force host:repo main
        dolmen store push https://host/repo/ main --token-file=token
    """
)
@click.option("-f", "--force", is_flag=True, help="Even if refs there leave commits behind.")
@click.option("--depth", type=int, default=-1, metavar="N", help="Parents to take (default: all).")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would move; send nothing.")
@click.option("--trusted", is_flag=True, help="To a path: hard links, unchecked, where possible.")
@click.option("--rsh", metavar="COMMAND", help="Instead of ssh (or DOLMEN_RSH).")
@click.option("--program", metavar="PATH", default="dolmen", help="What dolmen is called there.")
@click.option("--token-file", metavar="FILE", help="For HTTP: what lets you in.")
@click.option("--insecure", is_flag=True, help="For HTTP without TLS: send the token all the same.")
@click.argument("target", metavar="TARGET")
@click.argument("names", metavar="[REF]...", nargs=-1)
def command(
    target: str,
    names: tuple[str, ...],
    force: bool,
    depth: int,
    dry_run: bool,
    trusted: bool,
    rsh: str | None,
    program: str,
    token_file: str | None,
    insecure: bool,
) -> None:
    """Push refs (default: all) to a path, ssh://HOST/PATH, HOST:PATH or http(s)://HOST/PATH/.

    Only what is missing there is sent, each object is checked on arrival, and the refs move last
    and only forward. Over ssh the other side runs `dolmen store receive`, over HTTP it is
    `dolmen store serve`.
    """
    from dolmen.store.history import pushing, sending
    from dolmen.store.history.repository import History
    from dolmen.support.errors import UsageError

    history = storing.opened()
    web = target.startswith(("http://", "https://"))
    address = None if web else sending.parse_address(target)
    if web:
        from dolmen.store.history.calling import push_http
        from dolmen.store.history.serving import read_token

        if token_file is None:
            raise UsageError("HTTP needs a token", hint="dolmen store push --token-file=FILE …")
        done = push_http(
            history,
            target,
            names,
            token=read_token(Path(token_file)),
            force=force,
            depth=depth,
            dry_run=dry_run,
            insecure=insecure,
        )
    elif address is None:
        done = pushing.push_local(
            history,
            History.open(Path(target.removeprefix("file://"))),
            names,
            force=force,
            depth=depth,
            trusted=trusted,
            dry_run=dry_run,
        )
    else:
        done = sending.push_ssh(
            history,
            address,
            names,
            force=force,
            depth=depth,
            dry_run=dry_run,
            rsh=rsh or os.environ.get("DOLMEN_RSH", "ssh"),
            program=program,
            environment=dict(os.environ),
        )
    current = session()
    current.answer(done)
    for update in done.updates:
        before = "new" if update.before is None else update.before[:12]
        forced = " (forced)" if update.forced else ""
        current.say(text.sanitise(f"{update.ref}: {before} -> {update.after[:12]}{forced}"))
    if not done.updates:
        current.say("Everything is there already")
    if done.objects:
        current.say(f"{done.objects} objects sent, {text.size(done.size or 0)}")
