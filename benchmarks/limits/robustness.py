"""Ours elsewhere: other latencies, limits, windows and rivals, one thing changed at a time."""

from __future__ import annotations

from attrs import evolve, frozen

from .contenders import ours
from .servers import SERVERS, bursty, several, steady, visitor
from .simulator import Latency, Load, Result, Rival, race

# What must not break: no collapse of use, no storm of 429s.
LEAST_USE = 0.8
MOST_REFUSED = 0.1


@frozen
class Case:
    """A load, a way to the server and a rival."""

    load: Load = Load()  # noqa: RUF009 - frozen
    latency: Latency = Latency()  # noqa: RUF009 - frozen
    rival: Rival | None = steady()  # noqa: RUF009 - a function

    def run(self, server: str, seed: int) -> Result:
        """Ours against that server."""
        load = evolve(self.load, seed=seed)
        return race(ours, SERVERS[server](load), load, self.rival, self.latency)


CASES = {
    "as above": Case(),
    "latency 0.05-1 s": Case(latency=Latency(0.05, 1.0)),
    "latency 1-2 s": Case(latency=Latency(1.0, 2.0)),
    "limit 30": Case(Load(limit=30, requests=300)),
    "limit 1,000": Case(Load(limit=1000, requests=10_000)),
    "window 1 s": Case(Load(per=1.0, requests=2400)),
    "window 10 s": Case(Load(per=10.0)),
    "window 1 h": Case(Load(per=3600.0)),
    "60 at once": Case(rival=bursty()),
    "3 at 0.3/s": Case(rival=several()),
    "comes and goes": Case(Load(requests=1800), rival=visitor()),
}


def unbroken(result: Result) -> bool:
    """Whether use did not collapse and no storm broke out."""
    return result.use >= LEAST_USE and result.refused_share <= MOST_REFUSED
