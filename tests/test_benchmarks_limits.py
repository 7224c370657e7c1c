"""What the gate promises of six servers, in virtual time: a reduced run of benchmarks/limits."""

from __future__ import annotations

import pytest

from benchmarks.limits.contenders import ours
from benchmarks.limits.robustness import CASES, unbroken
from benchmarks.limits.servers import SERVERS, steady
from benchmarks.limits.simulator import Load, race

LOAD = Load(seed=1)
# Ten bursts, a window apart, is the best there is where bursts are liked; else an even pace.
BURST_LIMIT, PACE_LIMIT = 1.02 * 542, 1.05 * 600
# A server that counts refused requests gives the window of the first burst to nobody.
LEAST_USE = {"log counting rejected": 0.93}


@pytest.mark.parametrize("server", SERVERS)
def test_alone(server: str) -> None:
    """No 429 where a burst is allowed, at most 20 elsewhere, and no time lost."""
    result = race(ours, SERVERS[server](LOAD), LOAD)
    if server in ("bucket of 10", "window counter"):
        assert result.seconds <= PACE_LIMIT
        assert result.refused <= 20
    else:
        assert result.seconds <= BURST_LIMIT
        assert result.refused == 0


@pytest.mark.parametrize("server", SERVERS)
def test_beside_a_rival(server: str) -> None:
    """The limit is used, few 429s are caused, and the rival gets its part."""
    result = race(ours, SERVERS[server](LOAD), LOAD, steady())
    assert result.use >= LEAST_USE.get(server, 0.95)
    assert result.refused_share <= 0.05
    assert result.rival >= 0.85


@pytest.mark.parametrize("case", ["latency 1-2 s", "limit 30", "window 10 s", "3 at 0.3/s"])
@pytest.mark.parametrize("server", ["fixed window", "sliding log", "bucket of 10"])
def test_elsewhere(case: str, server: str) -> None:
    """Other latencies, limits, windows and rivals do not break it."""
    assert unbroken(CASES[case].run(server, seed=0))
