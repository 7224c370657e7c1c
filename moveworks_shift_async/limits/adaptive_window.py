"""The arithmetic of a gate: the slots of a window, and the rate that a 429 leaves.

Pure: `now` comes in, seconds go out. All of the state is plain numbers, `state` gives them and
`restored` takes them, so that a gate can be kept in a file and shared by processes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Any

from attrs import asdict, define

from .adaptive import AdaptiveRate
from .circuit import Circuit
from .window import CLOCK_SLACK, GateSnapshot, Mode, Quota, SlidingWindow, Slot


@define(eq=False, repr=False)
class AdaptiveWindow:
    """One budget, and what is known of its server.

    Times are seconds of one clock that never goes back: of two that were read in one order and come
    in the other, the later is meant. A clock that may be set back is heeded by `follow` alone.
    """

    quota: Quota
    window: SlidingWindow
    adaptive: AdaptiveRate
    #: The latest moment seen.
    seen: float = -math.inf

    @classmethod
    def of(cls, budget: int, per: float, max_in_flight: int) -> AdaptiveWindow:
        """One that has sent nothing and knows nothing."""
        quota = Quota(budget, per, max_in_flight)
        return cls(quota, SlidingWindow(quota), AdaptiveRate(quota))

    def wait(self, now: float) -> float:
        """Seconds until one more request may start; infinite while only an answer can tell."""
        now = self._see(now)
        return max(self.window.wait(now), self.adaptive.wait(now))

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a request may start that has `ahead` others before it."""
        now = self._see(now)
        return max(self.window.least_wait(now, ahead), self.adaptive.least_wait(now, ahead))

    def start(self, now: float) -> Slot:
        """Take a slot. Only when `wait` has said 0."""
        slot = self.window.start(self._see(now))
        self.adaptive.start(slot)
        return slot

    def answered(self, slot: Slot, now: float) -> None:
        """The request has ended, not in a 429, and the server may have counted it."""
        now = self._see(now)
        if self.window.answered(slot, now):
            self.adaptive.answered(slot, now)

    def refused(self, slot: Slot, now: float, retry_after: float | None = None) -> None:
        """The request ended in a 429. `retry_after` is the seconds the server asked for."""
        now = self._see(now)
        used, since = self.window.held(now)
        ended = used - self.window.in_flight
        if self.window.answered(slot, now):
            self.adaptive.refused(slot, now, retry_after, used, ended, since)

    def unused(self, slot: Slot, now: float) -> None:
        """The request never reached the server: the slot is free at once."""
        self._see(now)
        self.window.unused(slot)
        self.adaptive.unused(slot)

    def observed(self, counted_at: Iterable[float], now: float) -> None:
        """Requests that others know of, by the latest moments at which the server counted them."""
        now, before = self._see(now), now
        self.window.observed([time + (now - before) for time in counted_at], now)

    def hold(self, slot: Slot, now: float) -> None:
        """The request of the slot is in flight, whatever was forgotten of it."""
        self.window.hold(slot, self._see(now))

    def fill(self, now: float) -> None:
        """What was sent up to now may be forgotten: full for one window.

        No number of a slot that may be forgotten is given again: they go on at the time in ms.
        """
        self.observed([now] * self.quota.budget, now)
        self.window.last_id = max(self.window.last_id, int(now * 1000))

    def lost(self, slot: Slot, now: float) -> None:
        """Whoever had the slot is gone: the server may have counted it; the rate stays."""
        self.adaptive.unused(slot)
        self.window.answered(slot, self._see(now))

    def retune(self, quota: Quota) -> None:
        """Go on with another budget; what was spent and the rate stay."""
        self.quota = self.window.quota = self.adaptive.quota = quota

    def snapshot(self, now: float) -> GateSnapshot:
        """What is known now."""
        next_in, now = self.wait(now), self._see(now)
        return GateSnapshot(
            budget=self.quota.budget,
            used=self.window.used,
            in_flight=self.window.in_flight,
            next_in=next_in,
            paused_for=max(0.0, self.adaptive.pause_until - now),
            mode=self._mode(now),
            rate=min(self.quota.rate, self.adaptive.rate(now)),
            why=self._why(now),
            per=self.window.outlives,
            ends=tuple(self.window.ends_in(now)),
        )

    def state(self) -> dict[str, Any]:
        """Everything but the quota, as finite numbers, lists and dicts, for JSON."""
        adaptive = asdict(self.adaptive, filter=lambda field, value: field.name != "quota")
        return {
            "flying": [[key, started] for key, started in self.window.flying.items()],
            "answered": _as_steps(self.window.answered_at),
            "last_id": self.window.last_id,
            "stands_for": [[key, time] for key, time in self.window.stands_for.items()],
            "seen": self.seen if math.isfinite(self.seen) else None,
            "adaptive": {name: v for name, v in adaptive.items() if v is None or math.isfinite(v)},
        }

    @classmethod
    def restored(cls, quota: Quota, state: dict[str, Any]) -> AdaptiveWindow:
        """The one whose `state` this was, requests in flight included."""
        window = SlidingWindow(
            quota,
            dict(state["flying"]),
            deque(_from_steps(state["answered"])),
            state["last_id"],
            dict(state["stands_for"]),
        )
        seen = -math.inf if state["seen"] is None else state["seen"]
        return cls(quota, window, AdaptiveRate(quota, **state["adaptive"]), seen)

    def _mode(self, now: float) -> Mode:
        match self.adaptive.circuit(now):
            case Circuit.OPEN:
                return "paused"
            case Circuit.HALF_OPEN:
                return "probing"
        return "paced" if self.adaptive.paced(now) else "burst"

    def _why(self, now: float) -> str:
        if not self.adaptive.paced(now):
            return ""
        used, ago = self.adaptive.refused_used, now - self.adaptive.refused_at
        reason = f"a 429 {ago:.0f} s ago, {used} of {self.quota.budget} slots used"
        return f"{reason}: others spend too, or bursts are refused"

    def _see(self, now: float) -> float:
        """The latest time seen, or `now`."""
        self.seen = max(self.seen, now)
        return self.seen

    def follow(self, now: float) -> float:
        """Move every moment if the clock was set far back; by how many seconds it was.

        Only for a time that was read after all others: a process that was held up between reading
        and asking would let slots end early.
        """
        back = self.seen - now
        if back <= CLOCK_SLACK * self.quota.per:
            return 0.0
        self.window.shift(-back)
        self.adaptive.shift(-back)
        self.seen = now
        return back


def _as_steps(times: Iterable[float]) -> list[int]:
    """The microseconds from each to the next: half as much text, and read as the same times."""
    whole = [0, *(round(time * 1e6) for time in times)]
    return [late - early for early, late in pairwise(whole)]


def _from_steps(steps: Iterable[int]) -> Iterator[float]:
    return (whole / 1e6 for whole in accumulate(steps))
