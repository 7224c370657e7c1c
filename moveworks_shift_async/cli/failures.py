"""What to say of an error, in one line, and the exit code that goes with it.

A line says what happened, whether anything went out, and what to do.
"""

from __future__ import annotations

from enum import IntEnum

from ..errors import (
    Concerns,
    ConfigurationError,
    InvalidInput,
    JobStopped,
    JournalError,
    MoveworksError,
    NotAddresses,
    Outcome,
)
from ..text import one_line, shell_word


class ExitCode(IntEnum):
    """The exit codes. They speak of people."""

    #: Everybody planned was accepted.
    OK = 0
    #: In this package, not in what it was given.
    DEFECT = 1
    #: Usage, a file, a journal or settings.
    USAGE = 2
    #: Some were rejected or not sent to.
    REJECTED = 3
    #: Some may have been told or not, those that `resume --unknown skip` left alone included.
    UNKNOWN = 4
    #: Nobody was told: the credential, the server's address or the network.
    NOTHING_SENT = 5
    INTERRUPTED = 130


INTERRUPTED = f"Error: interrupted. {JournalError.went_out}. Run it again."
# The errors' own words for whether it went out; the line says it in a place of its own.
_SAID = (
    "; told or not told",
    "; nothing was sent",
    "; not sent",
    "; the request may have been processed or not",
)


def error_line(error: MoveworksError, *, went_out: str | None = None) -> str:
    """The one line that a failed command ends in."""
    if went_out is None or isinstance(error, JobStopped):
        went_out = error.went_out
    told = (what_happened(error), went_out, error.advice)
    return f"Error: {'. '.join(filter(None, told))}."


def stopped_line(error: JobStopped, journal: str, *, nobody: bool, begun: bool = True) -> str:
    """The one line about a job that ended early; `nobody`: nobody can have been told."""
    told = "Nobody was told" if nobody else error.went_out
    first = error.cause.remedy
    verb = "go on with: moveworks-shift resume" if begun else "begin it: moveworks-shift run"
    goes_on = f"{verb} {shell_word(journal)}"
    todo = f"{first}, then {goes_on}" if first else goes_on.capitalize()
    return f"Error: {what_happened(error)}. {told}. {todo}"


def what_happened(error: MoveworksError | str) -> str:
    """The error, or its message, on one line, without a period at its end."""
    text = one_line(error)
    for said in _SAID:
        text = text.removesuffix(said)
    return text.rstrip(". ") or type(error).__name__


def exit_code(
    *errors: MoveworksError,
    accepted: int = 0,
    unknown: int = 0,
    untold: int = 0,
    interrupted: bool = False,
) -> ExitCode:
    """The exit code of a command, by what became of its people and by the errors it met.

    `untold` are those that were rejected or not sent to. The errors decide where nobody was told.
    """
    if interrupted:
        return ExitCode.INTERRUPTED
    if unknown:
        return ExitCode.UNKNOWN
    kinds = set() if accepted else {_code_of(error) for error in errors}
    if len(kinds) == 1:
        return kinds.pop()
    return ExitCode.REJECTED if untold or kinds else ExitCode.OK


def _code_of(error: MoveworksError) -> ExitCode:
    if isinstance(error, NotAddresses):
        return ExitCode.REJECTED
    if isinstance(error, (InvalidInput, ConfigurationError, JournalError)):
        return ExitCode.USAGE
    if isinstance(error, JobStopped):  # and not even its account can be had
        return ExitCode.UNKNOWN
    if error.outcome is Outcome.UNKNOWN:
        return ExitCode.UNKNOWN
    if error.outcome is Outcome.NOT_SENT or error.concerns is Concerns.EVERYBODY:
        return ExitCode.NOTHING_SENT
    return ExitCode.REJECTED
