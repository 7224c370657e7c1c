"""One job, one budget, three worker processes, while everything around them breaks.

A run is a job of 600 chunks in a PostgreSQL of its own, three processes that work on it, and the
package's sandbox with a limit of 40 requests in 2 seconds. Workers and gate are in that database
(`--gate file`: in a file). In the middle of it comes a fault: a process is killed or frozen for
longer than its lease, the server restarts or stays away, connections are cut, all are told to end
and started again. A worker that ends before the job does is started again, as a supervisor would.

What was delivered is read from the sandbox's book. The use of the limit is the least time in which
a sliding log lets that many through, against the time from the first to the last.

The laws: nobody lost, nobody told twice, nobody told against the account's word, nobody left, and
unknown only where a process died or was silent. The program exits 1 where one of them is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from attrs import define, field, frozen
from rich.table import Table

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.errors import JobStopped, JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.limits.choice import gate_at
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import Timeouts
from tests.fleet import Audit, audit, planned
from tests.postgres import Server

from .output import show

CHUNKS, SIZE, WORKERS = 600, 5, 3
LIMIT, WINDOW = 40, 2.0
#: The least that a sliding log allows.
BEST = (CHUNKS / LIMIT - 1) * WINDOW
# Seconds of a lease; longer than it a process is frozen; the server is away; a run has failed.
LEASE, FROZEN, AWAY, BOUND = 6.0, 14.0, 40.0, 240.0
# Requests that one process may have on their way.
IN_FLIGHT = 16
# Exit status of a worker whose run ended before the job did.
AGAIN = 3


@define
class Fleet:
    """The processes of one run, and what they work on."""

    server: Server
    sandbox: Sandbox
    job: str
    gate: str
    chance: random.Random
    workers: list[asyncio.subprocess.Process] = field(factory=list)

    async def start(self, count: int) -> None:
        """Start so many workers."""
        for _ in range(count):
            words = (self.job, self.sandbox.url, self.sandbox.api_key, self.gate)
            self.workers.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "benchmarks.fleet", "--work", *words
                )
            )

    async def told(self, part: float) -> None:
        """Wait until this part of the chunks was accepted."""
        while self.sandbox.stats().accepted < part * CHUNKS:  # noqa: ASYNC110 - processes
            await asyncio.sleep(0.02)

    async def middle(self) -> None:
        """Wait for some moment in the middle."""
        await self.told(self.chance.uniform(0.15, 0.5))

    async def end(self) -> None:
        """Wait until the job has ended; start again whoever ended before."""
        while self.workers:
            status = await self.workers[0].wait()
            self.workers.pop(0)
            if status == AGAIN:
                await self.start(1)

    def kill(self) -> None:
        """Leave no process behind."""
        for one in self.workers:
            if one.returncode is None:
                one.kill()


async def undisturbed(fleet: Fleet) -> None:
    """Nothing happens."""


async def killed(fleet: Fleet) -> None:
    """`kill -9` of one, and another takes its place."""
    await fleet.middle()
    fleet.workers[0].kill()
    await fleet.workers[0].wait()
    fleet.workers.pop(0)
    await fleet.start(1)


async def frozen_one(fleet: Fleet) -> None:
    """One stands still for longer than its lease."""
    await fleet.middle()
    fleet.workers[0].send_signal(signal.SIGSTOP)
    await asyncio.sleep(FROZEN)
    fleet.workers[0].send_signal(signal.SIGCONT)


def restarted(mode: str) -> Callable[[Fleet], Awaitable[None]]:
    """The server stops so, and starts."""

    async def happen(fleet: Fleet) -> None:
        await fleet.middle()
        await asyncio.to_thread(fleet.server.stop, mode)
        await asyncio.to_thread(fleet.server.start)

    return happen


async def away(fleet: Fleet) -> None:
    """The server is not there for a while."""
    await fleet.middle()
    await asyncio.to_thread(fleet.server.stop, "fast")
    await asyncio.sleep(AWAY)
    await asyncio.to_thread(fleet.server.start)


async def cut(fleet: Fleet) -> None:
    """An administrator ends all connections, every quarter of a second for five seconds."""
    await fleet.middle()
    async with await psycopg.AsyncConnection.connect(fleet.server.url, autocommit=True) as admin:
        for _ in range(20):
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'moveworks-shift'"
            )
            await asyncio.sleep(0.25)


async def drained(fleet: Fleet) -> None:
    """SIGTERM to all, and they are started again when they have ended."""
    await fleet.middle()
    for one in fleet.workers:
        one.send_signal(signal.SIGTERM)
    for one in fleet.workers:
        await one.wait()
    fleet.workers.clear()
    await fleet.start(WORKERS)


SCENARIOS: dict[str, Callable[[Fleet], Awaitable[None]]] = {
    "undisturbed": undisturbed,
    "kill -9 of one": killed,
    f"SIGSTOP of one for {FROZEN:.0f} s": frozen_one,
    "PostgreSQL restarted, fast": restarted("fast"),
    "PostgreSQL restarted, immediate": restarted("immediate"),
    f"PostgreSQL away for {AWAY:.0f} s": away,
    "connections cut for 5 s": cut,
    "SIGTERM to all, and again": drained,
}
# Where nobody dies and nobody is silent, nobody is unknown.
MAY_LEAVE_UNKNOWN = ("kill", "SIGSTOP")


@frozen
class Result:
    """One run."""

    seconds: float
    throttled: int
    audit: Audit

    @property
    def use(self) -> float:
        """Of the limit."""
        return BEST / self.seconds

    def lawful(self, name: str) -> bool:
        """Whether every law was kept."""
        one = self.audit
        unknown = 0 if name.startswith(MAY_LEAVE_UNKNOWN) else one.unknown
        return not (one.lost + one.twice + one.denied + one.planned + unknown)


async def work(job: str, url: str, key: str, gate: str) -> int:
    """What a worker does: take part in the job until it has ended."""
    logging.getLogger("moveworks_shift_async").setLevel(logging.ERROR)
    mine = Job(job)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def drain() -> None:
        stopped.set()
        mine.drain("SIGTERM")

    loop.add_signal_handler(signal.SIGTERM, drain)
    async with MoveworksClient(
        ApiKey(key),
        base_url=url,
        rate_limit=RateLimit(requests=LIMIT, per=WINDOW),
        max_in_flight=IN_FLIGHT,
        timeout=Timeouts(total=20.0),
        gate=None if gate == "none" else gate_at(gate),
    ) as client:
        try:
            await mine.resume(client, lease=LEASE)
        except (JobStopped, JournalError) as error:
            print(f"{os.getpid()}: {error}", file=sys.stderr)
            return 0 if stopped.is_set() else AGAIN
    return 0


@asynccontextmanager
async def fleet_of(kind: str, seed: int) -> AsyncIterator[Fleet]:
    """A server, a sandbox and a job; nothing is left of them."""
    server = await asyncio.to_thread(Server.make, Path(tempfile.mkdtemp(prefix="fleet-")))
    try:
        await make_tables(server.url)
        async with Sandbox(limit=LIMIT, window=WINDOW, limiter=kind, latency=0.05) as sandbox:  # type: ignore[arg-type]
            job = await planned(server.url, CHUNKS, SIZE)
            chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
            yield Fleet(server, sandbox, job, server.url, chance)
    finally:
        await asyncio.to_thread(server.end)


async def measure(scenario: str, kind: str, seed: int, place: str, workers: int) -> Result:
    """One run."""
    async with fleet_of(kind, seed) as fleet:
        if place != "postgres":
            fleet.gate = place
        try:
            async with asyncio.timeout(BOUND):
                await fleet.start(workers)
                await SCENARIOS[scenario](fleet)
                await fleet.end()
        finally:
            fleet.kill()
        received = fleet.sandbox.received()
        times = [one.at for one in received.requests if one.processed]
        return Result(
            max(times) - min(times),
            fleet.sandbox.stats().throttled,
            await audit(fleet.job, received.people),
        )


def row(name: str, found: list[Result]) -> list[str]:
    """A row of the table: of several runs the least, or the sum."""
    return [
        name,
        str(len(found)),
        f"{min(one.use for one in found):.3f}..{max(one.use for one in found):.3f}",
        f"{max(one.seconds for one in found):.1f}",
        str(sum(one.throttled for one in found)),
        *(
            str(sum(getattr(one.audit, law) for one in found))
            for law in ("lost", "twice", "denied", "planned", "unknown")
        ),
    ]


async def all_of(options: argparse.Namespace) -> tuple[Table, bool]:
    """Every scenario so many times; the table, and whether the laws were kept."""
    table = Table(
        title=f"{CHUNKS} chunks of {SIZE}, {LIMIT} in {WINDOW:.0f} s, limiter {options.limiter}"
    )
    for heading in ("scenario", "runs", "use of the limit", "seconds", "429s", "lost", "twice",
                    "denied", "left", "unknown"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "scenario" else "right")
    lawful = True
    own = [await measure("undisturbed", options.limiter, 0, "none", 1)]
    table.add_row(*row("one process, its own gate", own))
    for name in [name for name in SCENARIOS if options.only in name]:
        found = []
        for seed in range(options.times):
            began = time.monotonic()
            found.append(await measure(name, options.limiter, seed, options.gate, WORKERS))
            lawful = lawful and found[-1].lawful(name)
            print(f"{name}: {found[-1]}, {time.monotonic() - began:.0f} s", file=sys.stderr)
        table.add_row(*row(name, found))
    return table, lawful


def main() -> None:
    """Run the benchmark and print its table; exit 1 where a law is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="runs of each scenario")
    parser.add_argument("--limiter", default="sliding-log", help="how the sandbox counts")
    parser.add_argument("--gate", default="postgres", help="postgres, or the path of a file")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        sys.exit(asyncio.run(work(*options.work)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and nothing is left running
    table, lawful = asyncio.run(all_of(options))
    command = f"fleet --times {options.times} --limiter {options.limiter}"
    show(command, ("aiohttp", "psycopg"), table)
    sys.exit(not lawful)


if __name__ == "__main__":
    main()
