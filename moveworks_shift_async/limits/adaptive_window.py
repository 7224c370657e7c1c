"""The arithmetic of a gate that learns: the slots of a window, and what the last 429 taught.

Pure: `now` comes in, seconds go out. All of the state is plain numbers, `state` gives them and
`restored` takes them, so that a gate can be kept in a file and shared by processes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

from attrs import asdict, define

from .adaptive import Lesson
from .window import CLOCK_SLACK, GateSnapshot, Mode, Quota, SlidingWindow, Slot


@define(eq=False, repr=False)
class AdaptiveWindow:
    """One budget, and what is known of its server.

    Times are seconds of one clock. A clock that was set back takes every moment with it.
    """

    quota: Quota
    window: SlidingWindow
    lesson: Lesson
    #: The latest moment seen.
    seen: float = -math.inf

    @classmethod
    def of(cls, budget: int, per: float, max_in_flight: int) -> AdaptiveWindow:
        """One that has sent nothing and knows nothing."""
        quota = Quota(budget, per, max_in_flight)
        return cls(quota, SlidingWindow(quota), Lesson(quota))

    def wait(self, now: float) -> float:
        """Seconds until one more request may start; infinite while only an answer can tell."""
        now = self._see(now)
        return max(self.window.wait(now), self.lesson.wait(now))

    def least_wait(self, now: float, ahead: int) -> float:
        """Least seconds until a request may start that has `ahead` others before it."""
        now = self._see(now)
        return max(self.window.least_wait(now, ahead), self.lesson.least_wait(now, ahead))

    def start(self, now: float) -> Slot:
        """Take a slot. Only when `wait` has said 0."""
        slot = self.window.start(self._see(now))
        self.lesson.start(slot)
        return slot

    def answered(self, slot: Slot, now: float) -> None:
        """The request has ended, not in a 429, and the server may have counted it."""
        now = self._see(now)
        if self.window.answered(slot, now):
            self.lesson.answered(slot, now)

    def refused(self, slot: Slot, now: float, retry_after: float | None = None) -> None:
        """The request ended in a 429. `retry_after` is the seconds the server asked for."""
        now = self._see(now)
        used, since = self.window.held(now)
        had = used - self.window.in_flight
        if self.window.answered(slot, now):
            self.lesson.refused(slot, now, retry_after, used, had, since)

    def unused(self, slot: Slot, now: float) -> None:
        """The request never reached the server: the slot is free at once."""
        self._see(now)
        self.window.unused(slot)
        self.lesson.unused(slot)

    def observed(self, counted_at: Iterable[float], now: float) -> None:
        """Requests that others know of, by the latest moments at which the server counted them."""
        now, before = self._see(now), now
        self.window.observed([time + (now - before) for time in counted_at], now)

    def lost(self, slot: Slot, now: float) -> None:
        """Whoever had the slot is gone: the server may have counted it, and nothing is learned."""
        self.lesson.unused(slot)
        self.window.answered(slot, self._see(now))

    @property
    def pause_until(self) -> float:
        """Nothing starts before."""
        return self.lesson.pause_until

    def retune(self, quota: Quota) -> None:
        """Go on with another budget; what was spent and learned stays."""
        self.quota = self.window.quota = self.lesson.quota = quota

    def snapshot(self, now: float) -> GateSnapshot:
        """What is known now."""
        next_in, now = self.wait(now), self._see(now)
        return GateSnapshot(
            budget=self.quota.budget,
            used=self.window.used,
            in_flight=self.window.in_flight,
            next_in=next_in,
            paused_for=max(0.0, self.lesson.pause_until - now),
            mode=self._mode(now),
            rate=min(self.quota.rate, self.lesson.rate(now)),
            why=self._why(now),
            per=self.window.outlives,
            ends=tuple(self.window.ends_in(now)),
        )

    def state(self) -> dict[str, Any]:
        """Everything but the quota, as finite numbers, lists and dicts, for JSON."""
        lesson = asdict(self.lesson, filter=lambda field, value: field.name != "quota")
        return {
            "flying": [[key, started] for key, started in self.window.flying.items()],
            "answered_at": list(self.window.answered_at),
            "last_id": self.window.last_id,
            "stands_for": [[key, time] for key, time in self.window.stands_for.items()],
            "seen": self.seen if math.isfinite(self.seen) else None,
            "lesson": {name: v for name, v in lesson.items() if v is None or math.isfinite(v)},
        }

    @classmethod
    def restored(cls, quota: Quota, state: dict[str, Any]) -> AdaptiveWindow:
        """The one whose `state` this was, requests in flight included."""
        window = SlidingWindow(
            quota,
            dict(state["flying"]),
            deque(state["answered_at"]),
            state["last_id"],
            dict(state["stands_for"]),
        )
        seen = -math.inf if state["seen"] is None else state["seen"]
        return cls(quota, window, Lesson(quota, **state["lesson"]), seen)

    def _mode(self, now: float) -> Mode:
        if now < self.lesson.pause_until:
            return "paused"
        if self.lesson.shut:
            return "probing"
        return "paced" if self.lesson.paced(now) else "burst"

    def _why(self, now: float) -> str:
        if not self.lesson.paced(now):
            return ""
        used, ago = self.lesson.refused_used, now - self.lesson.refused_at
        reason = f"a 429 {ago:.0f} s ago, {used} of {self.quota.budget} slots used"
        return f"{reason}: others spend too, or bursts are refused"

    def _see(self, now: float) -> float:
        """The time to go by: it stands still for a small step back, and all moves for a large."""
        back = self.seen - now
        if back > CLOCK_SLACK * self.quota.per:
            self.window.shift(-back)
            self.lesson.shift(-back)
            self.seen = now
        self.seen = max(self.seen, now)
        return self.seen
