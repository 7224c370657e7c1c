"""What to say of an error, in one line, and the exit code that goes with it.

A line says what happened, whether anything went out, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from ..errors import (
    BadRequest,
    BadResponse,
    ConfigurationError,
    ConnectionFailed,
    InvalidInput,
    MoveworksError,
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
from .terminal import plain


class ExitCode(IntEnum):
    """The exit codes; `OK` says that all were accepted."""

    OK = 0
    #: In this package, not in what it was given.
    DEFECT = 1
    USAGE = 2
    REJECTED = 3
    UNKNOWN = 4
    NOTHING_SENT = 5
    INTERRUPTED = 130


_WENT_OUT: Mapping[Outcome, str] = {
    Outcome.ACCEPTED: "It was accepted",
    Outcome.REJECTED: "Nobody was told by it",
    Outcome.UNKNOWN: "It may have been processed or not",
    Outcome.NOT_SENT: "Nothing was sent",
}
_LOOK_FIRST = "Find out whether it arrived before you send it again"
_TODO: Mapping[type[MoveworksError], str] = {
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
    NotSent: "Send it to them again",
    MoveworksError: "Look at what the server says before you try again",
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
    went_out = went_out or _WENT_OUT[error.outcome]
    return f"Error: {what_happened(error)}. {went_out}. {what_to_do(error)}."


def what_happened(error: MoveworksError) -> str:
    """The error's message on one line, without a period at its end."""
    text = plain(error)
    for said in _SAID:
        text = text.removesuffix(said)
    return text.rstrip(". ") or type(error).__name__


def what_to_do(error: MoveworksError) -> str:
    """The advice for the error's class, or for the nearest class above it."""
    return next(_TODO[kind] for kind in type(error).__mro__ if kind in _TODO)


def exit_code(error: MoveworksError) -> ExitCode:
    """The exit code of a command that one error ended."""
    if isinstance(error, (InvalidInput, ConfigurationError)):
        return ExitCode.USAGE
    if isinstance(error, NotAuthenticated) or error.outcome is Outcome.NOT_SENT:
        return ExitCode.NOTHING_SENT
    return ExitCode.UNKNOWN if error.outcome is Outcome.UNKNOWN else ExitCode.REJECTED
