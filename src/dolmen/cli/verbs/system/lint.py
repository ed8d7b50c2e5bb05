"""`dolmen system lint`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen system lint               (the system of the directory here, built if need be)
        dolmen system lint COMMIT
        dolmen system lint --rules
    """
)
@click.argument("commit", required=False)
@click.option("--rules", is_flag=True, help="List the rules.")
def command(commit: str | None, rules: bool) -> None:
    """Hold a system's commit against fifteen rules; exit code 3 where it breaks one.

    Every build ends with this. COMMIT is a commit's checksum or a ref of the store.
    """
    from dolmen.model.digest import Sha256
    from dolmen.store import Store
    from dolmen.support.errors import DeclarationError
    from dolmen.system import building
    from dolmen.system.disk.making import declared
    from dolmen.system.lint import RULES, lint
    from dolmen.system.lint.checking import ordered

    current = session()
    if rules:
        current.answer([{"number": r.number, "name": r.name, "says": r.says} for r in ordered()])
        for one in ordered():
            current.say(f"{one.number:2}  {one.name:15} {one.says}")
        return
    store = Store.open(current.store)
    if commit is None:
        directory = current.environment().directory
        manifest, lock = declared(directory)
        image = building.build(lock, manifest, directory, store, emit=current.emit)
        building.keep_numbers(directory, lock, image)
        found = image.commit
    else:
        resolved = store.resolve(commit)
        found = resolved if resolved is not None else Sha256(commit)
    findings = lint(store, found)
    current.close()
    current.answer({"commit": found, "findings": findings, "rules": len(RULES)})
    for finding in findings:
        current.say(f"{finding.rule}: {finding.message}")
    if findings:
        raise DeclarationError(
            f"{len(findings)} findings in {found[:16]}",
            reason="lint-failed",
            hint="dolmen system lint --rules",
        )
    current.say(f"All {len(RULES)} rules hold for {found[:16]}")
