"""A job that is killed again and again: compared with the server's own record, all is true."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from moveworks_shift_async.jobs.records import State
from moveworks_shift_async.sandbox import Sandbox

from .commands import spawn
from .planned import audit, plan, states_of, verified

CHUNKS, SIZE, IN_FLIGHT = 120, 5, 4
LIMIT, WINDOW = 30, 0.3

CHILD = """
import asyncio, sys
from moveworks_shift_async import ClientCredentials, MoveworksClient, RateLimit
from moveworks_shift_async.sending import breaker
from moveworks_shift_async.errors import JobStopped
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.settings import Timeouts

async def main(path, url, client_id, secret, in_flight, limit, window):
    breaker.FIRST_BACKOFF = 0.1
    async with MoveworksClient(
        ClientCredentials(client_id, secret),
        base_url=url,
        rate_limit=RateLimit(requests=int(limit), per=float(window)),
        max_in_flight=int(in_flight),
        timeout=Timeouts(total=2.0),
    ) as client:
        try:
            await Job(path).resume(client)
        except JobStopped:  # too many faults in a row: the next process goes on
            sys.exit(3)

asyncio.run(main(*sys.argv[1:]))
"""

FAULTS = {
    "throttle": 0.04,
    "expired-token": 0.03,
    "reset-before-body": 0.01,
    "reset-mid-body": 0.01,
    "processed-then-reset": 0.02,
    "half-answer": 0.01,
    "server-503-json": 0.01,
    "processed-then-502-html": 0.01,
    "malformed-json": 0.01,
}


async def run_and_kill(path: str, sandbox: Sandbox, after: float) -> tuple[int, bytes]:
    """One process that works on the job; its return code, and what it said."""
    process = await spawn(
        *(sys.executable, "-c", CHILD, path, sandbox.url, sandbox.client_id),
        *(sandbox.client_secret, str(IN_FLIGHT), str(LIMIT), str(WINDOW)),
        stderr=asyncio.subprocess.PIPE,
    )
    told = sandbox.stats().accepted
    said = asyncio.ensure_future(process.communicate())
    while not said.done() and sandbox.stats().accepted < told + 5:  # noqa: ASYNC110
        await asyncio.sleep(0.005)  # to start Python takes longer than to tell somebody
    try:
        await asyncio.wait_for(asyncio.shield(said), after)
    except TimeoutError:
        process.kill()
    _, words = await said
    assert process.returncode is not None
    return process.returncode, words


async def test_killed_at_any_moment_the_journal_is_right(tmp_path: Path) -> None:
    """0 lost, 0 told twice outside the unknown, per kill no more unknown than were in flight."""
    chance = random.Random(4)  # noqa: S311 - repeatable, not secret
    path, kills, orphans = plan(tmp_path / "job.journal", CHUNKS, SIZE), 0, 0
    async with Sandbox(limit=LIMIT, window=WINDOW, latency=0.02, seed=4) as sandbox:
        for kind, probability in FAULTS.items():
            sandbox.faults.rate("send", kind, probability)
        for _ in range(40):
            code, words = await run_and_kill(path, sandbox, chance.uniform(0.0, 0.4))
            assert b"JournalError" not in words, words.decode()
            verified(path).close()
            if code == 0:
                break
            assert code in (-9, 3), words.decode()
            kills += code == -9
            sending = states_of(path).count(State.SENDING)
            assert sending <= IN_FLIGHT
            orphans += sending
        received = sandbox.received()
    found = audit(path, received.people)
    assert (code, found.planned) == (0, 0)
    assert (found.lost, found.twice, found.denied) == (0, 0, 0)
    faulty = sum(one.fault not in (None, "throttle", "expired-token") for one in received.requests)
    assert found.unknown <= SIZE * (orphans + faulty)
    assert kills >= 3
