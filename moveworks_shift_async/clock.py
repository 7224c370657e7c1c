"""Time, in one place: the only file that reads a clock or sleeps, so tests can set the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """What `call_later` gives back."""

    def cancel(self) -> None:
        """Forget the callback."""


class Clock(Protocol):
    """Where everything else gets its time. A bare time is seconds."""

    def now(self) -> float:
        """Seconds from an arbitrary zero point; never goes back, the same for every thread."""

    def utcnow(self) -> datetime:
        """The wall clock, aware, in UTC. For people and `Retry-After` dates only."""

    async def sleep(self, delay: float) -> None:
        """Wait `delay` seconds."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the running event loop after `delay` seconds."""


def awake() -> float:
    """Seconds from an arbitrary zero point, also those that the machine slept, where it says so."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def utcnow(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay: float) -> None:
        """Wait `delay` seconds."""
        await asyncio.sleep(delay)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the running event loop after `delay` seconds."""
        return asyncio.get_running_loop().call_later(delay, callback)


SYSTEM_CLOCK: Clock = SystemClock()
