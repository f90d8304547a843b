"""What goes wrong for an operator, told in one line.

OperatorError
    StackNotFoundError    nothing runs here: start a stack, or go to its folder
    ServiceFailedError    a service ended or never became healthy: its last lines are attached
    Interrupted           the operator asked to stop: not a failure
"""

from __future__ import annotations

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_ARMED, EXIT_KILLED = 0, 1, 2, 3, 4


class OperatorError(Exception):
    """A command cannot go on; the message is for the operator, `exit_code` for the shell."""

    def __init__(self, message: str, *, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StackNotFoundError(OperatorError):
    """No running stack was found: start one with `interlock up`."""


class ServiceFailedError(OperatorError):
    """A service ended or never became healthy; `tail` holds the last lines of its log."""

    def __init__(self, message: str, *, tail: tuple[str, ...]) -> None:
        super().__init__(message)
        self.tail = tail


class Interrupted(Exception):  # noqa: N818 - not an error: the operator asked for it
    """The operator asked to stop: end everything in order."""
