"""`dolmen install`."""

from __future__ import annotations

import click

from dolmen.cli.options import group_options, selection, session, verb
from dolmen.support.errors import UsageError


@verb(
    examples="""
        dolmen install python3 curl
        dolmen install --dir web --suite bookworm nodejs
        dolmen install nodejs/bookworm  (from that suite; nodejs=VERSION is one version)
        dolmen install --dry-run texlive-base
        dolmen install ./tool_1.0_amd64.deb
        dolmen install --group dev gdb strace
        dolmen install                  (after editing dolmen.toml)
    """
)
@click.argument("specs", metavar="[PACKAGE…]", nargs=-1)
@click.option("--suite", metavar="SUITE", help="The suite, where --dir names a new environment.")
@click.option("--refresh", is_flag=True, help="Ask the archive for news first, and solve again.")
@group_options
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
def command(
    specs: tuple[str, ...],
    suite: str | None,
    refresh: bool,
    groups: tuple[str, ...],
    without: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Add packages to the environment: edit dolmen.toml, solve, fetch, build, new generation.

    A PACKAGE is name, name=version, name/suite or name:architecture, or the path of a .deb below
    the directory, which begins with ./ and is solved with the others. Versions in the lock stay
    where they can. If anything fails, manifest, lock and generation are as they were.

    With --group NAME the packages are added to [groups.NAME], and the environment has that group
    from now on.
    """
    from dolmen.cli.outcomes import show
    from dolmen.environment import host_suite, install
    from dolmen.environment.placing import is_path, local_debs
    from dolmen.model import parse_spec

    current = session()
    paths = [spec for spec in specs if is_path(spec)]
    for spec in specs:
        if spec.endswith(".deb") and spec not in paths:
            raise UsageError(
                f"a file is named by a path: ./{spec}", hint=f"dolmen install ./{spec}"
            )
    wanted = [parse_spec(spec) for spec in specs if spec not in paths]
    environment = current.environment()
    debs = local_debs(environment, paths)
    create = None
    if not environment.manifest.exists():
        create = suite or host_suite()
    elif suite is not None:
        check_suite(environment.manifest_text(), suite)
    if len(groups) > 1 and specs:
        raise UsageError("packages are added to one group at a time", hint="dolmen install --help")
    group = groups[0] if groups and specs else None
    choice = selection(() if group else groups, without)
    outcome = install(
        environment,
        wanted,
        backend=current.backend(),
        command=" ".join(
            ["install", *(f"--group {name}" for name in groups), *map(str, wanted), *paths]
        ),
        create=create,
        debs=debs,
        group=group,
        groups=choice,
        refresh=True if refresh else None,
        dry_run=dry_run,
        emit=current.emit,
    )
    current.close()
    show(outcome, current)


def check_suite(text: str, suite: str) -> None:
    """`--suite` starts a manifest; it does not change one. Raises UsageError ("suite-differs")."""
    from dolmen.model import parse_manifest

    present = parse_manifest(text).suite
    if present != suite:
        raise UsageError(
            f"dolmen.toml says suite {present!r}, not {suite!r}",
            reason="suite-differs",
            hint=f'edit dolmen.toml: suite = "{suite}"; then: dolmen install',
        )
