"""How long a call waits during a job, by its priority.

A bulk job fills the limit. Meanwhile single calls come at random moments, one after the other, in
each priority in turn. Waited slots are read from the server's own record: the requests it let in
between the call and the call's own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Sequence
from statistics import median

from attrs import frozen
from rich.table import Table

from moveworks_shift_async import MoveworksClient, RateLimit
from moveworks_shift_async.limits.priority import PRIORITIES, Priority
from moveworks_shift_async.sandbox import RequestRecord

from .output import new_table, percentile, show
from .server import sandbox_and_client

LIMIT = RateLimit(requests=20, per=1.0)
MESSAGE = "The VPN is down."
#: Far more people than the job can tell while the calls are made.
JOB = [f"p{number}@example.com" for number in range(900_000)]


@frozen
class Asked:
    """One call: whom it was for, and the times of the clock when it came and ended."""

    person: str
    came: float
    ended: float


@frozen
class Wait:
    """What one call waited: slots of others, and seconds."""

    slots: int
    seconds: float


async def ask(client: MoveworksClient, event_id: str, priority: Priority, number: int) -> Asked:
    """Send to one person."""
    person, came = f"{priority}{number}@example.org", time.monotonic()
    await client.events.send(event_id, MESSAGE, [person], priority=priority)
    return Asked(person, came, time.monotonic())


async def measure(calls: int) -> dict[Priority, list[Wait]]:
    """Calls of every priority, in turn, while the job runs."""
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    asked: dict[Priority, list[Asked]] = {priority: [] for priority in PRIORITIES}
    began = time.monotonic()
    async with sandbox_and_client(LIMIT) as (sandbox, client):
        job = asyncio.ensure_future(client.events.send_bulk(sandbox.event_id, MESSAGE, JOB))
        await asyncio.sleep(LIMIT.per)
        for number in range(calls):
            for priority in PRIORITIES:
                await asyncio.sleep(chance.random() * LIMIT.per / 2)
                asked[priority].append(await ask(client, sandbox.event_id, priority, number))
        if job.done():
            raise RuntimeError("the job ended before the calls did")
        job.cancel()
        await asyncio.wait({job})
    records = sandbox.received().requests
    if not all(record.admitted for record in records):
        raise RuntimeError("429s were caused")
    return {
        priority: [waited(records, began, one) for one in all_] for priority, all_ in asked.items()
    }


def waited(records: Sequence[RequestRecord], began: float, asked: Asked) -> Wait:
    """The requests that the server let in between the call and the call's own."""
    own = next(r.at for r in records if r.recipients == (asked.person,))
    between = sum(asked.came - began < r.at < own for r in records)
    return Wait(between, asked.ended - asked.came)


def table(found: dict[Priority, list[Wait]]) -> Table:
    """A row for each priority."""
    title = f"a single call during a job, {LIMIT.requests} requests a second"
    headings = ("calls", "slots p50", "slots p99", "seconds p50", "seconds p99")
    result = new_table(title, "priority", *headings)
    for priority, waits in found.items():
        slots, seconds = [float(wait.slots) for wait in waits], [wait.seconds for wait in waits]
        result.add_row(
            f"{priority} (the job's own)" if priority == "bulk" else priority,
            str(len(waits)),
            f"{median(slots):.0f}",
            f"{percentile(slots, 0.99):.0f}",
            f"{median(seconds):.2f}",
            f"{percentile(seconds, 0.99):.2f}",
        )
    return result


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.priorities", description=__doc__)
    parser.add_argument("--calls", type=int, default=20, help="calls of each priority")
    found = asyncio.run(measure(parser.parse_args().calls))
    show("priorities", ("aiohttp",), table(found))


if __name__ == "__main__":
    main()
