"""When to go on, when to wait, when to stop: one circuit breaker for streams and jobs. Pure.

Theory of operation. The breaker hears how each request of a send has ended.

- What concerns everybody (`MoveworksError.concerns`) ends the send: after what is in flight, no
  request of it leaves any more.
- Three requests without a usable answer, and none accepted between them, open the breaker. The
  next ones would meet the same, and each that leaves may make 500 more people unknown. A 429 does
  not count: the gate has it in hand.

For a stream an open breaker is the end. A job waits: a harmless request (`auth test`) asks ever
more rarely whether the server is there. Once it answers, or a request that left before is accepted,
the breaker is half-open: one chunk at a time goes, until one is accepted, which closes the breaker.
Three such chunks without a usable answer end the job, and so do two hours without a server.
"""

from __future__ import annotations

import enum

from attrs import define

from ..errors import (
    Concerns,
    MoveworksError,
    NotAuthenticated,
    Outcome,
    RateLimited,
    RefusedByServer,
)

# Requests without a usable answer before one is accepted: one is bad luck, two are a bad moment.
STRIKES = 3
# Chunks that may end so one after another although the server had just answered the question.
TRIALS = 3
# Seconds between two questions whether the server is there: doubling, as everywhere, but never so
# rare that a minute is lost.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
# Seconds. An hour without a network is a thing that happens; after two somebody should look.
SECONDS_WITHOUT_SERVER = 7200.0


class Verdict(enum.Enum):
    """What the end of one request says about its chunk."""

    ACCEPTED = enum.auto()
    REJECTED = enum.auto()
    UNKNOWN = enum.auto()
    #: Nobody was told, and the same request may be accepted later.
    AGAIN = enum.auto()
    #: Nobody was told, and what was met holds for all others too.
    STOP = enum.auto()


def judge(error: MoveworksError | None) -> Verdict:
    """What this end of a request says about its chunk."""
    if error is None:
        return Verdict.ACCEPTED
    if error.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    if error.concerns is Concerns.EVERYBODY:
        return Verdict.STOP
    again = error.outcome is Outcome.NOT_SENT or error.unprocessed
    return Verdict.AGAIN if again else Verdict.REJECTED


def _has_no_usable_answer(error: MoveworksError) -> bool:
    return judge(error) is not Verdict.REJECTED and not isinstance(error, RateLimited)


def _somebody_is_there(error: MoveworksError) -> bool:
    """A refusal is an answer; whether a message meets the same, a message must show."""
    refused = isinstance(error, RefusedByServer) and error.outcome is Outcome.REJECTED
    return refused and not isinstance(error, NotAuthenticated)


@define(eq=False)
class Breaker:
    """Whether the next chunk may start."""

    #: When it opened; None while it is closed.
    since: float | None = None
    #: What opened it, in the words of the last error.
    reason: str = ""
    #: The server answers again; one chunk goes first.
    half_open: bool = False
    #: Why no chunk may start any more; None: one may, now or later.
    given_up: MoveworksError | None = None
    _strikes: int = 0
    _trials: int = 0
    #: The one chunk that goes first is under way.
    _trying: bool = False
    _questions: int = 0

    @property
    def closed(self) -> bool:
        """Whether all may start."""
        return self.since is None and self.given_up is None

    def may_start(self, under_way: int) -> bool:
        """Whether one more chunk may start while so many are under way."""
        alone = self.half_open and not under_way
        return self.closed or (alone and self.given_up is None)

    def started(self) -> None:
        """A chunk has started."""
        self._trying = self.half_open

    def met(self, error: MoveworksError | None, now: float) -> None:
        """A chunk's request has ended."""
        if error is None:
            self._accepted()
        elif error.concerns is Concerns.EVERYBODY:
            self._give_up(error)
        elif _has_no_usable_answer(error):
            self._strike(error, now)

    def question_in(self) -> float | None:
        """Seconds until the next harmless question; None: none is due."""
        if self.since is None or self.half_open:
            return None
        return float(min(FIRST_WAIT * 2**self._questions, LONGEST_WAIT))

    def asked(self, error: MoveworksError | None, now: float) -> None:
        """The harmless question was answered, or not."""
        if self.since is None or self.half_open:  # a request in flight was accepted meanwhile
            return
        if error is None or _somebody_is_there(error):
            self.half_open = True
        elif error.concerns is Concerns.EVERYBODY or now - self.since > SECONDS_WITHOUT_SERVER:
            self._give_up(error)
        else:
            self._questions += 1
            self.reason = str(error)

    def _accepted(self) -> None:
        if self.since is None or self._trying:
            self._close()
        else:  # it left before the others failed; whether the next is taken, one must show
            self.half_open = True

    def _strike(self, error: MoveworksError, now: float) -> None:
        self._strikes += 1
        self._trials += self._trying
        if self._trials >= TRIALS:
            self._give_up(error)
        if self.half_open or self._strikes >= STRIKES:
            self._open(error, now)

    def _open(self, error: MoveworksError, now: float) -> None:
        self.since = now if self.since is None else self.since
        if now - self.since > SECONDS_WITHOUT_SERVER:  # it answers questions and takes no message
            self._give_up(error)
        self.reason = str(error)
        self.half_open = self._trying = False

    def _close(self) -> None:
        self.since, self.reason, self.half_open = None, "", False
        self._strikes = self._trials = self._questions = 0
        self._trying = False

    def _give_up(self, error: MoveworksError) -> None:
        self.given_up, self.reason = self.given_up or error, str(error)
