"""`dolmen store remote`."""

from __future__ import annotations

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@storing.options
def command() -> None:
    """Repositories elsewhere: add, list, delete, show-url."""


@command.command("add")
@storing.options
@click.option("--set", "options", metavar="KEY=VALUE", multiple=True, help="Set an option.")
@click.option("--no-gpg-verify", is_flag=True, help="Ask for no OpenPGP signatures.")
@click.option("--no-sign-verify", is_flag=True, help="Ask for no signatures of any kind.")
@click.option("--if-not-exists", is_flag=True, help="Keep a remote of this name.")
@click.option("--force", is_flag=True, help="Replace a remote of this name.")
@click.option("--contenturl", metavar="URL", help="Where objects are, if elsewhere.")
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="URL")
@click.argument("branches", metavar="[BRANCH]...", nargs=-1)
def add_command(
    name: str,
    url: str,
    branches: tuple[str, ...],
    options: tuple[str, ...],
    no_gpg_verify: bool,
    no_sign_verify: bool,
    if_not_exists: bool,
    force: bool,
    contenturl: str | None,
) -> None:
    """Remember a remote."""
    from dolmen.store.history.remotes import add_remote

    values = dict(storing.pair(words) for words in options)
    if no_gpg_verify or no_sign_verify:
        values["gpg-verify"] = "false"
    if no_sign_verify:
        values["sign-verify"] = "false"
    if contenturl is not None:
        values["contenturl"] = contenturl
    add_remote(
        storing.opened(),
        name,
        url,
        options=values,
        branches=branches,
        keep=if_not_exists,
        replace=force,
    )
    session().answer({"name": name, "url": url})


@command.command("delete")
@storing.options
@click.option("--if-exists", is_flag=True, help="None of this name is no error.")
@click.argument("name", metavar="NAME")
def delete_command(name: str, if_exists: bool) -> None:
    """Forget a remote."""
    from dolmen.store.history.remotes import delete_remote

    delete_remote(storing.opened(), name, keep=if_exists)
    session().answer({"name": name})


@command.command("list")
@storing.options
@click.option("-u", "--show-urls", is_flag=True, help="With their addresses.")
def list_command(show_urls: bool) -> None:
    """List remotes."""
    from dolmen.store.history.remotes import remotes

    found = remotes(storing.opened())
    current = session()
    current.answer(found)
    width = max(map(len, found), default=0)
    for name, url in found.items():
        current.say(text.sanitise(f"{name:{width}}  {url}" if show_urls else name))


@command.command("show-url")
@storing.options
@click.argument("name", metavar="NAME")
def show_url_command(name: str) -> None:
    """Print the address of a remote."""
    from dolmen.store.history.remotes import remote_url

    url = remote_url(storing.opened(), name)
    current = session()
    current.answer({"name": name, "url": url})
    current.say(text.sanitise(url))
