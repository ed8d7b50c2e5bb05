"""Errors as people and scripts see them."""

from __future__ import annotations

import errno
import os
import sys
import textwrap
from typing import TYPE_CHECKING

from dolmen.cli.session import Session
from dolmen.cli.text import paint, sanitise, wants_colour, write_line
from dolmen.support.errors import DolmenError, HostError, StoreError, UsageError

if TYPE_CHECKING:
    import click

_FULL = (errno.ENOSPC, errno.EDQUOT)


def report(error: DolmenError, session: Session) -> int:
    """Show an error and return its exit code."""
    session.close()
    try:
        if session.json:
            session.answer({"error": describe(error)})
        else:
            _print(error, session)
    except OSError:
        pass  # nobody listens any more; the exit code still tells
    return error.exit_code


def describe(error: DolmenError) -> dict[str, object]:
    """An error as a JSON object."""
    return {
        "reason": error.reason,
        "message": error.message,
        "context": error.context,
        "details": list(error.details),
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def _print(error: DolmenError, session: Session) -> None:
    colour = wants_colour(sys.stderr, session.colour, dict(os.environ))
    lines = [f"{paint('error:', 'bold', 'red', colour=colour)} {sanitise(error.message)}"]
    if error.context:
        lines.append(textwrap.indent(sanitise(error.context), "  "))
    # the first of several findings often is the context already
    said = error.context or ""
    details = [d for d in error.details if not (said == d or said.endswith(f", {d}"))]
    lines += [textwrap.indent(sanitise(detail), "  ") for detail in details]
    if error.hint:
        lines.append(f"{paint('hint:', 'bold', 'cyan', colour=colour)} {sanitise(error.hint)}")
    for line in lines:
        write_line(sys.stderr, line)


def from_click(error: click.ClickException) -> DolmenError:
    """A mistake on the command line."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "dolmen"
    message = error.format_message().strip().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"{path} --help")


def from_os(error: OSError) -> DolmenError:
    """An operating system error that no room expected: disk full is the usual one."""
    where = ", ".join(os.fsdecode(n) for n in (error.filename, error.filename2) if n)
    if error.errno in _FULL:
        return StoreError(
            "the disk is full",
            reason="disk-full",
            context=where or None,
            hint="df -h; df -i",
        )
    if error.errno == errno.EROFS:
        return StoreError(
            "the file system is read-only",
            reason="read-only",
            context=where or None,
            hint="use another store: dolmen --store DIR …",
        )
    return HostError(
        (error.strerror or str(error)).lower(),
        reason="os-error",
        context=where or None,
        hint="DOLMEN_DEBUG=1 shows where it happened",
    )


def from_unknown(error: Exception) -> DolmenError:
    """A defect of ours."""
    text = " ".join(str(error).split())
    return DolmenError(
        f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__,
        reason="internal",
        context="this is a defect of Dolmen, not of your input",
        hint="run it again with DOLMEN_DEBUG=1 in the environment and report what it shows",
    )
