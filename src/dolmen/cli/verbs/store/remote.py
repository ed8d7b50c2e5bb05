"""`dolmen store remote`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dolmen.cli import storing, text
from dolmen.cli.lazy import VerbFirst
from dolmen.cli.options import session

if TYPE_CHECKING:
    from dolmen.store.history.keys import Key


@click.group(cls=VerbFirst, context_settings={"help_option_names": ["-h", "--help"]})
@storing.options
def command() -> None:
    """Repositories elsewhere: where they are, whom to believe, what they have."""


@command.command("add")
@storing.options
@click.option("--set", "options", metavar="KEY=VALUE", multiple=True, help="Set an option.")
@click.option("--no-gpg-verify", is_flag=True, help="Ask for no OpenPGP signatures.")
@click.option("--no-sign-verify", is_flag=True, help="Ask for no signatures of any kind.")
@click.option(
    "--sign-verify",
    metavar="TYPE=inline:KEY",
    multiple=True,
    help="Ask for signatures by a key of libostree's own kinds; also TYPE=file:PATH.",
)
@click.option("--gpg-import", metavar="FILE", help="Believe the OpenPGP keys in this file.")
@click.option("--if-not-exists", is_flag=True, help="Keep a remote of this name.")
@click.option("--force", is_flag=True, help="Replace a remote of this name.")
@click.option("--contenturl", metavar="URL", help="Where objects are, if elsewhere.")
@click.option("--collection-id", metavar="ID", help="What the repository calls itself.")
@click.option("--custom-backend", metavar="NAME", help="Something else fetches from it.")
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="[URL]", required=False)
@click.argument("branches", metavar="[BRANCH]...", nargs=-1)
def add_command(name: str, url: str | None, branches: tuple[str, ...], **given: Any) -> None:
    """Remember a remote; URL may begin with metalink= or mirrorlist=."""
    from dolmen.store.history.remotes import add_remote, verification
    from dolmen.support.errors import UsageError

    hint = "dolmen store remote add --help"
    if url is None and given["custom_backend"] is None:
        raise UsageError("NAME and URL must be specified", hint=hint)
    if given["if_not_exists"] and given["force"]:
        raise UsageError("Can only specify one of --if-not-exists and --force", hint=hint)
    if given["no_sign_verify"] and given["sign_verify"]:
        raise UsageError("Cannot specify both --sign-verify and --no-sign-verify", hint=hint)
    values = dict(storing.pair(words) for words in given["options"])
    if given["no_gpg_verify"] or given["no_sign_verify"]:
        values["gpg-verify"] = "false"
    if given["no_sign_verify"]:
        values["sign-verify"] = "false"
    values.update(verification(given["sign_verify"]))
    for key in ("contenturl", "collection_id", "custom_backend"):
        if given[key] is not None:
            values[key.replace("_", "-")] = given[key]
    history = storing.opened()
    add_remote(
        history,
        name,
        url,
        options=values,
        branches=branches,
        keep=given["if_not_exists"],
        replace=given["force"],
    )
    if given["gpg_import"] is not None:
        _import(history, name, Path(given["gpg_import"]).read_bytes())
    else:
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


@command.command("refs")
@storing.options
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Keep the list there.")
@click.argument("name", metavar="NAME")
def refs_command(name: str, cache_dir: Path | None) -> None:
    """List the refs of a remote."""
    from dolmen.store.history.remotes import remote_refs

    found = remote_refs(storing.opened(), name, cache=cache_dir)
    current = session()
    current.answer(found)
    for ref in found:
        current.say(text.sanitise(f"{name}:{ref}"))


@command.command("summary")
@storing.options
@click.option("--raw", is_flag=True, help="As GVariant text.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Keep it there.")
@click.argument("name", metavar="NAME")
def summary_command(name: str, raw: bool, cache_dir: Path | None) -> None:
    """Show a remote's list of refs, and who signed it."""
    from dolmen.store.history.remotes import remote_summary
    from dolmen.store.repo import summary

    data, signatures = remote_summary(storing.opened(), name, cache=cache_dir)
    found = summary.parsed(data)
    current = session()
    current.answer({"refs": {ref: row[1].hex() for ref, row in found[0]}})
    if raw:
        current.say(text.sanitise(summary.raw(found)))
        return
    for line in [*summary.lines(found), *(["", *signatures] if signatures else [])]:
        current.say(text.sanitise(line))


@command.command("gpg-import")
@storing.options
@click.option("-k", "--keyring", "files", metavar="FILE", multiple=True, help="Keys to import.")
@click.option("--stdin", "typed", is_flag=True, help="Keys come from standard input.")
@click.argument("name", metavar="NAME")
@click.argument("ids", metavar="[KEY]...", nargs=-1)
def gpg_import_command(
    name: str, ids: tuple[str, ...], files: tuple[str, ...], typed: bool
) -> None:
    """Believe OpenPGP keys for a remote (default: your own, if named)."""
    from dolmen.support.errors import UsageError

    if typed and files:
        raise UsageError(
            "--keyring and --stdin are mutually exclusive", hint="dolmen store remote --help"
        )
    data = sys.stdin.buffer.read() if typed else None
    if files:
        data = b"".join(Path(file).read_bytes() for file in files)
    _import(storing.opened(), name, data, ids)


def _import(history: Any, name: str, data: bytes | None, ids: tuple[str, ...] = ()) -> None:
    from dolmen.store.history.keys import import_keys

    count = import_keys(history, name, data, ids)
    current = session()
    current.answer({"name": name, "imported": count})
    current.say(f'Imported {count} GPG key{"" if count == 1 else "s"} to remote "{name}"')


@command.command("gpg-list-keys")
@storing.options
@click.argument("name", metavar="[NAME]", required=False)
def gpg_list_keys_command(name: str | None) -> None:
    """List the OpenPGP keys that are believed for a remote, or for all."""
    from dolmen.store.history.keys import list_keys

    found = list_keys(storing.opened(), name)
    current = session()
    current.answer(found)
    for key in found:
        _say_key(key, "Key", "  ")
        for user in key.users:
            current.say(text.sanitise(f"  UID: {user.text}") + _flags(user.revoked, user.invalid))
            current.say(text.sanitise(f"  Advanced update URL: {user.advanced_url or ''}"))
            current.say(text.sanitise(f"  Direct update URL: {user.direct_url or ''}"))
        for subkey in key.subkeys:
            _say_key(subkey, "  Subkey", "    ")


def _say_key(key: Key, what: str, indent: str) -> None:
    from dolmen.support.clock import local_text

    current = session()
    current.say(f"{what}: {key.fingerprint}{_flags(key.revoked, key.invalid)}")
    current.say(f"{indent}Created: {local_text(key.created)}")
    if key.expires > 0:
        word = "Expired" if key.expired else "Expires"
        current.say(f"{indent}{word}: {local_text(key.expires)}")


def _flags(revoked: bool, invalid: bool) -> str:
    return (" (revoked)" if revoked else "") + (" (invalid)" if invalid else "")


@command.command("add-cookie")
@storing.options
@click.argument("remote", metavar="NAME")
@click.argument("domain", metavar="DOMAIN")
@click.argument("path", metavar="PATH")
@click.argument("name", metavar="COOKIE")
@click.argument("value", metavar="VALUE")
def add_cookie_command(remote: str, domain: str, path: str, name: str, value: str) -> None:
    """Send a cookie to a remote."""
    from dolmen.store.history.cookies import Cookie, add_cookie

    add_cookie(storing.opened(), remote, Cookie(domain, path, name, value))
    session().answer({"name": remote, "cookie": name})


@command.command("delete-cookie")
@storing.options
@click.argument("remote", metavar="NAME")
@click.argument("domain", metavar="DOMAIN")
@click.argument("path", metavar="PATH")
@click.argument("name", metavar="COOKIE")
@click.argument("value", metavar="[VALUE]", required=False)
def delete_cookie_command(
    remote: str, domain: str, path: str, name: str, value: str | None
) -> None:
    """Send a cookie no more; its value may be said, and does not matter."""
    from dolmen.store.history.cookies import delete_cookie

    delete_cookie(storing.opened(), remote, domain, path, name)
    session().answer({"name": remote, "cookie": name})


@command.command("list-cookies")
@storing.options
@click.argument("remote", metavar="NAME")
def list_cookies_command(remote: str) -> None:
    """List the cookies that are sent to a remote."""
    from dolmen.store.history.cookies import cookies
    from dolmen.support.clock import utc_text

    found = cookies(storing.opened(), remote)
    current = session()
    current.answer(found)
    for cookie in found:
        current.say("--")
        for word, value in (
            ("Domain", cookie.domain),
            ("Path", cookie.path),
            ("Name", cookie.name),
            ("Secure", "TRUE" if cookie.secure else "FALSE"),
            ("Expires", utc_text(cookie.expires)),
            ("Value", cookie.value),
        ):
            current.say(text.sanitise(f"{word}: {value}"))
