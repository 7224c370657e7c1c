"""When to go on, when to wait, when to stop: one circuit breaker for streams and jobs. Pure.

Theory of operation. The breaker hears how each request of a send has ended.

- What concerns everybody (`MoveworksError.concerns`) ends the send: after what is in flight, no
  request of it leaves any more.
- Three requests without a usable answer, and none accepted between them, open the circuit. The
  next ones would meet the same, and each that leaves may make 500 more people unknown. A 429 does
  not count: the gate has its own breaker for that.

For a stream an open circuit is the end. A job waits: a health check (`auth test`, which tells
nobody) asks ever more rarely whether the server is there. Once it is answered, or a request that
left before is accepted, the circuit is half-open: one chunk at a time goes as a probe, and the
first that is accepted closes it. Three probes without a usable answer end the job, and so do two
hours without a server.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import define, field

from ..errors import (
    Concerns,
    MoveworksError,
    NotAuthenticated,
    Outcome,
    RateLimited,
    RefusedByServer,
)
from ..limits.circuit import Circuit

# Requests without a usable answer before one is accepted: one is bad luck, two are a bad moment.
FAILURES = 3
# Probes that may end so one after another although the health check had just been answered.
PROBES = 3
# Seconds between two health checks: doubling, as everywhere, but never so rare that more than a
# minute is lost.
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
# Seconds. An hour without a network is a thing that happens; after two somebody should look.
SECONDS_WITHOUT_SERVER = 7200.0


class _Event(enum.Enum):
    #: A request was accepted, but for a probe.
    ACCEPTED = enum.auto()
    PROBE_ACCEPTED = enum.auto()
    #: A request had no usable answer, `FAILURES` of them by now.
    FAILED = enum.auto()
    HEALTH_CHECK_ANSWERED = enum.auto()


# Any other event leaves the circuit as it is. What is accepted while it is open had left before:
# the server was there, but whether it takes the next one, a probe must show.
_NEXT: Mapping[tuple[Circuit, _Event], Circuit] = {
    (Circuit.CLOSED, _Event.FAILED): Circuit.OPEN,
    (Circuit.OPEN, _Event.ACCEPTED): Circuit.HALF_OPEN,
    (Circuit.OPEN, _Event.HEALTH_CHECK_ANSWERED): Circuit.HALF_OPEN,
    (Circuit.HALF_OPEN, _Event.FAILED): Circuit.OPEN,
    (Circuit.HALF_OPEN, _Event.PROBE_ACCEPTED): Circuit.CLOSED,
}


def chunk_outcome(error: MoveworksError | None) -> Outcome:
    """What this end of a request says about its chunk, where another request may follow.

    Rejected is only what was refused for its own list; not sent may be accepted later.
    """
    if error is None:
        return Outcome.ACCEPTED
    refused = error.outcome is Outcome.REJECTED
    if refused and (error.unprocessed or error.concerns is Concerns.EVERYBODY):
        return Outcome.NOT_SENT
    return error.outcome


def _has_no_usable_answer(error: MoveworksError) -> bool:
    throttled = isinstance(error, RateLimited)
    return not throttled and chunk_outcome(error) is not Outcome.REJECTED


def _somebody_is_there(error: MoveworksError) -> bool:
    """A refusal is an answer; whether a message meets the same, a message must show."""
    refused = isinstance(error, RefusedByServer) and error.outcome is Outcome.REJECTED
    return refused and not isinstance(error, NotAuthenticated)


@define(eq=False)
class Breaker:
    """Whether the next chunk may start."""

    circuit: Circuit = field(default=Circuit.CLOSED, init=False)
    #: When it opened; None while it is closed.
    since: float | None = field(default=None, init=False)
    #: What opened it, in the words of the last error.
    reason: str = field(default="", init=False)
    #: Why no chunk may start any more; None: one may, now or later.
    given_up: MoveworksError | None = field(default=None, init=False)
    #: Requests without a usable answer, and probes among them, since one was accepted.
    _failures: int = field(default=0, init=False)
    _failed_probes: int = field(default=0, init=False)
    #: The chunk that started last is a probe. No other is under way then.
    _probing: bool = field(default=False, init=False)
    _health_checks: int = field(default=0, init=False)

    @property
    def why_open(self) -> str:
        """What to say where nobody waits until it closes."""
        return f"{FAILURES} requests in a row had no usable answer; the last: {self.reason}"

    def may_start(self, under_way: int) -> bool:
        """Whether one more chunk may start while so many are under way."""
        probe = self.circuit is Circuit.HALF_OPEN and not under_way
        return self.given_up is None and (self.circuit is Circuit.CLOSED or probe)

    def started(self) -> None:
        """A chunk has started."""
        self._probing = self.circuit is Circuit.HALF_OPEN

    def met(self, error: MoveworksError | None, now: float) -> None:
        """A chunk's request has ended."""
        if error is None:
            self._go(_Event.PROBE_ACCEPTED if self._probing else _Event.ACCEPTED)
        elif error.concerns is Concerns.EVERYBODY:
            self._give_up(error)
        elif _has_no_usable_answer(error):
            self._failed(error, now)

    def health_check_in(self) -> float | None:
        """Seconds until the next health check; None: none is due."""
        if self.circuit is not Circuit.OPEN:
            return None
        return float(min(FIRST_BACKOFF * 2**self._health_checks, LONGEST_BACKOFF))

    def health_checked(self, error: MoveworksError | None, now: float) -> None:
        """The health check was answered, or not."""
        if self.since is None or self.circuit is not Circuit.OPEN:
            return  # a request in flight was accepted meanwhile
        if error is None or _somebody_is_there(error):
            self._go(_Event.HEALTH_CHECK_ANSWERED)
        elif error.concerns is Concerns.EVERYBODY or now - self.since > SECONDS_WITHOUT_SERVER:
            self._give_up(error)
        else:
            self._health_checks += 1
            self.reason = str(error)

    def rested(self, since: float, now: float) -> None:
        """Nothing was to be sent between these moments, which says nothing about the server."""
        if self.since is not None:
            self.since += now - max(since, self.since)  # what was in flight may have opened it

    def _go(self, event: _Event) -> None:
        self.circuit = _NEXT.get((self.circuit, event), self.circuit)
        if self.circuit is Circuit.CLOSED:
            self.since, self.reason, self._probing = None, "", False
            self._failures = self._failed_probes = self._health_checks = 0

    def _failed(self, error: MoveworksError, now: float) -> None:
        self._failures += 1
        self._failed_probes += self._probing
        if self._failures < FAILURES:
            return
        self._go(_Event.FAILED)
        self.since = now if self.since is None else self.since
        self.reason, self._probing = str(error), False
        # It may answer health checks all the same, and take no message.
        if self._failed_probes >= PROBES or now - self.since > SECONDS_WITHOUT_SERVER:
            self._give_up(error)

    def _give_up(self, error: MoveworksError) -> None:
        self.given_up, self.reason = self.given_up or error, str(error)
