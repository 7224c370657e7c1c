"""Every exception this package raises. Each says whether it went out, whom it concerns, and what
to do: streams, jobs, reports and the command line read that here.

::

    MoveworksError
    ├── NotSent                 never sent, or refused and not sent again: nobody was told
    │   ├── InvalidInput        an argument breaks a documented rule
    │   │   └── NotAddresses    entries are no addresses, and none such was to be left out
    │   ├── ConfigurationError  settings, credentials or environment are wrong or missing
    │   │   └── OtherLimit      a gate file is in use with another limit
    │   ├── ClientClosed        the client is closed, or belongs to another event loop
    │   ├── DeadlineExceeded    the wait would have outlasted the deadline
    │   ├── TokenUnavailable    no token could be had; `cause` says why
    │   ├── JournalError        the file of a job cannot be used
    │   │   └── JobRunning      another process has the job just now
    │   ├── JobStopped          a job ended early; `cause` says why
    │   └── ConnectionFailed    DNS, refused, TLS, proxy or connect timeout
    ├── OutcomeUnknown          sent, and no usable answer came: told or not told
    ├── RefusedByServer         an answer that is not a success
    │   ├── BadRequest          400 and its kin
    │   ├── NotAuthenticated    401, or a 403 that blames the token
    │   ├── NotAllowed          403
    │   ├── NotFound            404
    │   ├── RateLimited         429
    │   └── ServerFailed        5xx; to a POST this is unknown, not rejected
    └── BadResponse             a success whose body is not what the API documents

No error carries a recipient, a message body, a token, a secret or a URL with its query. What a
server repeats of them is taken out of its words, as far as `wire.redaction` says.
All of them pickle.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .outcomes import Concerns as Concerns  # noqa: PLC0414 - all that errors say is had from here
from .outcomes import MoveworksError as MoveworksError  # noqa: PLC0414
from .outcomes import Outcome as Outcome  # noqa: PLC0414

_LOOK_FIRST = "Find out whether it arrived before you send it again"
_UNKNOWN = "It may have been processed or not"


def error_class(name: str) -> type[MoveworksError] | None:
    """The class of this name, as a journal keeps it; None: this version has none."""
    found = globals().get(name)
    ours = isinstance(found, type) and issubclass(found, MoveworksError)
    return found if ours else None


class NotSent(MoveworksError):
    """Nobody was told: it never left this machine, or was refused (a 429) and then given up."""

    remedy = ""
    advice = "Send it to them again"


class InvalidInput(NotSent, ValueError):
    """An argument breaks a rule that the vendor documents. The message names the rule."""

    remedy = "Correct it"
    advice = "Correct it and try again"


class NotAddresses(InvalidInput):
    """Entries of a source are no addresses, and none such was to be left out (`strict`)."""

    advice = "Correct these rows, or leave out --strict, and they are left out"

    def __init__(
        self, message: str, *, attempts: int = 0, count: int = 0, examples: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(message, attempts=attempts)
        #: How many.
        self.count = count
        #: The first of them, each with its `line` and a `reason`.
        self.examples = examples


class ConfigurationError(NotSent, ValueError):
    """Settings, credentials or environment variables are missing or contradict each other."""

    remedy = "Correct the settings"
    advice = "Correct the settings and try again"


class OtherLimit(ConfigurationError):
    """Others use the file of a gate with another limit."""

    def __init__(
        self, message: str, *, attempts: int = 0, requests: int = 0, per: float = 0.0
    ) -> None:
        super().__init__(message, attempts=attempts)
        #: The requests that they may make in `per` seconds.
        self.requests = requests
        self.per = per


class ClientClosed(NotSent):
    """The client is closed, was closed during the wait, or belongs to another event loop."""


class DeadlineExceeded(NotSent):
    """The next wait would have ended after the deadline, so the call ended before it."""

    concerns = Concerns.THIS_LIST
    means = "The time for it was over"

    def __init__(
        self, message: str, *, attempts: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(message, attempts=attempts)
        #: Seconds that the wait would have lasted at least from when this was raised: what a web
        #: handler tells with a 503. None where nobody knows.
        self.retry_after = retry_after


class ConnectionFailed(NotSent):
    """No connection came about: DNS, refused, TLS, proxy or connect timeout."""

    concerns = Concerns.THIS_LIST
    means = "There was no connection to the server"
    remedy = "Check the network, the proxy and the base URL"
    advice: ClassVar[str] = f"{remedy}, then try again"


class TokenUnavailable(NotSent):
    """No token could be had, refused or with no server there, so the call was not sent."""

    means = "No access token was to be had"
    remedy = "Check the credential and the network"
    advice: ClassVar[str] = f"{remedy}, then try again"

    def __init__(
        self,
        message: str,
        *,
        attempts: int = 0,
        cause: MoveworksError | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, attempts=attempts)
        if retry_after is not None:
            self.concerns = Concerns.THIS_LIST
        #: The token request's error; None where no request would help.
        self.cause = cause
        #: Seconds until another token request makes sense; None: it never will.
        self.retry_after = retry_after


class JournalError(NotSent):
    """The file of a job is missing, foreign, damaged or cannot be written. Nothing more is sent."""

    means = "The file may say less than was done"
    advice = ""
    #: The same may work later: its database was away, busy or full.
    passes: bool = False
    # A job may have told many before, so what was not sent is this command's part alone.
    went_out = "This command sent nothing"


class JobRunning(JournalError):
    """Another process runs this job just now."""

    advice = "The command status shows how far it is, stop ends it"


class JobStopped(NotSent):
    """A job ended before its end. What was accepted stays so, and the job can be resumed."""

    advice = "Correct that, then resume the job"
    went_out = "Everything that was accepted stays so"

    def __init__(self, message: str, *, attempts: int = 0, cause: MoveworksError) -> None:
        super().__init__(message, attempts=attempts)
        #: What it met.
        self.cause = cause


class OutcomeUnknown(MoveworksError):
    """The request was sent and no usable answer came: reset, timeout, half an answer, cancelled.

    It is never sent again unless the caller said `on_unknown="resend"`.
    """

    outcome = Outcome.UNKNOWN
    concerns = Concerns.THIS_LIST
    means = "The request left, and no usable answer came"
    advice = _LOOK_FIRST
    went_out = _UNKNOWN


class RefusedByServer(MoveworksError):
    """The server answered, and the answer is not a success.

    By its bare class, the status is one that concerns everybody: a redirect, a 405, a 407.
    """

    outcome = Outcome.REJECTED
    means = "The request was refused"
    went_out = "Nobody was told by it"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | int | None = None,
        attempts: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, attempts=attempts)
        #: HTTP status of the answer.
        self.status = status
        #: The vendor's own code, an open set. It is as it came, but for what it repeats of the
        #: request.
        self.code = code
        #: Seconds the server asked to wait, at most an hour; None where it did not say.
        self.retry_after = retry_after


class BadRequest(RefusedByServer):
    """The server found fault with the request (400 and its kin).

    A 400, 409, 413 or 422 concerns this list, a 408 or 425 this request; a 410, 411, 414, 415 or
    431 would meet everybody.
    """

    means = "The server found fault with the request"
    advice = "Correct what the server names, then try again"

    def __init__(self, message: str, *, status: int, **more: Any) -> None:
        super().__init__(message, status=status, **more)
        # Not processed: RFC 9110, section 15.5.9, and RFC 8470.
        self.unprocessed: bool = status in (408, 425)
        # About this list and its text: RFC 9110, sections 15.5.1, .10, .14 and .21.
        if self.unprocessed or status in (400, 409, 413, 422):
            self.concerns = Concerns.THIS_LIST


class NotAuthenticated(RefusedByServer):
    """The credential was refused: 401, or a 403 that blames the token."""

    means = "The credential was refused"
    remedy = "Check the credential and the base URL"
    advice: ClassVar[str] = f"{remedy}, then try again"


class NotAllowed(RefusedByServer):
    """The credential is known and may not do this (403)."""

    means = "The credential may not do this"
    remedy = "Have the credential allowed to do this"
    advice: ClassVar[str] = f"{remedy}, then try again"


class NotFound(RefusedByServer):
    """The event, the object or the address does not exist (404)."""

    means = "The server does not know the event"
    # A job keeps its event id, so a wrong one needs another job.
    remedy = "If the event id is wrong, plan a new job; if not, check the base URL and the event"
    advice = "Check the ids and the base URL, then try again"


class RateLimited(RefusedByServer):
    """The organisation's quota is spent (429). Nothing was processed."""

    concerns = Concerns.THIS_LIST
    unprocessed = True
    means = "The organisation's requests of the minute were used up"
    remedy = ""
    advice = "Wait, or take a smaller part of the limit with --share, then try again"


class ServerFailed(RefusedByServer):
    """The server broke (5xx). A POST may have been processed, so its outcome is unknown."""

    outcome = Outcome.UNKNOWN
    concerns = Concerns.THIS_LIST
    means = "The server broke while it had the request"
    advice = _LOOK_FIRST
    went_out = _UNKNOWN


class BadResponse(MoveworksError):
    """A success whose body is not what the API documents. It may have been processed."""

    outcome = Outcome.UNKNOWN
    concerns = Concerns.THIS_LIST
    means = "The server's answer was not what it promises"
    advice = _LOOK_FIRST
    went_out = _UNKNOWN
