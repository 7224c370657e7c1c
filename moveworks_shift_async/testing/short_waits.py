"""Waits of the package cut short in this process: a minute takes 60 ms.

Time itself runs as always. Whoever waits through the package's clock waits a thousandth, and then
the clock is put forward to where the whole wait would have ended, for everybody. So limits, pauses
and token lifetimes fit one another, and a machine that is busy makes no hour pass: only waits do.
Timeouts of requests are the event loop's, and stay what they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from attrs import define, field

from ..clock import SystemClock, Timer

# A window of 60 s becomes 60 ms: short, and long beside what the sandbox takes for an answer.
_PACE = 1000

# The machine's own.
_machine_now, _machine_sleep = SystemClock.now, SystemClock.sleep
_machine_call_later = SystemClock.call_later


@define(eq=False)
class _Ahead:
    """How far the clock is ahead of the machine's. It stays ahead: time never goes back."""

    seconds: float = 0.0
    _lock: threading.Lock = field(factory=threading.Lock)

    def put_forward(self, clock: SystemClock, due: float) -> None:
        """Make it `due`, if it is not that late already."""
        with self._lock:
            self.seconds = max(self.seconds, due - _machine_now(clock))


AHEAD = _Ahead()


@contextmanager
def short_waits() -> Iterator[None]:
    """Cut the waits that begin inside of it."""
    setattr(SystemClock, "now", _now)  # noqa: B010 - for good, as `_Ahead` says
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "sleep", _sleep)
        patch.setattr(SystemClock, "call_later", _call_later)
        yield


def _now(clock: SystemClock) -> float:
    return _machine_now(clock) + AHEAD.seconds


async def _sleep(clock: SystemClock, delay: float) -> None:
    due = clock.now() + delay
    await _machine_sleep(clock, delay / _PACE)
    AHEAD.put_forward(clock, due)


def _call_later(clock: SystemClock, delay: float, callback: Callable[[], None]) -> Timer:
    due = clock.now() + delay

    def fire() -> None:
        AHEAD.put_forward(clock, due)
        callback()

    return _machine_call_later(clock, delay / _PACE, fire)
