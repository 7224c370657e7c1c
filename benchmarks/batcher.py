"""What 10,000 single sends of one text cost: through the batcher, and one request each.

Both run against the sandbox with a limit that is scaled up, so that one request each ends in
seconds; the last column says what the same number of requests takes at the vendor's 120 a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from attrs import frozen
from rich.table import Table

from moveworks_shift_async import MoveworksClient, RateLimit
from moveworks_shift_async.limits.window import least_time
from moveworks_shift_async.sandbox import Stats

from .output import new_table, show
from .server import sandbox_and_client

LIMIT = RateLimit(requests=500, per=1.0)
MESSAGE = "Your access ends tomorrow."
Way = Callable[[MoveworksClient, str, list[str]], Awaitable[None]]


@frozen
class Found:
    """How one way went, by the sandbox's own record."""

    stats: Stats
    seconds: float


async def batched(client: MoveworksClient, event_id: str, people: list[str]) -> None:
    """Each send joins a chunk."""
    async with client.events.batcher() as batcher, asyncio.TaskGroup() as tasks:
        for person in people:
            tasks.create_task(batcher.send(event_id, MESSAGE, person))


async def one_each(client: MoveworksClient, event_id: str, people: list[str]) -> None:
    """Each send is a request."""
    async with asyncio.TaskGroup() as tasks:
        for person in people:
            tasks.create_task(client.events.send(event_id, MESSAGE, [person]))


WAYS: dict[str, Way] = {"events.batcher": batched, "events.send, one each": one_each}


async def measure(way: Way, sends: int) -> Found:
    """One way with a sandbox of its own."""
    people = [f"p{number}@example.com" for number in range(sends)]
    async with sandbox_and_client(LIMIT) as (sandbox, client):
        began = time.perf_counter()
        await way(client, sandbox.event_id, people)
        seconds = time.perf_counter() - began
        stats = sandbox.stats()
    if (stats.people, stats.people_told_again, stats.throttled) != (sends, 0, 0):
        raise RuntimeError(f"not everybody was told once without a 429: {stats}")
    return Found(stats, seconds)


def table(found: dict[str, Found], sends: int) -> Table:
    """A row a way."""
    title = f"{sends:,} single sends of one text, {LIMIT.requests} requests a second"
    headings = ("requests", "people told", "seconds", "least time at 120 a minute")
    result = new_table(title, "way", *headings)
    for name, one in found.items():
        vendors = least_time(one.stats.accepted, 120, 60.0)
        result.add_row(
            name,
            f"{one.stats.accepted:,}",
            f"{one.stats.people:,}",
            f"{one.seconds:.1f}",
            f"{vendors / 60:.0f} min",
        )
    return result


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batcher", description=__doc__)
    parser.add_argument("--sends", type=int, default=10_000, help="single sends")
    sends = parser.parse_args().sends
    found = {name: asyncio.run(measure(way, sends)) for name, way in WAYS.items()}
    show("batcher", ("aiohttp",), table(found, sends))


if __name__ == "__main__":
    main()
