"""One rate limit for several processes: a file gate against a server that lets 60 through in 2 s.

Each row gets a new sandbox in a process of its own, with a sliding log, and as many senders as it
says, each a process with more to send than the limit allows. What was accepted and how often 429
was answered is read from the sandbox's record, never from a client.

The use of the limit is the least time in which a sliding log lets that many through, against the
time it took. A slot ends one window after its answer, so each window costs a round trip: 1 is out
of reach. Where one process is killed, what it had in flight comes back a window later.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from math import inf
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from attrs import frozen
from rich.table import Table

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.choice import gate_at
from moveworks_shift_async.limits.gate import Gate
from moveworks_shift_async.limits.process import ProcessGate
from moveworks_shift_async.sandbox import Sandbox, Stats

from .output import new_table, show
from .server import Server, be_sandbox, serving

LIMIT, WINDOW = 60, 2.0
# Seconds after which a run has failed, and between two looks at how many went through.
BOUND, LOOK = 60.0, 0.02
NUMBERS = (1, 2, 4, 8)
# Seconds for all senders to start and to open the file.
START = 20.0
# Calls that wait in each process: it always has more to send than it may.
CALLERS = 16
STEPS = 2_000
MESSAGE = "The VPN is down for maintenance tonight from 22:00 to 23:00."
# The credential and the event that every sandbox knows.
KNOWN = Sandbox()
QUOTA = RateLimit(requests=LIMIT, per=WINDOW)

Sender = tuple[BaseProcess, Connection]


@frozen
class Result:
    """One run: what the sandbox saw, and how many each process got through."""

    stats: Stats
    seconds: float
    #: The least that a sliding log allows.
    best: float
    shares: list[int]

    @property
    def use(self) -> float:
        """The least time that a sliding log allows, as a part of the time it took."""
        return self.best / self.seconds


def send_all(pipe: Connection, url: str, place: str) -> None:
    """A sender: told to, it sends until told to stop, and tells how many were accepted."""
    pipe.send(asyncio.run(_send_all(pipe, url, place)))


async def _send_all(pipe: Connection, url: str, place: str) -> int:
    gate, sent = gate_at(place), 0

    async def call(number: int) -> None:
        nonlocal sent
        while True:
            person = f"p{os.getpid()}-{number}-{sent}@example.com"
            await client.events.send(KNOWN.event_id, MESSAGE, [person])
            sent += 1

    async with MoveworksClient(
        ApiKey(KNOWN.api_key), base_url=url, rate_limit=QUOTA, gate=gate
    ) as client:
        loop = asyncio.get_running_loop()
        await _told(pipe, loop)
        callers = [asyncio.ensure_future(call(number)) for number in range(CALLERS)]
        await _told(pipe, loop)
        done = sent
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    return done


async def _told(pipe: Connection, loop: asyncio.AbstractEventLoop) -> None:
    """Say that we are ready, and wait until told to go on."""
    pipe.send("ready")
    await loop.run_in_executor(None, pipe.recv)


def measure(number: int, windows: int, database: str = "", *, kill: bool = False) -> Result:
    """Let so many processes send so many windows' worth; kill one in the middle if asked."""
    # The last of `windows` budgets can pass when all windows but one are over.
    best = (windows - 1) * WINDOW
    with serving(be_sandbox, LIMIT, WINDOW) as server, tempfile.TemporaryDirectory() as folder:
        place = database or str(Path(folder) / "gate")
        senders = [_started(server.url, place) for _ in range(number)]
        for _, pipe in senders:
            _hear(pipe)
        start = time.monotonic()
        for _, pipe in senders:
            pipe.send("start")
        if kill:
            time.sleep(best / 2)
            senders.pop()[0].kill()
        seconds = _until_through(server, windows * LIMIT, start)
        return Result(server.ask(), seconds, best, [_stopped(*sender) for sender in senders])


def _started(url: str, place: str) -> Sender:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=send_all, args=(theirs, url, place), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _until_through(server: Server, total: int, start: float) -> float:
    while server.ask().accepted < total:
        if time.monotonic() - start > BOUND:
            raise TimeoutError("the senders do not send")
        time.sleep(LOOK)
    return time.monotonic() - start


def _stopped(process: BaseProcess, pipe: Connection) -> int:
    """How many the sender got through, which is told to stop."""
    _hear(pipe)
    pipe.send("stop")
    sent = _hear(pipe)
    process.join(START)
    return int(sent)


def _hear(pipe: Connection) -> Any:
    if not pipe.poll(START):
        raise TimeoutError("a sender does not answer")
    return pipe.recv()


async def cost(gate: Gate) -> list[float]:
    """Microseconds of `STEPS` acquires that need not wait, each with its release, in order."""
    found = []
    for _ in range(STEPS):
        start = time.perf_counter()
        slot = await gate.acquire(inf, "normal")
        middle = time.perf_counter()
        gate.release(slot, counted=True)
        found.append((middle - start) * 1e6)
        await asyncio.sleep(0)
    return sorted(found)


def costs(database: str) -> dict[str, list[float]]:
    """What an acquire costs at a full budget of 120, in this process and through other places."""
    # 120 in a tenth of a millisecond: it is always full of answers and never makes anybody wait.
    quota = RateLimit(requests=10**6, per=120 / 5_000)
    with tempfile.TemporaryDirectory() as folder:
        places = {"a file": str(Path(folder) / "gate")}
        places |= {"a database": database} if database else {}
        found = {name: cost_through(place, quota) for name, place in places.items()}
    window = AdaptiveWindow.of(quota.budget, quota.per, 32)
    return {"this process": asyncio.run(cost(ProcessGate(window)))} | found


def cost_through(place: str, quota: RateLimit) -> list[float]:
    """The same through a place that processes share."""
    gate, user = gate_at(place), Result
    gate.join(user, "cost", quota, 32)
    try:
        return asyncio.run(cost(gate))
    finally:
        gate.leave(user)


def table(found: dict[str, Result], windows: int) -> Table:
    """What the sandbox saw."""
    title = f"{windows * LIMIT} requests, {LIMIT} allowed in {WINDOW:.0f} s"
    headings = ("seconds", "use of the limit", "429s", "least and most of a process")
    result = new_table(title, "processes", *headings)
    for name, one in found.items():
        result.add_row(
            name,
            f"{one.seconds:.2f}",
            f"{one.use:.3f}",
            str(one.stats.throttled),
            f"{min(one.shares)}, {max(one.shares)}",
        )
    return result


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("--windows", type=int, default=6, help="windows' worth in each row")
    parser.add_argument(
        "--database", default="", metavar="URL", help="share through a PostgreSQL as well"
    )
    given = parser.parse_args()
    windows = given.windows
    found = {str(number): measure(number, windows) for number in NUMBERS}
    found["4, one killed"] = measure(4, windows, kill=True)
    if given.database:
        found |= {
            f"{number}, by a database": measure(number, windows, given.database)
            for number in NUMBERS
        }
    acquires = [
        f"acquire in {name}: p50 {steps[STEPS // 2]:.0f} µs, p99 {steps[STEPS * 99 // 100]:.0f} µs"
        for name, steps in costs(given.database).items()
    ]
    show("processes", ("aiohttp",), table(found, windows), *acquires)


if __name__ == "__main__":
    main()
