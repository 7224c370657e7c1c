"""A job that is killed again and again, compared with the server's own record.

A round is one `kill -9` at a random moment while a process works on a job of 300 chunks, against
the package's sandbox with faults on: 429s, dead tokens, resets, server errors, broken answers. The
next process resumes. When the job is done the sandbox is asked whom it told, and a new job begins,
until there were enough rounds. Every fourth death comes as the process opens the journal.

The laws: nobody lost, nobody told twice or against the journal's word outside the chunks that are
unknown, no more chunks unknown by one kill than were in flight, no journal refused. The program
exits 1 where one of them is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import define
from rich.table import Table

from moveworks_shift_async import ClientCredentials, MoveworksClient, RateLimit
from moveworks_shift_async.errors import JobStopped, JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import State
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import Timeouts

from .output import new_table, show
from .planned import plan

CHUNKS, SIZE, IN_FLIGHT = 300, 20, 16
LIMIT = RateLimit(requests=120, per=0.5)
# Seconds that a process may live once it sends. A whole job takes 1.25 s at least.
LIFE = 0.5
# Exit status of a process whose job stopped, and of one whose journal was refused.
STOPPED, REFUSED = 3, 4
# Kind of fault -> its share of the requests.
FAULTS = {
    "throttle": 0.01,
    "throttle-storm": 0.002,
    "expired-token": 0.01,
    "reset-before-body": 0.005,
    "reset-mid-body": 0.005,
    "reset-after-body": 0.005,
    "processed-then-reset": 0.01,
    "half-answer": 0.005,
    "slow-answer": 0.01,
    "malformed-json": 0.005,
    "server-503-json": 0.005,
    "processed-then-502-html": 0.005,
}


@define
class Figures:
    """What was seen; the laws are about the last five."""

    rounds: int = 0
    jobs: int = 0
    people: int = 0
    told: int = 0
    unknown: int = 0
    stopped: int = 0
    lost: int = 0
    twice: int = 0
    #: Told by the server, and planned or rejected by the journal.
    denied: int = 0
    #: Chunks that one kill left `sending`, at most.
    per_kill: int = 0
    refused: int = 0

    @property
    def lawful(self) -> bool:
        """Whether every law was kept."""
        broken = self.lost + self.twice + self.denied + self.refused
        return not broken and self.per_kill <= IN_FLIGHT


def make_sandbox(seed: int) -> Sandbox:
    """A server with all faults on."""
    sandbox = Sandbox(limit=LIMIT.requests, window=LIMIT.per, latency=0.03, jitter=0.01, seed=seed)
    for kind, share in FAULTS.items():
        sandbox.faults.rate("send", kind, share)
    return sandbox


async def work(path: str, url: str, client_id: str, secret: str) -> int:
    """What a process does until it is killed: go on with the job."""
    logging.getLogger("moveworks_shift_async").setLevel(logging.ERROR)
    async with MoveworksClient(
        ClientCredentials(client_id, secret),
        base_url=url,
        rate_limit=LIMIT,
        max_in_flight=IN_FLIGHT,
        timeout=Timeouts(total=5.0),
    ) as client:
        try:
            await Job(path).resume(client)
        except JobStopped as stopped:
            print(stopped, file=sys.stderr)
            return STOPPED
        except JournalError as error:
            print(error, file=sys.stderr)
            return REFUSED
    return 0


async def live_and_die(path: str, sandbox: Sandbox, chance: random.Random, figures: Figures) -> int:
    """One process, killed at a random moment unless it ends before; its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.kill", "--work", path),
        *(sandbox.url, sandbox.client_id, sandbox.client_secret),
    )
    ended = asyncio.ensure_future(process.wait())
    seen, early = sandbox.stats().requests, chance.random() < 0.25
    try:
        # Python needs longer to start than a job to send.
        while not ended.done() and not early and sandbox.stats().requests == seen:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        life = chance.uniform(0.3, 1.0) if early else chance.uniform(0.0, LIFE)
        await asyncio.wait_for(asyncio.shield(ended), life)
    except TimeoutError:
        process.kill()
        figures.rounds += 1
    return await ended


def sending_in(path: str) -> int:
    """Chunks that the dead process left on their way."""
    with Journal.look(path) as journal:
        return sum(record.state is State.SENDING for record in journal.reads.records())


def compare(path: str, told: Mapping[str, int], figures: Figures) -> None:
    """The journal beside the server's record."""
    found: Counter[str] = Counter()
    with Journal.look(path) as journal:
        states = {record.id: record.state for record in journal.reads.records()}
        for number, addresses in journal.reads.recipients():
            state, times = states[number], [told.get(address, 0) for address in addresses]
            found[state] += len(times)
            if state is State.UNKNOWN:
                continue
            found["twice"] += sum(time > 1 for time in times)
            accepted = state is State.ACCEPTED
            found["lost" if accepted else "denied"] += sum((time > 0) != accepted for time in times)
    figures.jobs += 1
    figures.people += sum(found[state] for state in State)
    figures.told += found[State.ACCEPTED]
    figures.unknown += found[State.UNKNOWN]
    figures.lost += found["lost"] + found[State.PLANNED] + found[State.SENDING]
    figures.twice += found["twice"]
    figures.denied += found["denied"]


async def one_job(path: Path, chance: random.Random, figures: Figures, until: float) -> None:
    """Kill and resume until the job is done; then compare."""
    plan(path, CHUNKS, SIZE)
    async with make_sandbox(chance.randrange(10**6)) as sandbox:
        while True:
            status = await live_and_die(str(path), sandbox, chance, figures)
            figures.per_kill = max(figures.per_kill, sending_in(str(path)))
            figures.refused += status not in (0, STOPPED, -9)
            figures.stopped += status == STOPPED
            if status == 0 or figures.refused:
                break
            if time.monotonic() > until:
                raise TimeoutError(f"no end of the job after {figures.rounds} rounds")
        compare(str(path), sandbox.received().people, figures)


async def measure(folder: Path, rounds: int, seed: int, most: float) -> Figures:
    """Jobs, one after the other, until so many processes were killed."""
    figures, chance = Figures(), random.Random(seed)  # noqa: S311 - repeatable, not secret
    until = time.monotonic() + most
    while figures.rounds < rounds and not figures.refused:
        await one_job(folder / "job.journal", chance, figures, until)
        print(f"{figures.rounds} of {rounds} rounds, {figures.jobs} jobs", file=sys.stderr)
    return figures


def table(figures: Figures) -> Table:
    """A row a figure."""
    title = f"jobs of {CHUNKS} chunks of {SIZE} people, killed and resumed"
    result = new_table(title, "figure", "found", "law")
    rows = {
        "kills": (figures.rounds, ""),
        "jobs": (figures.jobs, ""),
        "people": (figures.people, ""),
        "people told": (figures.told, ""),
        "people unknown": (figures.unknown, ""),
        "jobs that stopped by themselves and went on": (figures.stopped, ""),
        "people lost": (figures.lost, "0"),
        "people told twice, outside the unknown": (figures.twice, "0"),
        "people told against the journal's word": (figures.denied, "0"),
        "chunks unknown by one kill, at most": (figures.per_kill, f"{IN_FLIGHT} at most"),
        "journals refused": (figures.refused, "0"),
    }
    for name, (found, law) in rows.items():
        result.add_row(name, f"{found:,}", law)
    return result


def main() -> None:
    """Run the benchmark and print its table; exit 1 where a law is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="processes to kill, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=float, default=1800.0, help="seconds, at most")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        sys.exit(asyncio.run(work(*options.work)))
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), options.rounds, options.seed, options.most))
    show(f"kill --rounds {options.rounds}", ("aiohttp",), table(figures))
    sys.exit(not figures.lawful)


if __name__ == "__main__":
    main()
