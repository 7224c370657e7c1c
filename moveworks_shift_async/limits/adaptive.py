"""What a 429 teaches. Pure: `now` comes in, seconds go out, nobody waits here.

Theory of operation. A 429 under our own count says one of two things: somebody else spends from
the same budget, or the server dislikes bursts. Both are answered by going on at a pace.

The door. The first 429 of an episode shuts it until a deadline. Then one request goes as a probe.
If that is refused, the next wait is twice as long, up to a window, but never beyond one window
after the first 429: by then the server has forgotten what led to it. If it passes, the door is
open. Whatever was sent before the 429 that shut it belongs to the episode and teaches nothing. A
door that was hardly open was not open: a probe can be lucky, and the episode goes on.

The pace. A 429 met in a burst says little about how much is left for us, so we go on at nearly the
whole budget, but evenly. A 429 met at a pace says more: what was answered in the last window, stops
included, is what the others left us, and the new rate is a little less than that. Of what is in
flight nobody knows yet whether it passed. If even the first episode was long, the server counts a
window and it was full, so the same holds. From there the rate grows by a step that nearly triples
with each clean window: slowly first, while the lesson is likely still true, then fast, for the
others may have gone. It never exceeds the whole budget, which it has reached after `RECOVERY`
windows. After one more clean window *at the whole rate* nobody else can be spending: bursts are
allowed again.
Whoever sends all the time does not burst then, for his slots end as evenly as they began.

Even a burst has a pace: the first few at once, the rest at some multiple of the whole rate. What
is on its way when the first 429 comes back is refused as well, so this bounds what a lesson costs.
"""

from __future__ import annotations

import math

from attrs import define

from .window import CLOCK_SLACK, Quota, Slot

# FALL, GROWTH and the waits were chosen by the worst row of benchmarks/limits. Tried were FALL from
# 0.9 to 0.98, growth of 2 to 20 times a season, and first waits from 1/64 to 1/16 of a window.

# A lesson leaves this part of what we had. With more a rival is refused more often, with 0.98 also
# where it sends evenly.
FALL = 0.95
# ... and at least this part of the rate, so that one strange window does not stop us.
LEAST_FALL = 0.5
# After some clean seasons the rate has grown by GROWTH * (e**seasons - 1) of the budget: by 0.026
# after the first, 0.29 after the third. One lesson a window is a fair price (1 of 120), and must
# not wear the rate down. Half the first step lets a rival that sends 60 at once do that: use on a
# bucket of 10 falls to 0.5. Twice as much a season in place of e times, after a first step of
# 0.03, gives 0.78 of use beside a rival that comes and goes.
GROWTH = 0.015
# Clean seasons after which the rate is whole, however low it was: 4.2.
RECOVERY = math.log1p(1 / GROWTH)
# A season is a window, but at least so many round trips: where answers take as long as windows, a
# lesson costs all that is in flight, so there must be fewer of them.
ROUND_TRIPS = 20
# The first wait is this part of a window (1 s of a minute; doubled 6 times it is the window) ...
FIRST_WAIT = 1 / 64
# ... and at least so many gaps of our pace: a shorter one sets no room free ...
GAPS = 3
# ... and at most this part of a window.
LONGEST_FIRST_WAIT = 1 / 2
# A door that was open for less than this part of a window was hardly open, and the waits go on
# doubling; one that was shut for more was shut by a full window.
CALM = 1 / 8
# A burst spends the budget in 1/30 of the window (2 s of a minute): far from even, yet in a round
# trip of 0.1 s only 1/20 of the budget.
PEAK = 30
# Requests that may start at the same moment: in a burst, so that a few messages need not wait ...
BURST_DEPTH = 10
# ... and at a pace, where a timer that rang late is made up for.
PACED_DEPTH = 2
# Clean windows at the whole rate before bursts are tried again: at first, and at most. Doubled when
# a burst fails again.
LEAST_WINDOWS = 1
MOST_WINDOWS = 16


@define(eq=False)
class Lesson:
    """A pace, a pause and a probe."""

    quota: Quota
    #: Requests a second right after the last lesson; None: nothing learned, bursts are allowed.
    base: float | None = None
    #: When the door was found open after it.
    opened: float = -math.inf
    #: Only a probe may go.
    shut: bool = False
    #: The 429 that shut the door last.
    refused_at: float = -math.inf
    #: Slots held then, this one included.
    refused_used: int = 0
    #: The first 429 of the episode.
    met_at: float = -math.inf
    #: Slots of requests that had been answered then.
    had: int = 0
    pause_until: float = -math.inf
    #: Windows to wait after the next 429 of the episode.
    backoff: float = FIRST_WAIT
    #: The slot id of the probe that is out, and when it started.
    probe: int | None = None
    probed_at: float = -math.inf
    #: When the next request is due if all came evenly.
    due: float = -math.inf
    #: ... and when it may start, some being allowed to come together.
    ready: float = -math.inf
    #: Seconds that the last probe's answer took.
    round_trip: float = 0.0
    #: Clean windows at the whole rate that allow bursts.
    clean_windows: int = LEAST_WINDOWS

    def wait(self, now: float) -> float:
        """Seconds until one more may start, as far as pause, probe and pace are concerned."""
        paused = self.pause_until - now
        if self.shut:
            return max(0.0, paused, self._probe_lost(now))
        return max(0.0, paused, self.ready - now)

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until one may start that has `ahead` others before it."""
        paused = max(0.0, self.pause_until - now)
        if self.shut:
            return paused
        least = max(paused, self.ready - now)
        if not self.paced(now):
            return least
        evenly = (ahead + 1 - PACED_DEPTH) / self.quota.rate
        return max(least, min(evenly, self._bursts_at(now) - now))

    def start(self, slot: Slot) -> None:
        """The request of `slot` goes."""
        if self.shut:
            self.probe, self.probed_at = slot.id, slot.started
        gap = 1 / self.rate(slot.started)
        depth = PACED_DEPTH if self.paced(slot.started) else BURST_DEPTH
        self.due = max(self.due, slot.started) + gap
        self.ready = self.due - (depth - 1) * gap

    def answered(self, slot: Slot, now: float) -> None:
        """An answer that is no 429. The probe's opens the door."""
        if slot.id != self.probe:
            return
        self.probe, self.shut, self.opened = None, False, now
        self.round_trip = now - self.probed_at
        if self.base is not None and self._beyond_calm(self.probed_at - self.met_at):
            left = FALL * self.had / self.quota.per
            self.base = min(self.base, max(LEAST_FALL * self.quota.rate, left))

    def unused(self, slot: Slot) -> None:
        """The request never reached the server; a probe that did not go is nobody's."""
        if slot.id == self.probe:
            self.probe = None

    def refused(
        self, slot: Slot, now: float, retry_after: float | None, used: int, had: int, since: float
    ) -> None:
        """A 429. `used` slots were held, the oldest from `since` on, `had` of them answered."""
        if slot.id == self.probe:
            self.probe = None
            self._pause(now, retry_after)
        elif self.shut or slot.started <= self.refused_at:
            self.pause_until = max(self.pause_until, now + (retry_after or 0.0))
        else:
            self._learn(now, used, had, since)
            self._pause(now, retry_after)

    def rate(self, now: float) -> float:
        """Requests a second that may start now."""
        if not self.paced(now):
            return PEAK * self.quota.rate
        return self._paced_rate(now)

    def paced(self, now: float) -> bool:
        """Whether bursts are not allowed."""
        return self.base is not None and now < self._bursts_at(now)

    def shift(self, seconds: float) -> None:
        """Move every moment: the clock was set."""
        self.opened += seconds
        self.refused_at += seconds
        self.met_at += seconds
        self.pause_until += seconds
        self.probed_at += seconds
        self.due += seconds
        self.ready += seconds

    def _pause(self, now: float, retry_after: float | None) -> None:
        until = self._retry_at(now) if retry_after is None else now + retry_after
        self.pause_until = max(self.pause_until, until)
        self.backoff = min(1.0, 2 * self.backoff)

    def _retry_at(self, now: float) -> float:
        """When to probe; one window after the first 429 the past is in nobody's count any more."""
        until = now + self.backoff * self.quota.per
        turn = self.met_at + self.quota.per * (1 + CLOCK_SLACK)
        return turn if now < turn < until else until

    def _learn(self, now: float, used: int, had: int, since: float) -> None:
        if self._beyond_calm(now - self.opened):
            self.backoff, self.met_at, self.had = self._first_wait(now), now, had
        if self.paced(now):
            rate = self._paced_rate(now)
            left = FALL * had / self._span(now, since)
            self.base = max(LEAST_FALL * rate, min(rate, left))
        else:
            self._lose_patience(now)
            self.base = FALL * self.quota.rate
        self.shut, self.refused_at, self.refused_used = True, now, used
        self.due = self.ready = now

    def _first_wait(self, now: float) -> float:
        rate = min(self.rate(now), self.quota.rate)
        part = max(GAPS / rate, self.round_trip) / self.quota.per
        return min(LONGEST_FIRST_WAIT, max(FIRST_WAIT, part))

    def _span(self, now: float, since: float) -> float:
        """Seconds in which the slots held were used: a window, or since we began."""
        began = min(since, self.refused_at)
        return min(self.quota.per, max(now - began, FIRST_WAIT * self.quota.per))

    def _beyond_calm(self, seconds: float) -> bool:
        return seconds > CALM * self.quota.per

    def _lose_patience(self, now: float) -> None:
        if self.base is None or now - self._bursts_at(now) > MOST_WINDOWS * self.quota.per:
            self.clean_windows = LEAST_WINDOWS
        else:
            self.clean_windows = min(MOST_WINDOWS, 2 * self.clean_windows)

    def _paced_rate(self, now: float) -> float:
        whole, base = self.quota.rate, self.base or self.quota.rate
        clean = 0.0 if self.shut else min(RECOVERY, (now - self.opened) / self._season())
        return min(whole, base + whole * GROWTH * math.expm1(clean))

    def _bursts_at(self, now: float) -> float:
        """When bursts are allowed again, if nothing happens."""
        clean = RECOVERY + self.clean_windows
        return (now if self.shut else self.opened) + clean * self._season()

    def _season(self) -> float:
        return max(self.quota.per, ROUND_TRIPS * self.round_trip)

    def _probe_lost(self, now: float) -> float:
        """Seconds until a probe that was not answered is taken for lost."""
        return 0.0 if self.probe is None else self.probed_at + self.quota.per - now
