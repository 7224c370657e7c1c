"""Virtual time: an event loop that jumps to the next timer, a network, a server and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field, frozen

from moveworks_shift_async.clock import Timer
from moveworks_shift_async.sandbox.limiters import Limiter

# Seconds that one turn of the loop takes. Not 0: rounding can make a timer ring a little early,
# and its owner would set it again for ever.
STEP = 1e-6


class _Jump(selectors.DefaultSelector):
    """Nothing is ever waited for: the time is moved instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for an answer that does not come")
        self.loop.now += max(STEP, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now


class LoopClock:
    """The gate's clock in virtual time."""

    def now(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def utcnow(self) -> datetime:
        """The same as a date."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now())

    async def sleep(self, delay: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(delay)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """A timer of the loop."""
        return asyncio.get_running_loop().call_later(delay, callback)


def run_virtual(main: Coroutine[Any, Any, Any]) -> Any:
    """Like `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@frozen
class Latency:
    """Seconds from sending to answer, uniform; the server counts at a uniform point between."""

    least: float = 0.05
    most: float = 0.25


@define
class Network:
    """One server and the way to it."""

    limiter: Limiter
    latency: Latency
    random: random.Random
    #: (time, sender, accepted), in the order in which the server counted.
    log: list[tuple[float, str, bool]] = field(factory=list)

    async def send(self, sender: str) -> bool:
        """One request; True if it was accepted."""
        total = self.random.uniform(self.latency.least, self.latency.most)
        there = total * self.random.random()
        await asyncio.sleep(there)
        now = asyncio.get_running_loop().time()
        accepted = self.limiter.admit(now)
        self.log.append((now, sender, accepted))
        await asyncio.sleep(total - there)
        return accepted


Send = Callable[[], Awaitable[bool]]
#: Send so many requests, each until it is accepted.
Contender = Callable[[Send, "Load"], Awaitable[None]]
#: Spend from the same limit until cancelled; it never repeats what was refused.
Rival = Callable[[Send, "Load"], Awaitable[None]]


@frozen
class Load:
    """What is to be sent, under what limit."""

    requests: int = 1200
    limit: int = 120
    per: float = 60.0
    max_in_flight: int = 32
    seed: int = 0
    #: Windows after which a contender is stopped.
    patience: int = 180


@frozen
class Result:
    """One run, from the contender's start to its end."""

    seconds: float
    refused: int
    #: Accepted requests of both, over limit / window * seconds.
    use: float
    #: Share of the rival's requests that were accepted; 1 if it sent none.
    rival: float
    #: Share of the contender's requests that were refused.
    refused_share: float
    log: list[tuple[float, str, bool]] = field(repr=False)


async def each(load: Load, one: Callable[[], Awaitable[None]]) -> None:
    """Call `one` for every request, `max_in_flight` at a time."""
    left = iter(range(load.requests))

    async def worker() -> None:
        for _ in left:
            await one()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(load.max_in_flight, load.requests)):
            group.create_task(worker())


async def _race(
    contender: Contender, rival: Rival | None, network: Network, load: Load
) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    spends = rival and asyncio.ensure_future(rival(lambda: network.send("rival"), load))
    # The rival has been there for a while; where in the server's window we come in is chance.
    await asyncio.sleep(load.per * (1 + network.random.random()))
    start = loop.time()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(load.patience * load.per):
            await contender(lambda: network.send("ours"), load)
    end = loop.time()
    if spends:
        spends.cancel()
        await asyncio.wait([spends])
    return start, end


def race(
    contender: Contender,
    limiter: Limiter,
    load: Load,
    rival: Rival | None = None,
    latency: Latency = Latency(),
) -> Result:
    """One contender against one server."""
    network = Network(limiter, latency, random.Random(load.seed))  # noqa: S311
    start, end = run_virtual(_race(contender, rival, network, load))
    log = [(time - start, who, ok) for time, who, ok in network.log if start <= time <= end]
    ours = [ok for _, who, ok in log if who == "ours"]
    others = [ok for _, who, ok in log if who == "rival"]
    allowed = load.limit / load.per * (end - start)
    return Result(
        seconds=end - start,
        refused=ours.count(False),
        use=(sum(ours) + sum(others)) / allowed,
        rival=sum(others) / len(others) if others else 1.0,
        refused_share=ours.count(False) / len(ours),
        log=log,
    )
