"""What one request's end means for its chunk and for the rest of the job. Pure.

Theory of operation. A chunk that was not told goes back among the planned ones. What holds for
all chunks (no right to send, an unknown event, a full disk) stops the job. The rest is weather:

- No connection, or no token for now: nobody was told. The job waits.
- A refused credential, with a new token, too: nobody was told. Tokens may have ended twice in a
  row, so the job waits for the question below; if that is refused as well, the job stops.
- Three requests without a usable answer, and none accepted between them: each makes 500 people
  unknown, so the job waits as well, before it makes more of them.

While it waits, a harmless request (`auth test`) asks ever more rarely whether the server is there.
Once it is, one chunk at a time goes, until one is accepted; then all go on. Three such chunks that
end unknown, or are refused for the credential, stop the job, and so do two hours without a server.
"""

from __future__ import annotations

import enum

from attrs import define

from ..errors import (
    BadRequest,
    ConnectionFailed,
    MoveworksError,
    NotAuthenticated,
    Outcome,
    RateLimited,
    RefusedByServer,
    TokenUnavailable,
)

# Requests that may end unknown before one is accepted: one is bad luck, two are a bad moment.
STRIKES = 3
# Chunks that may end so one after another although the server had just answered the question.
TRIALS = 3
# Seconds between two questions whether the server is there: doubling, as everywhere, but never so
# rare that a minute is lost.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
# Seconds. An hour without a network is a thing that happens; after two somebody should look.
PATIENCE = 7200.0


# Statuses that are about this list and its text (RFC 9110, sections 15.5.1, .10, .14 and .21).
_OF_THE_CONTENT = (400, 409, 413, 422)
# The server says that it did not process the request: RFC 9110, section 15.5.9, and RFC 8470.
_NOT_PROCESSED = (408, 425)


class Verdict(enum.Enum):
    """What becomes of the chunk."""

    ACCEPTED = enum.auto()
    REJECTED = enum.auto()
    UNKNOWN = enum.auto()
    #: Nobody was told; it goes back among the planned ones.
    AGAIN = enum.auto()
    #: The same, and what was met holds for all others too.
    STOP = enum.auto()


def judge(error: MoveworksError | None) -> Verdict:
    """What the end of one request says about its chunk."""
    if error is None:
        return Verdict.ACCEPTED
    if error.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    again = (RateLimited, ConnectionFailed, NotAuthenticated)
    if isinstance(error, again) or _token_will_come(error):
        return Verdict.AGAIN
    if isinstance(error, BadRequest) and error.status in _NOT_PROCESSED:
        return Verdict.AGAIN
    if isinstance(error, BadRequest) and error.status in _OF_THE_CONTENT:
        return Verdict.REJECTED
    # A redirect, a 405 or a 410 says that messages go elsewhere. To call everybody rejected for it
    # could not be taken back.
    return Verdict.STOP


def _token_will_come(error: MoveworksError) -> bool:
    return isinstance(error, TokenUnavailable) and error.retry_after is not None


def _somebody_is_there(error: MoveworksError) -> bool:
    """A refusal is an answer; whether a message meets the same, a message must show."""
    refused = isinstance(error, RefusedByServer) and error.outcome is Outcome.REJECTED
    return refused and not isinstance(error, NotAuthenticated)


def _is_final(error: MoveworksError) -> bool:
    return isinstance(error, NotAuthenticated) or judge(error) is Verdict.STOP


@define(eq=False)
class Trouble:
    """Whether the next chunk may start."""

    #: Since when the job waits for the server; None while it does not.
    since: float | None = None
    #: What it waits for, in the words of the last error.
    reason: str = ""
    #: The server is there again; one chunk goes first.
    half_open: bool = False
    #: Why the job must stop; None: it need not.
    hopeless: MoveworksError | None = None
    _unknown: int = 0
    _trials: int = 0
    #: The one chunk that goes first is under way.
    _trying: bool = False
    _questions: int = 0

    def may_start(self, under_way: int) -> bool:
        """Whether one more chunk may start while so many are under way."""
        return self.since is None or (self.half_open and not under_way)

    def started(self) -> None:
        """A chunk has started."""
        self._trying = self.half_open

    def met(self, error: MoveworksError | None, now: float) -> None:
        """A chunk's request has ended."""
        verdict = judge(error)
        if verdict is Verdict.ACCEPTED:
            self._clear()
        elif error is not None and verdict is Verdict.UNKNOWN:
            self._strike(error, now)
        elif error is not None and verdict is Verdict.AGAIN and not isinstance(error, RateLimited):
            if isinstance(error, NotAuthenticated):
                self._count_trial(error)
            self._wait(error, now)

    def question_in(self) -> float | None:
        """Seconds until the next harmless question; None: none is due."""
        if self.since is None or self.half_open:
            return None
        return float(min(FIRST_WAIT * 2**self._questions, LONGEST_WAIT))

    def asked(self, error: MoveworksError | None, now: float) -> None:
        """The harmless question was answered, or not."""
        if self.since is None:  # a request in flight was accepted meanwhile
            return
        if error is None or _somebody_is_there(error):
            self.half_open = True
        elif _is_final(error) or now - self.since > PATIENCE:
            self.hopeless = error
        else:
            self._questions += 1
            self.reason = str(error)

    def _strike(self, error: MoveworksError, now: float) -> None:
        self._unknown += 1
        self._count_trial(error)
        if self.half_open or self._unknown >= STRIKES:
            self._wait(error, now)

    def _count_trial(self, error: MoveworksError) -> None:
        self._trials += self._trying
        if self._trials >= TRIALS:
            self.hopeless = error

    def _wait(self, error: MoveworksError, now: float) -> None:
        self.since = now if self.since is None else self.since
        if now - self.since > PATIENCE:  # it answers questions and takes no message
            self.hopeless = error
        self.reason = str(error)
        self.half_open = self._trying = False

    def _clear(self) -> None:
        self.since, self.reason, self.half_open = None, "", False
        self._unknown = self._trials = self._questions = 0
        self._trying = False
