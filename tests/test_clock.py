"""The one owner of time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, timedelta

import pytest

from moveworks_shift_async.clock import SYSTEM_CLOCK, Clock, SystemClock


def test_now_is_the_monotonic_clock() -> None:
    """`now` is what `time.monotonic` says, in seconds."""
    before = time.monotonic()
    now = SYSTEM_CLOCK.now()
    assert before <= now <= time.monotonic()


def test_now_never_goes_back() -> None:
    """Readings one after the other never fall."""
    readings = [SYSTEM_CLOCK.now() for _ in range(100)]
    assert readings == sorted(readings)


def test_utcnow_is_aware() -> None:
    """The wall clock comes in UTC and says so."""
    assert SYSTEM_CLOCK.utcnow().tzinfo is UTC
    assert SYSTEM_CLOCK.utcnow().utcoffset() == timedelta(0)


async def test_sleep_hands_the_delay_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sleep` waits as long as it was told, through asyncio."""
    delays: list[float] = []

    async def sleep(delay: float) -> None:
        delays.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await SYSTEM_CLOCK.sleep(3.5)
    assert delays == [3.5]


async def test_call_later_calls_once() -> None:
    """The callback runs in the running loop after the delay."""
    called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    SYSTEM_CLOCK.call_later(0, lambda: called.set_result(None))
    assert not called.done()
    await called


async def test_a_cancelled_timer_never_calls() -> None:
    """After `cancel` the callback is forgotten."""
    calls: list[None] = []
    SYSTEM_CLOCK.call_later(0, lambda: calls.append(None)).cancel()
    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    SYSTEM_CLOCK.call_later(0, lambda: after.set_result(None))
    await after
    assert calls == []


def test_the_system_clock_is_a_clock() -> None:
    """The machine's clock has all that the others ask of one."""
    clock: Clock = SystemClock()
    assert clock.now() <= clock.now()
    assert isinstance(SYSTEM_CLOCK, SystemClock)
