"""Errors a user can act on.

Each carries a message (what happened), a context (where), a hint (a command to type), a kebab-case
`reason` that scripts and tests may rely on, and an exit code. One class per party at fault; the
table of exit codes is part of the interface (README, "Exit codes").
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class DolmenError(Exception):
    """Something went wrong that the user should hear about; the base of all our errors.

    `details` are further lines (the tail of a log, a list of findings) shown below the message.
    """

    exit_code = 1
    default_reason = "internal"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        context: str | None = None,
        hint: str | None = None,
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.context = context
        self.hint = hint
        self.details = tuple(details)


class UsageError(DolmenError):
    """The command line asks for something that makes no sense."""

    exit_code = 2
    default_reason = "usage"


class DeclarationError(DolmenError):
    """A manifest, a lock or a package specification is missing, malformed or refused."""

    exit_code = 3
    default_reason = "declaration"


class SolveError(DolmenError):
    """No set of packages answers the request."""

    exit_code = 4
    default_reason = "unsatisfiable"


class ArchiveError(DolmenError):
    """An archive cannot be reached, or what it serves cannot be trusted."""

    exit_code = 5
    default_reason = "archive"


class PackageError(DolmenError):
    """A .deb is damaged or hostile, or one of its maintainer scripts failed."""

    exit_code = 6
    default_reason = "package"


class StoreError(DolmenError):
    """The store cannot be read or written: full, damaged, foreign, of a newer format."""

    exit_code = 7
    default_reason = "store"


class HostError(DolmenError):
    """This host lacks something that Dolmen needs: namespaces, a program, a file system feature."""

    exit_code = 8
    default_reason = "host"


class StaleError(DolmenError):
    """The lock no longer answers the manifest, and the caller asked not to solve."""

    exit_code = 9
    default_reason = "lock-stale"


class NotReproducibleError(DolmenError):
    """Two builds of one lock differ."""

    exit_code = 10
    default_reason = "not-reproducible"


class CommandError(DolmenError):
    """The environment has no such command; sh's own code for that."""

    exit_code = 127
    default_reason = "no-command"


class BusyError(DolmenError):
    """Another process holds what we need, and waiting for it took too long."""

    exit_code = 11
    default_reason = "busy"


class MachineError(DolmenError):
    """A system image or a change of a machine's deployments is refused; nothing was switched."""

    exit_code = 12
    default_reason = "machine"
