"""`dolmen why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli.options import session, verb

if TYPE_CHECKING:
    from dolmen.environment.inspect.proof import Proof
    from dolmen.environment.inspect.why import Why

_NAMES = 8


@verb(
    examples="""
        dolmen why libssl3              (the shortest way from what was asked for)
        dolmen why --all libc6          (one way from each)
        dolmen why -                    (the Essential packages)
    """
)
@click.argument("package", metavar="PACKAGE|-")
@click.option("-a", "--all", "every", is_flag=True, help="A chain from each request.")
@click.option("--no-proof", is_flag=True, help="Do not look into files.")
def command(package: str, every: bool, no_proof: bool) -> None:
    """Say why a package is here: chains of dependencies, with the files that prove them."""
    from dolmen.cli import pager
    from dolmen.environment.inspect.view import view
    from dolmen.environment.inspect.why import essential, why

    current = session()
    seen = view(current.environment(), backend=current.backend())
    if package == "-":
        found = essential(seen)
        current.answer(dict(found))
        pager.show(_essential(found), current)
        return
    explained = why(seen, package, every=every, proofs=not no_proof)
    current.answer(explained)
    pager.show(_lines(explained, every=every, paints=current.paints), current)


def _essential(found: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    from dolmen.cli import table

    head = "Essential packages are part of every Debian system; with what they need they are:"
    rows = [(f"  {name}", f"needs {', '.join(needs)}" if needs else "") for name, needs in found]
    return [head, *table.rows(rows)]


def _lines(found: Why, *, every: bool, paints: bool) -> list[str]:
    from dolmen.cli import text

    name = text.paint(text.sanitise(found.name), "bold", colour=paints)
    head = f"{name} {text.sanitise(found.version)}"
    reasons = ["was asked for"] if found.requested else []
    reasons += ["is Essential"] if found.essential else []
    if reasons:
        head += f" {' and '.join(reasons)}"
    elif not found.chains:
        head += " is needed by nothing here: the solver chose it to satisfy a relation"
    lines = [head]
    for chain in found.chains:
        why = "was asked for" if chain.reason == "requested" else "is Essential"
        lines.append(f"{text.sanitise(chain.start)} {why}")
        for depth, step in enumerate(chain.steps, 1):
            indent = "  " * depth
            verb = {"Recommends": "recommends"}.get(step.field, "depends on")
            lines.append(f"{indent}and {verb} {text.sanitise(step.clause)}")
            if step.needs not in step.clause:
                lines[-1] += f", which is {text.sanitise(step.needs)}"
            lines += [
                text.paint(f"{indent}  {_proof(proof)}", "dim", colour=paints)
                for proof in step.proofs
            ]
    if found.more and not every:
        lines.append(
            f"and {text.count(found.more, 'other package')} that leads here: "
            f"dolmen why --all {found.name}"
            if found.more == 1
            else f"and {found.more} others lead here: dolmen why --all {found.name}"
        )
    if found.direct:
        shown = ", ".join(found.direct[:_NAMES])
        rest = len(found.direct) - _NAMES
        lines.append(f"Needed directly by {shown}" + (f" and {rest} more" if rest > 0 else ""))
    return lines


def _proof(proof: Proof) -> str:
    from dolmen.cli import text

    file, target = text.sanitise(proof.file), text.sanitise(proof.target)
    needs = text.sanitise(proof.needs)
    if proof.kind == "library":
        return f"/{file} is linked to {needs} (/{target})"
    if proof.kind == "interpreter":
        return f"/{file} is run by /{target}"
    return f"/{file} is a link to /{target}"
