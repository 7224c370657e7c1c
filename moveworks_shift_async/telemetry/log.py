"""Our own logging, which is one of those who watch.

Each attempt is a line at DEBUG. What goes on for a while, 429s or an outage, is one line at
WARNING when it begins and one at INFO when it is over, however many requests meet it: a program
that logs warnings would else get a line for each 429, twenty a minute and more. What comes and goes
is one episode as well: it is over when a while has passed in which there were answers and nothing
else. The silence of a pause after a 429 is no such while.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import asdict, define, field

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import NotSent, Outcome
from ..limits.window import GateSnapshot
from ..models import Attempt
from ..text import duration, plural
from ..wire.http import Request

logger: logging.Logger = logging.getLogger("moveworks_shift_async")

# One lost answer is its caller's business. Three in a row are an outage for a bulk send as well.
_OUTAGE = 3


@define(eq=False, repr=False)
class Episode:
    """Something that goes on: when it began, how many attempts met it, and when the last one."""

    began: float
    last: float
    attempts: int = 1
    #: Since when there are answers that are well; None: since it was met last there was none.
    calm: float | None = None

    def met(self, now: float) -> None:
        """One more attempt."""
        self.last, self.attempts, self.calm = now, self.attempts + 1, None

    def over(self, now: float, quiet: float) -> bool:
        """One more answer that is well; whether there were no others for so many seconds."""
        self.calm = now if self.calm is None else self.calm
        return now - self.calm >= quiet

    def __str__(self) -> str:
        return f"{plural(self.attempts, 'attempt')} in {duration(self.last - self.began)}"


@define(eq=False, repr=False)
class AttemptLog:
    """Writes the attempts of one client to the logger `moveworks_shift_async`."""

    #: What the gate knows, for the line that says that there are 429s.
    snapshot: Callable[[], GateSnapshot]
    #: Seconds of good answers after which an episode is over: the rate window.
    quiet: float
    clock: Clock = SYSTEM_CLOCK
    _throttled: Episode | None = field(default=None, init=False)
    _unanswered: Episode | None = field(default=None, init=False)

    def __call__(self, attempt: Attempt, _: Request) -> None:
        """One line for the attempt, and one if an episode begins or ends with it."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", _line(attempt), extra=_fields(attempt))
        now = self.clock.now()
        if attempt.status == 429:
            self._throttle(attempt, now)
        elif attempt.status is not None:
            self._calm(attempt, now)
        if attempt.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
            self._answer(attempt, now)
        elif not attempt.cancelled and attempt.error != NotSent.__name__:
            self._miss(attempt, now)

    def _throttle(self, attempt: Attempt, now: float) -> None:
        if self._throttled is not None:
            self._throttled.met(now)
            return
        self._throttled = Episode(now, now)
        logger.warning(
            "%s: HTTP 429, more requests than the server allows: %s",
            attempt.endpoint,
            self.snapshot(),
            extra=_fields(attempt),
        )

    def _calm(self, attempt: Attempt, now: float) -> None:
        over = self._throttled
        if over is not None and over.over(now, self.quiet):
            self._throttled = None
            logger.info("the HTTP 429s are over: %s", over, extra=_fields(attempt))

    def _miss(self, attempt: Attempt, now: float) -> None:
        if self._unanswered is None:
            self._unanswered = Episode(now, now)
            return
        self._unanswered.met(now)
        if self._unanswered.attempts == _OUTAGE:
            logger.warning(
                "%s: %d requests in a row without a usable answer, the last one: %s",
                attempt.endpoint,
                _OUTAGE,
                _end(attempt),
                extra=_fields(attempt),
            )

    def _answer(self, attempt: Attempt, now: float) -> None:
        over = self._unanswered
        if over is None or over.attempts < _OUTAGE:
            self._unanswered = None
        elif over.over(now, self.quiet):
            self._unanswered = None
            logger.info("the server answers again, after %s", over, extra=_fields(attempt))


def _line(attempt: Attempt) -> str:
    parts = [
        f"{attempt.endpoint}, attempt {attempt.number}: {_end(attempt)}",
        f"waited {attempt.waited:.3f} s, took {attempt.duration:.3f} s",
        f"{attempt.recipients} recipients" if attempt.recipients else "",
        "" if attempt.retry_in is None else f"again in {attempt.retry_in:.1f} s",
        "" if attempt.request_id is None else f"request id {attempt.request_id}",
    ]
    return ", ".join(part for part in parts if part)


def _end(attempt: Attempt) -> str:
    answer = "no answer" if attempt.status is None else f"HTTP {attempt.status}"
    reason = "" if attempt.error is None else f" ({attempt.error})"
    return f"{answer}, {attempt.outcome.replace('_', ' ')}{reason}"


def _fields(attempt: Attempt) -> dict[str, object]:
    """For structured logs, with a prefix: `status` or `error` may mean something else there."""
    return {f"moveworks_{name}": value for name, value in asdict(attempt).items()}
