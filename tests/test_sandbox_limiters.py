"""The five ways of counting the organisation's quota, with plain times."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.sandbox.limiters import (
    LIMITER_NAMES,
    FixedWindow,
    LimiterName,
    SlidingLog,
    SlidingWindowCounter,
    TokenBucket,
    make_limiter,
)

#: Gaps between arrivals: many at once, some spread, some longer than any window.
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0.001, 0.5), st.floats(0.5, 30.0)), max_size=80)
LIMITS = st.integers(1, 8)
WINDOWS = st.sampled_from([0.5, 1.0, 3.0, 7.3, 60.0])


def arrivals(gaps: list[float]) -> list[float]:
    """Times with these gaps between them."""
    now, times = 1000.0, []
    for gap in gaps:
        now += gap
        times.append(now)
    return times


@pytest.mark.parametrize("name", LIMITER_NAMES)
def test_an_idle_limiter_lets_the_first_request_in(name: LimiterName) -> None:
    """Whatever the zero point of the clock, the first request passes and waits for nothing."""
    for now in (0.0, 0.3, 1e6):
        limiter = make_limiter(name, limit=1, window=1.0, burst=1)
        assert limiter.retry_after(now) == 0
        assert limiter.admit(now)
        assert not limiter.admit(now)
        assert limiter.retry_after(now) > 0


@pytest.mark.parametrize("name", LIMITER_NAMES)
@given(gaps=GAPS, limit=LIMITS, window=WINDOWS, burst=LIMITS)
def test_retry_after_is_true(
    name: LimiterName, gaps: list[float], limit: int, window: float, burst: int
) -> None:
    """A refused request that comes back after `retry_after`, alone, passes; just before, not."""
    limiter = make_limiter(name, limit=limit, window=window, burst=burst)
    now = 1000.0
    for now in arrivals(gaps):
        limiter.admit(now)
    wait = limiter.retry_after(now)
    assert wait >= 0
    if wait > 1e-6:
        assert limiter.retry_after(now + wait - 1e-6) > 0
    assert limiter.admit(now + wait + 1e-6)


@given(gaps=GAPS, limit=LIMITS, window=WINDOWS)
def test_fixed_window_law(gaps: list[float], limit: int, window: float) -> None:
    """No aligned window ever holds more than the limit, and a refusal means that it is full."""
    limiter = FixedWindow(limit=limit, window=window)
    held: Counter[int] = Counter()
    for now in arrivals(gaps):
        index = math.floor(now / window)
        assert limiter.admit(now) == (held[index] < limit)
        held[index] += held[index] < limit


def test_fixed_window_lets_twice_the_limit_through_at_a_boundary() -> None:
    """Around a boundary two windows' worth passes in a moment."""
    limiter = FixedWindow(limit=3, window=10.0)
    assert sum(limiter.admit(9.99) for _ in range(5)) == 3
    assert limiter.retry_after(9.99) == pytest.approx(0.01)
    assert sum(limiter.admit(10.0) for _ in range(5)) == 3


@given(gaps=GAPS, limit=LIMITS, window=WINDOWS)
def test_sliding_log_law(gaps: list[float], limit: int, window: float) -> None:
    """No window, wherever it starts, holds more than the limit, and no place stays unused."""
    limiter = SlidingLog(limit=limit, window=window)
    admitted: list[float] = []
    for now in arrivals(gaps):
        inside = sum(now - at < window for at in admitted)
        assert limiter.admit(now) == (inside < limit)
        if inside < limit:
            admitted.append(now)


@given(gaps=GAPS, limit=LIMITS, window=WINDOWS)
def test_counting_rejected_law(gaps: list[float], limit: int, window: float) -> None:
    """A request passes exactly when fewer than the limit came at all in the last window."""
    limiter = SlidingLog(limit=limit, window=window, counts_rejected=True)
    times = arrivals(gaps)
    for place, now in enumerate(times):
        came = sum(now - at < window for at in times[:place])
        assert limiter.admit(now) == (came < limit)


def test_hammering_keeps_the_door_shut() -> None:
    """Where refused requests count, one that keeps knocking never gets in."""
    limiter = SlidingLog(limit=2, window=1.0, counts_rejected=True)
    assert [limiter.admit(i * 0.4) for i in range(20)] == [True, True] + [False] * 18
    assert limiter.retry_after(19 * 0.4) == pytest.approx(0.6)


@given(gaps=GAPS, limit=LIMITS, window=WINDOWS, burst=LIMITS)
def test_token_bucket_law(gaps: list[float], limit: int, window: float, burst: int) -> None:
    """Any stretch of time lets at most the burst and what was refilled pass."""
    limiter = TokenBucket(limit=limit, window=window, burst=burst)
    admitted = [now for now in arrivals(gaps) if limiter.admit(now)]
    for i, start in enumerate(admitted):
        for j, end in enumerate(admitted[i:], 1):
            assert j <= burst + (end - start) * limit / window + 1e-6


def test_token_bucket_refills_evenly() -> None:
    """After the burst one request passes per window / limit seconds."""
    limiter = TokenBucket(limit=120, window=60.0, burst=10)
    assert sum(limiter.admit(5.0) for _ in range(20)) == 10
    assert limiter.retry_after(5.0) == pytest.approx(0.5)
    assert not limiter.admit(5.49)
    assert limiter.admit(5.5)
    assert sum(limiter.admit(100.0) for _ in range(20)) == 10


@given(gaps=GAPS, limit=LIMITS, window=WINDOWS)
def test_sliding_window_counter_law(gaps: list[float], limit: int, window: float) -> None:
    """What passes is what the estimate of two counters leaves room for."""
    limiter = SlidingWindowCounter(limit=limit, window=window)
    held: Counter[int] = Counter()
    for now in arrivals(gaps):
        index = math.floor(now / window)
        estimate = held[index - 1] * (1 - (now / window - index)) + held[index]
        passes = estimate + 1 <= limit
        assert limiter.admit(now) == passes
        held[index] += passes


def test_sliding_window_counter_smooths_the_boundary() -> None:
    """Right after a boundary the full last window still weighs."""
    limiter = SlidingWindowCounter(limit=4, window=10.0)
    assert sum(limiter.admit(9.0) for _ in range(9)) == 4
    assert limiter.retry_after(9.0) == pytest.approx(1.0 + 2.5)
    assert not limiter.admit(10.0)
    assert limiter.retry_after(10.0) == pytest.approx(2.5)
    assert limiter.admit(12.5)
    assert not limiter.admit(12.5)
