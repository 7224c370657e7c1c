"""What the journal costs: a job against a bulk send without one.

The gate is open: a rate limit so large that it never binds. All send the same people, in chunks
of 500, to a server that answers without looking, one after the other, round by round. Meanwhile a
ticker of 5 ms measures how late the event loop lets it run: nothing may wait for the disk.

A bulk send also cleans the addresses and looks for duplicates, which a job has done when it was
planned. So there is a third way: the same requests from chunks that are ready, with no account.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from attrs import frozen
from rich.table import Table

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.call import Call
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.wire.moveworks import Content
from moveworks_shift_async.wire.recipients import CheckedRecipients

from .output import new_table, percentile, show
from .planned import MESSAGE, people_of, plan
from .server import answer_all, serving

SIZE = 500
# Never reached here.
OPEN = RateLimit(requests=10_000_000, per=60.0)
# Seconds between two ticks.
TICK = 0.005


@frozen
class Round:
    """One way's round: chunks a second, and how late each tick was, in seconds."""

    rate: float
    late: Sequence[float]


@asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """How late each tick was while the block ran."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            late.append(time.perf_counter() - due)

    task = asyncio.create_task(tick())
    try:
        yield late
    finally:
        task.cancel()


def client_of(url: str) -> MoveworksClient:
    """A client whose rate limit does not bind."""
    return MoveworksClient(ApiKey("key"), base_url=url, rate_limit=OPEN)


async def with_journal(url: str, path: Path, chunks: int) -> Round:
    """A job, from its planned journal to its account."""
    async with client_of(url) as client, ticking() as late:
        await client.messages.send(MESSAGE, ["warm.up@example.com"])
        began = time.perf_counter()
        await Job(str(path)).run(client)
        took = time.perf_counter() - began
    return Round(chunks / took, late)


async def without(url: str, people: Sequence[str], chunks: int) -> Round:
    """A bulk send."""
    async with client_of(url) as client, ticking() as late:
        await client.messages.send(MESSAGE, ["warm.up@example.com"])
        began = time.perf_counter()
        report = await client.messages.send_bulk(MESSAGE, people)
        took = time.perf_counter() - began
    if report.requests != chunks:
        raise RuntimeError(f"{report.requests} requests for {chunks} chunks")
    return Round(chunks / took, late)


async def alone(url: str, people: Sequence[str], chunks: int) -> Round:
    """The requests of a job, and nothing else of it."""
    parts = (people[n * SIZE : (n + 1) * SIZE] for n in range(chunks))
    ready = iter([*map(CheckedRecipients, parts)])
    content = Content(event_id=None, message=MESSAGE)
    async with client_of(url) as client, ticking() as late:
        await client.messages.send(MESSAGE, ["warm.up@example.com"])

        async def work() -> None:
            for chunk in ready:
                await client.sender.deliver(content, chunk, Call(priority="bulk", once=True))

        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(client.sender.max_in_flight):
                tasks.create_task(work())
        took = time.perf_counter() - began
    return Round(chunks / took, late)


def measure(url: str, folder: Path, rounds: int, chunks: int) -> dict[str, list[Round]]:
    """All in turn, so that a slow minute of the machine meets all."""
    people = [person for number in range(chunks) for person in people_of(number, SIZE)]
    found: dict[str, list[Round]] = {"send_bulk": [], "requests alone": [], "job": []}
    for _ in range(rounds):
        plan(folder / "job.journal", chunks, SIZE)
        found["send_bulk"].append(asyncio.run(without(url, people, chunks)))
        found["requests alone"].append(asyncio.run(alone(url, people, chunks)))
        found["job"].append(asyncio.run(with_journal(url, folder / "job.journal", chunks)))
    return found


def table(found: dict[str, list[Round]], chunks: int) -> Table:
    """Medians, and the medians of the ratios to the bulk send of the same round."""
    headings = ("chunks/s", "lowest..highest", "ratio", "loop delay p50", "p99", "most")
    result = new_table(f"{chunks:,} chunks of {SIZE} people, gate open", "way", *headings)
    for name, rounds in found.items():
        result.add_row(name, *_cells(rounds, found["send_bulk"]))
    return result


def _cells(rounds: Sequence[Round], base: Sequence[Round]) -> tuple[str, ...]:
    rates = [one.rate for one in rounds]
    late = [tick for one in rounds for tick in one.late]
    ratio = median(one.rate / other.rate for one, other in zip(rounds, base, strict=True))
    return (
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f}..{max(rates):,.0f}",
        f"{ratio:.2f}",
        *(f"{percentile(late, part) * 1e3:.1f} ms" for part in (0.5, 0.99, 1.0)),
    )


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--folder", help="where the journal is written; else the temporary folder")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        serving(answer_all) as server,
    ):
        found = measure(server.url, Path(folder), options.rounds, options.chunks)
    show("job", ("aiohttp",), table(found, options.chunks))


if __name__ == "__main__":
    main()
