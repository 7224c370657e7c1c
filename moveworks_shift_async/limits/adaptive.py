"""The rate after a 429, and the circuit breaker of a gate. Pure: `now` comes in, seconds go out.

Theory of operation. A 429 under our own count says one of two things: somebody else spends from
the same budget, or the server dislikes bursts. Both are answered by going on at a pace.

The circuit breaker. The first 429 of an episode opens the circuit until a deadline; then it is
half-open, and one request goes as a probe. If that is refused, the circuit is open for twice as
long (backoff), up to a window, but never beyond one window after the first 429: by then the server
counts nothing any more of what led to it. If the probe passes, the circuit is closed. A 429 for
what was sent before the circuit opened belongs to the same episode and changes no rate. A 429 soon
after the circuit closed continues the episode and its backoff, for one probe can pass by luck.

The pace. A 429 met in a burst says little about how much is left for us, so we go on at nearly the
whole budget, but evenly. A 429 met at a pace says more: what was answered in the last window, the
time without requests included, is what the others left us, and the new rate is a little less than
that. What is in flight is not counted, since it may be refused as well. If even the first episode
was long, the server counts a window and it was full, so the same holds. From there the rate grows
by a step that nearly triples with each clean window: slowly first, while what was learned is
likely still true, then fast, for the others may have gone. It never exceeds the whole budget,
which it has reached after `RECOVERY` windows. After one more clean window *at the whole rate*
nobody else can be spending: bursts are allowed again. Whoever sends all the time does not burst
then, for his slots end as evenly as they began.

Even a burst has a pace: the first few at once, the rest at some multiple of the whole rate. What
is on its way when the first 429 comes back is refused as well, so this bounds what a 429 costs.
"""

from __future__ import annotations

import math

from attrs import define

from .circuit import Circuit
from .window import CLOCK_SLACK, Quota, Slot

# DECREASE, GROWTH and the backoff were chosen by the worst row of benchmarks/limits. Tried were
# DECREASE from 0.9 to 0.98, growth of 2 to 20 times a period, and first backoffs from 1/64 to 1/16
# of a window.

# A 429 leaves this part of what we had. With more, somebody else who sends is refused more often,
# with 0.98 also where he sends evenly.
DECREASE = 0.95
# ... and at least this part of the rate, so that one strange window does not stop us.
DEEPEST_DECREASE = 0.5
# After some clean periods the rate has grown by GROWTH * (e**periods - 1) of the budget: by 0.026
# after the first, 0.29 after the third. One 429 a window is a fair price (1 of 120), and must not
# wear the rate down. Half the first step lets somebody who sends 60 at once do that: use on a
# bucket of 10 falls to 0.5. Twice as much a period in place of e times, after a first step of
# 0.03, gives 0.78 of use beside somebody who comes and goes.
GROWTH = 0.015
# Clean periods after which the rate is whole, however low it was: 4.2.
RECOVERY = math.log1p(1 / GROWTH)
# A period is a window, but at least so many round trips: where answers take as long as windows, a
# 429 costs all that is in flight, so there must be fewer of them.
ROUND_TRIPS = 20
# The first backoff is this part of a window (1 s of a minute; doubled 6 times it is the window) ...
FIRST_BACKOFF = 1 / 64
# ... and at least so many gaps of our pace: in a shorter one no slot of the server becomes free ...
GAPS = 3
# ... and at most this part of a window.
LONGEST_FIRST_BACKOFF = 1 / 2
# A 429 within this part of a window after the circuit closed is of the same episode: the backoff
# goes on doubling. An episode that lasted longer met a full window.
SAME_EPISODE = 1 / 8
# A burst spends the budget in 1/30 of the window (2 s of a minute): far from even, yet in a round
# trip of 0.1 s only 1/20 of the budget.
BURST_SPEED = 30
# Requests that may start at the same moment: in a burst, so that a few messages need not wait ...
BURST_DEPTH = 10
# ... and at a pace, where a timer that rang late is made up for.
PACED_DEPTH = 2
# Clean periods at the whole rate before bursts are tried again: at first, and at most. Doubled when
# a burst fails again.
LEAST_CLEAN_PERIODS = 1
MOST_CLEAN_PERIODS = 16


@define(eq=False)
class AdaptiveRate:
    """A rate that falls with a 429 and grows without, and the breaker that a 429 opens."""

    quota: Quota
    #: Requests a second right after the last 429; None: none was met, bursts are allowed.
    base: float | None = None
    #: When the circuit closed after it.
    closed_at: float = -math.inf
    #: The circuit is open, or half-open once the pause is over: only a probe may go.
    tripped: bool = False
    #: The 429 that opened the circuit last.
    refused_at: float = -math.inf
    #: Slots held then, this one included.
    refused_used: int = 0
    #: The first 429 of the episode.
    episode_began: float = -math.inf
    #: Slots of requests that had been answered then.
    ended_then: int = 0
    pause_until: float = -math.inf
    #: Windows to wait after the next 429 of the episode.
    backoff: float = FIRST_BACKOFF
    #: The slot id of the probe that is out, and when it started.
    probe: int | None = None
    probed_at: float = -math.inf
    #: When the next request is due if all came evenly.
    due: float = -math.inf
    #: ... and when it may start, some being allowed to come together.
    ready: float = -math.inf
    #: Seconds that the last probe's answer took.
    round_trip: float = 0.0
    #: Clean periods at the whole rate that allow bursts.
    clean_periods: int = LEAST_CLEAN_PERIODS

    def circuit(self, now: float) -> Circuit:
        """Whether all may start, none, or a probe."""
        if now < self.pause_until:
            return Circuit.OPEN
        return Circuit.HALF_OPEN if self.tripped else Circuit.CLOSED

    def wait(self, now: float) -> float:
        """Seconds until one more may start, as far as pause, probe and pace are concerned."""
        paused = self.pause_until - now
        if self.tripped:
            return max(0.0, paused, self._probe_lost(now))
        return max(0.0, paused, self.ready - now)

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until one may start that has `ahead` others before it."""
        paused = max(0.0, self.pause_until - now)
        if self.tripped:
            return paused
        least = max(paused, self.ready - now)
        if not self.paced(now):
            return least
        evenly = (ahead + 1 - PACED_DEPTH) / self.quota.rate
        return max(least, min(evenly, self._bursts_at(now) - now))

    def start(self, slot: Slot) -> None:
        """The request of `slot` goes."""
        if self.tripped:
            self.probe, self.probed_at = slot.id, slot.started
        gap = 1 / self.rate(slot.started)
        depth = PACED_DEPTH if self.paced(slot.started) else BURST_DEPTH
        self.due = max(self.due, slot.started) + gap
        self.ready = self.due - (depth - 1) * gap

    def answered(self, slot: Slot, now: float) -> None:
        """An answer that is no 429. The probe's closes the circuit."""
        if slot.id != self.probe:
            return
        self.probe, self.tripped, self.closed_at = None, False, now
        self.round_trip = now - self.probed_at
        if self.base is not None and self._outlasts_episode(self.probed_at - self.episode_began):
            left = DECREASE * self.ended_then / self.quota.per
            self.base = min(self.base, max(DEEPEST_DECREASE * self.quota.rate, left))

    def unused(self, slot: Slot) -> None:
        """The request never reached the server: if it was the probe, another one may go."""
        if slot.id == self.probe:
            self.probe = None

    def refused(
        self, slot: Slot, now: float, retry_after: float | None, used: int, ended: int, since: float
    ) -> None:
        """A 429. `used` slots were held, the oldest from `since` on, `ended` of them answered."""
        if slot.id == self.probe:
            self.probe = None
            self._pause(now, retry_after)
        elif self.tripped or slot.started <= self.refused_at:
            self.pause_until = max(self.pause_until, now + (retry_after or 0.0))
        else:
            self._trip(now, used, ended, since)
            self._pause(now, retry_after)

    def rate(self, now: float) -> float:
        """Requests a second that may start now."""
        if not self.paced(now):
            return BURST_SPEED * self.quota.rate
        return self._paced_rate(now)

    def paced(self, now: float) -> bool:
        """Whether bursts are not allowed."""
        return self.base is not None and now < self._bursts_at(now)

    def shift(self, seconds: float) -> None:
        """Move every moment: the clock was set."""
        self.closed_at += seconds
        self.refused_at += seconds
        self.episode_began += seconds
        self.pause_until += seconds
        self.probed_at += seconds
        self.due += seconds
        self.ready += seconds

    def _pause(self, now: float, retry_after: float | None) -> None:
        until = self._probe_at(now) if retry_after is None else now + retry_after
        self.pause_until = max(self.pause_until, until)
        self.backoff = min(1.0, 2 * self.backoff)

    def _probe_at(self, now: float) -> float:
        """When to probe; one window after the first 429 nothing before it is counted any more."""
        until = now + self.backoff * self.quota.per
        turn = self.episode_began + self.quota.per * (1 + CLOCK_SLACK)
        return turn if now < turn < until else until

    def _trip(self, now: float, used: int, ended: int, since: float) -> None:
        if self._outlasts_episode(now - self.closed_at):
            self.backoff = self._first_backoff(now)
            self.episode_began, self.ended_then = now, ended
        if self.paced(now):
            rate = self._paced_rate(now)
            left = DECREASE * ended / self._span(now, since)
            self.base = max(DEEPEST_DECREASE * rate, min(rate, left))
        else:
            self._delay_bursts(now)
            self.base = DECREASE * self.quota.rate
        self.tripped, self.refused_at, self.refused_used = True, now, used
        self.due = self.ready = now

    def _first_backoff(self, now: float) -> float:
        rate = min(self.rate(now), self.quota.rate)
        part = max(GAPS / rate, self.round_trip) / self.quota.per
        return min(LONGEST_FIRST_BACKOFF, max(FIRST_BACKOFF, part))

    def _span(self, now: float, since: float) -> float:
        """Seconds in which the slots held were used: a window, or since we began."""
        began = min(since, self.refused_at)
        return min(self.quota.per, max(now - began, FIRST_BACKOFF * self.quota.per))

    def _outlasts_episode(self, seconds: float) -> bool:
        return seconds > SAME_EPISODE * self.quota.per

    def _delay_bursts(self, now: float) -> None:
        """A burst has failed: the sooner after bursts were allowed, the later they are again."""
        most = MOST_CLEAN_PERIODS
        if self.base is None or now - self._bursts_at(now) > most * self.quota.per:
            self.clean_periods = LEAST_CLEAN_PERIODS
        else:
            self.clean_periods = min(most, 2 * self.clean_periods)

    def _paced_rate(self, now: float) -> float:
        whole, base = self.quota.rate, self.base or self.quota.rate
        clean = 0.0 if self.tripped else min(RECOVERY, (now - self.closed_at) / self._period())
        return min(whole, base + whole * GROWTH * math.expm1(clean))

    def _bursts_at(self, now: float) -> float:
        """When bursts are allowed again, if nothing happens."""
        clean = RECOVERY + self.clean_periods
        return (now if self.tripped else self.closed_at) + clean * self._period()

    def _period(self) -> float:
        """Seconds in which the rate grows by one step."""
        return max(self.quota.per, ROUND_TRIPS * self.round_trip)

    def _probe_lost(self, now: float) -> float:
        """Seconds until a probe that was not answered is taken for lost."""
        return 0.0 if self.probe is None else self.probed_at + self.quota.per - now
