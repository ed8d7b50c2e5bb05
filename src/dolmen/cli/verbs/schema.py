"""`dolmen schema`."""

from __future__ import annotations

import sys

from dolmen.cli.options import verb


@verb(
    examples="""
        dolmen schema >~/.config/dolmen.schema.json
        taplo lint --schema file://$HOME/.config/dolmen.schema.json dolmen.toml
    """
)
def command() -> None:
    """Print the JSON schema of dolmen.toml, for editors that complete and check it."""
    from dolmen.model.schema import render_schema

    sys.stdout.write(render_schema())
