"""What the gate promises of six servers, in virtual time: a reduced run of benchmarks/limits."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, field

from benchmarks.limits.contenders import ours
from benchmarks.limits.robustness import CASES, unbroken
from benchmarks.limits.servers import SERVERS, steady
from benchmarks.limits.simulator import Load, LoopClock, Rival, Send, each, race
from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.process import ProcessGate

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


@define
class Watched:
    """Our gate, asked now and then for the time that is left."""

    load: Load
    #: When it was asked, and what it said.
    said: list[tuple[float, float]] = field(factory=list)
    #: When the last request left.
    last: float = 0.0
    sent: int = 0

    async def run(self, send: Send, load: Load) -> None:
        """As `ours`."""
        gate = ProcessGate(AdaptiveWindow.of(load.limit, load.per, load.max_in_flight), LoopClock())
        asking = asyncio.create_task(self._ask(gate))

        async def one() -> None:
            while True:
                slot = await gate.acquire()
                self.last = LoopClock().now()
                if await send():
                    self.sent += 1
                    return gate.release(slot, counted=True)
                gate.refused(slot)

        await each(load, one)
        asking.cancel()

    async def _ask(self, gate: ProcessGate) -> None:
        while True:
            await asyncio.sleep(self.load.per / 7.3)
            snapshot = gate.snapshot()
            left = snapshot.seconds_for(self.load.requests - self.sent - snapshot.in_flight)
            assert left is not None
            self.said.append((LoopClock().now(), left))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("rival", "least", "most"), [(None, 5 / 6, 7 / 6), (steady(), 0.4, 1.5)])
def test_the_time_left_is_true(server: str, rival: Rival | None, least: float, most: float) -> None:
    """Within what `seconds_for` promises, from the begin to the end, half a window aside."""
    watched, slack = Watched(LOAD), LOAD.per / 2
    race(watched.run, SERVERS[server](LOAD), LOAD, rival)
    assert len(watched.said) > 60
    for when, said in watched.said:
        truth = max(0.0, watched.last - when)
        assert least * truth - slack <= said <= most * truth + slack
