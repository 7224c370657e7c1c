"""Jobs in PostgreSQL for tests: planned, run by many, and compared with the server's own record."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from uuid import uuid4

from attrs import frozen

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.errors import JobStopped, JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import State
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import Timeouts

from .commands import spawn

#: Never reached.
OPEN = RateLimit(requests=100_000, per=1.0)
IN_FLIGHT = 4


@frozen
class Audit:
    """A job compared with the server's own record. Counts are people."""

    #: Accepted by the job, and the server never told them.
    lost: int = 0
    #: Told twice or more.
    twice: int = 0
    #: Neither accepted nor unknown by the job, and the server told them.
    denied: int = 0
    unknown: int = 0
    planned: int = 0


#: Nobody lost, nobody told twice or against the job's word, nobody unknown or left.
CLEAN = Audit()


async def planned(url: str, chunks: int = 12, size: int = 3) -> str:
    """The name of a new job of so many chunks; each has a text of its own."""
    name = f"{url}#{uuid4()}"
    people = [
        {"email": f"p{chunk}.{number}@example.com", "floor": str(chunk)}
        for chunk in range(chunks)
        for number in range(size)
    ]
    await Job.plan(name, people, template="Floor {floor}", legacy=True)
    return name


def client_of(
    url: str, key: str, *, limit: RateLimit = OPEN, in_flight: int = IN_FLIGHT
) -> MoveworksClient:
    """A client of a sandbox."""
    return MoveworksClient(
        ApiKey(key),
        base_url=url,
        rate_limit=limit,
        max_in_flight=in_flight,
        timeout=Timeouts(total=30.0, close=5.0),
    )


async def run(
    name: str,
    sandbox: Sandbox,
    *,
    lease: float = 60.0,
    resume: bool = False,
    limit: RateLimit = OPEN,
    on_progress: Callable[[JobProgress], object] | None = None,
) -> None:
    """One run of it, in this process."""
    job = Job(name)
    async with client_of(sandbox.url, sandbox.api_key, limit=limit) as client:
        await (job.resume if resume else job.run)(client, lease=lease, on_progress=on_progress)


async def audit(name: str, told: Mapping[str, int]) -> Audit:
    """Compare it with whom the server told how often."""
    found: Counter[str] = Counter()
    for record, people in await Job(name).chunks():
        times = [told.get(person, 0) for person in people]
        found["twice"] += sum(time > 1 for time in times)
        found[record.state] += len(times)
        if record.state is State.ACCEPTED:
            found["lost"] += sum(time == 0 for time in times)
        elif record.state is not State.UNKNOWN:
            found["denied"] += sum(time > 0 for time in times)
    waiting = found[State.PLANNED] + found[State.SENDING]
    return Audit(found["lost"], found["twice"], found["denied"], found[State.UNKNOWN], waiting)


async def audited(name: str, sandbox: Sandbox) -> Audit:
    """As `audit`."""
    return await audit(name, sandbox.received().people)


async def worker(
    name: str, sandbox: Sandbox, *, lease: float = 60.0, in_flight: int = IN_FLIGHT
) -> asyncio.subprocess.Process:
    """A run of it in a process of its own, which ends with 0, or says why and ends with 3."""
    words = (name, sandbox.url, sandbox.api_key, str(lease), str(in_flight))
    pipe = asyncio.subprocess.PIPE
    return await spawn(*(sys.executable, "-m", "tests.fleet", *words), stdout=pipe, stderr=pipe)


async def _work(name: str, url: str, key: str, lease: str, in_flight: str) -> int:
    async with client_of(url, key, in_flight=int(in_flight)) as client:
        print("ready", flush=True)  # noqa: T201
        try:
            await Job(name).resume(client, lease=float(lease))
        except (JobStopped, JournalError) as error:
            print(type(error).__name__, error, file=sys.stderr)  # noqa: T201
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_work(*sys.argv[1:])))
