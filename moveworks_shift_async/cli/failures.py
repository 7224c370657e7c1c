"""What to say of an error, in one line, and the exit code that goes with it.

A line says what happened, whether anything went out, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from ..errors import (
    BadRequest,
    BadResponse,
    Concerns,
    ConfigurationError,
    ConnectionFailed,
    InvalidInput,
    JobRunning,
    JobStopped,
    JournalError,
    MoveworksError,
    NotAddresses,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    ServerFailed,
    TokenUnavailable,
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
    #: Some may have been told or not; to leave them alone does not make it known.
    UNKNOWN = 4
    #: Nobody was told: the credential, the server's address or the network.
    NOTHING_SENT = 5
    INTERRUPTED = 130


_WENT_OUT: Mapping[Outcome, str] = {
    Outcome.ACCEPTED: "It was accepted",
    Outcome.REJECTED: "Nobody was told by it",
    Outcome.UNKNOWN: "It may have been processed or not",
    Outcome.NOT_SENT: "Nothing was sent",
}
SENT_NOTHING = "This command sent nothing"
KEPT = "Everything that was accepted stays so"
INTERRUPTED = f"Error: interrupted. {SENT_NOTHING}. Run it again."
_LOOK_FIRST = "Find out whether it arrived before you send it again"
_TODO: Mapping[type[MoveworksError], str] = {
    NotAddresses: "Correct these rows, or leave out --strict, and they are left out",
    InvalidInput: "Correct it and try again",
    ConfigurationError: "Correct the settings and try again",
    TokenUnavailable: "Check the credential and the network, then try again",
    ConnectionFailed: "Check the network, the proxy and the base URL, then try again",
    NotAuthenticated: "Check the credential and the base URL, then try again",
    NotAllowed: "Have the credential allowed to do this, then try again",
    NotFound: "Check the ids and the base URL, then try again",
    BadRequest: "Correct what the server names, then try again",
    RateLimited: "Wait, or take a smaller part of the limit with --share, then try again",
    ServerFailed: _LOOK_FIRST,
    OutcomeUnknown: _LOOK_FIRST,
    BadResponse: _LOOK_FIRST,
    # Its own words say what to do with the file.
    JournalError: "",
    JobRunning: "The command status shows how far it is, stop ends it",
    JobStopped: "Correct that, then resume the job",
    NotSent: "Send it to them again",
    MoveworksError: "Look at what the server says before you try again",
}
# What to do first where a job has met this; then it is resumed.
_FIRST: Mapping[type[MoveworksError], str] = {
    NotAuthenticated: "Check the credential and the base URL",
    NotAllowed: "Have the credential allowed to do this",
    NotFound: "If the event id is wrong, plan a new job; if not, check the base URL and the event",
    ConnectionFailed: "Check the network, the proxy and the base URL",
    TokenUnavailable: "Check the credential and the network",
    JournalError: "",
    MoveworksError: "Look at what the server says",
}
# The errors' own words for whether it went out; the line says it in a place of its own.
_SAID = (
    "; told or not told",
    "; nothing was sent",
    "; not sent",
    "; the request may have been processed or not",
)


def error_line(error: MoveworksError, *, went_out: str | None = None) -> str:
    """The one line that a failed command ends in."""
    # A job may have told many before: what was not sent is this command's part alone.
    nothing = SENT_NOTHING if isinstance(error, JournalError) else _WENT_OUT[error.outcome]
    went_out = went_out or nothing
    if isinstance(error, JobStopped):
        went_out = KEPT
    told = (what_happened(error), went_out, what_to_do(error))
    return f"Error: {'. '.join(filter(None, told))}."


def stopped_line(error: JobStopped, journal: str, *, nobody: bool, begun: bool = True) -> str:
    """The one line about a job that ended early; `nobody`: nobody can have been told."""
    told = "Nobody was told" if nobody else KEPT
    first = _nearest(_FIRST, error.cause)
    verb = "go on with: moveworks-shift resume" if begun else "begin it: moveworks-shift run"
    goes_on = f"{verb} {shell_word(journal)}"
    todo = f"{first}, then {goes_on}" if first else goes_on.capitalize()
    return f"Error: {what_happened(error)}. {told}. {todo}"


def what_happened(error: MoveworksError) -> str:
    """The error's message on one line, without a period at its end."""
    text = one_line(error)
    for said in _SAID:
        text = text.removesuffix(said)
    return text.rstrip(". ") or type(error).__name__


def what_to_do(error: MoveworksError) -> str:
    """The advice for the error's class, or for the nearest class above it."""
    return _nearest(_TODO, error)


def _nearest(table: Mapping[type[MoveworksError], str], error: MoveworksError) -> str:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


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
