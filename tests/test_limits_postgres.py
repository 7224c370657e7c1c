"""The gate in PostgreSQL, with its real clock: processes, faults of the server, urgency, cost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from math import inf
from uuid import uuid4

import pytest

from moveworks_shift_async import ConfigurationError, PostgresGate, RateLimit
from moveworks_shift_async.clock import SYSTEM_CLOCK
from moveworks_shift_async.errors import DeadlineExceeded, OtherLimit
from moveworks_shift_async.limits.shared import row
from moveworks_shift_async.storage.postgres import connected

from . import proxy

LIMIT = RateLimit(requests=4, per=1.0)


class User:
    """A client, as far as a gate knows one."""


@pytest.fixture
def acme() -> str:
    """An organisation that no other test has."""
    return str(uuid4())


@asynccontextmanager
async def joined(
    url: str, organisation: str, limit: RateLimit = LIMIT, in_flight: int = 32
) -> AsyncIterator[PostgresGate]:
    """A gate that one client uses."""
    gate, user = PostgresGate(url), User()
    # Where a proxy is in between, it runs in this event loop.
    await asyncio.to_thread(gate.join, user, organisation, limit, in_flight)
    try:
        yield gate
    finally:
        await asyncio.to_thread(gate.leave, user)


async def take(gate: PostgresGate, count: int = 1) -> None:
    """So many requests that are answered at once."""
    for _ in range(count):
        gate.release(await gate.acquire(inf, "bulk"), counted=True)


async def execute(url: str, statement: str, *values: str) -> None:
    """What somebody else does in the database."""
    async with connected(url) as connection:
        await connection.execute(statement.encode(), values)


def key_of(organisation: str) -> str:
    """By which its row is found."""
    return sha256(organisation.encode()).hexdigest()


async def test_two_gates_share_one_budget(postgres: str, acme: str) -> None:
    """Together they start no more than it in any window."""
    starts: list[float] = []

    async def use(gate: PostgresGate) -> None:
        for _ in range(6):
            slot = await gate.acquire(inf, "bulk")
            starts.append(asyncio.get_running_loop().time())
            gate.release(slot, counted=True)

    async with joined(postgres, acme) as one, joined(postgres, acme) as two:
        await asyncio.gather(use(one), use(two))
    starts.sort()
    assert all(late - early >= LIMIT.per for early, late in zip(starts, starts[4:], strict=False))
    assert starts[-1] - starts[0] < 4


async def test_a_lost_connection_loses_no_call_and_no_slot(postgres: str, acme: str) -> None:
    """Whenever it is cut."""
    async with proxy.before(postgres) as (between, url), joined(url, acme) as gate:
        task = asyncio.create_task(take(gate, 12))
        while not task.done():
            between.cut()
            await asyncio.sleep(0.15)
        await task
        assert gate.snapshot().in_flight == 0
        assert gate.snapshot().used <= LIMIT.budget


async def test_another_limit_is_refused_while_others_use_it(postgres: str, acme: str) -> None:
    """And another organisation has a row of its own."""
    async with joined(postgres, acme):
        with pytest.raises(OtherLimit, match="4 requests in 1 s, not 5"):
            async with joined(postgres, acme, RateLimit(requests=5, per=1.0)):
                pass
        async with joined(postgres, acme + " another", RateLimit(requests=5, per=1.0)) as other:
            await take(other, 5)


async def test_an_urgent_call_overtakes_the_job_of_another_machine(
    postgres: str, acme: str
) -> None:
    """Although the job waited first, and before."""
    async with joined(postgres, acme) as job, joined(postgres, acme) as web:
        served: list[str] = []

        async def call(gate: PostgresGate, name: str, priority: str) -> None:
            gate.release(await gate.acquire(inf, priority), counted=True)  # type: ignore[arg-type]
            served.append(name)

        await take(web, LIMIT.budget)
        bulk = [asyncio.create_task(call(job, "job", "bulk")) for _ in range(8)]
        await asyncio.sleep(0.3)
        await call(web, "alert", "urgent")
        assert served.count("job") <= 4
        await asyncio.gather(*bulk)


async def test_a_deadline_holds_while_the_database_is_away(postgres: str, acme: str) -> None:
    """The call ends as not sent; and one that has no deadline waits until it is back."""
    async with proxy.before(postgres) as (between, url), joined(url, acme) as gate:
        await take(gate)
        between.closed = True
        between.cut()
        patient = asyncio.create_task(take(gate))
        with pytest.raises(DeadlineExceeded):
            await gate.acquire(SYSTEM_CLOCK.now() + 0.3, "normal")
        assert not patient.done()
        between.closed = False
        await asyncio.wait_for(patient, 10)


async def test_a_failover_closes_it_for_one_window(
    postgres: str, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another timeline may have lost what was committed: all of the budget may be spent."""
    async with joined(postgres, acme) as one, joined(postgres, acme) as two:
        slots = [await gate.acquire(inf, "normal") for gate in (one, two)]
        monkeypatch.setattr(row.Row, "epoch", lambda _: "another")
        began = asyncio.get_running_loop().time()
        await take(two)
        assert asyncio.get_running_loop().time() - began >= LIMIT.per
        await asyncio.sleep(0.1)  # until that is written
        await take(one)
        assert one.snapshot().in_flight == 2  # as before: nobody has taken the other's
        one.release(slots[0], counted=False)
        two.release(slots[1], counted=False)


async def test_a_row_that_was_deleted_is_full_for_one_window(postgres: str, acme: str) -> None:
    """And what is in flight is so again, with everybody's slots told apart."""
    async with joined(postgres, acme) as one, joined(postgres, acme) as two:
        slots = [await gate.acquire(inf, "normal") for gate in (one, two)]
        await execute(postgres, "DELETE FROM gate WHERE organisation = %s", key_of(acme))
        began = asyncio.get_running_loop().time()
        new = await two.acquire(inf, "normal")
        assert asyncio.get_running_loop().time() - began >= LIMIT.per
        one.release(slots[0], counted=True)
        await take(one)
        assert one.snapshot().in_flight == 2
        two.release(slots[1], counted=True)
        two.release(new, counted=True)


async def test_a_commit_whose_answer_was_lost_counts_once(postgres: str, acme: str) -> None:
    """Of a turn that brings news, and of one that gets slots: nothing is counted twice or lost."""
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    async with proxy.before(postgres) as (between, url), joined(postgres, acme) as other:
        async with joined(url, acme) as gate:
            between.loses = lambda: chance.random() < 0.4
            for _ in range(4):
                gate.refused(await gate.acquire(inf, "bulk"), 0.1)
                gate.release(await gate.acquire(inf, "bulk"), counted=True)
            assert between.lost > 2
            between.loses = lambda: False
            await take(gate)
        await asyncio.sleep(LIMIT.per)
        await take(other)
        assert (other.snapshot().in_flight, other.snapshot().used) == (0, 1)


async def test_what_is_no_gate_says_so(postgres: str, acme: str) -> None:
    """Whoever wrote it; and calls that wait end as not sent."""
    async with joined(postgres, acme) as gate:
        await take(gate, LIMIT.budget)
        waiting = asyncio.create_task(gate.acquire(inf, "normal"))
        await asyncio.sleep(0.1)
        await execute(
            postgres, "UPDATE gate SET state = '[]' WHERE organisation = %s", key_of(acme)
        )
        with pytest.raises(ConfigurationError, match="is no gate's, or another release's"):
            await waiting
        await execute(postgres, "DELETE FROM gate WHERE organisation = %s", key_of(acme))
        await take(gate)


def test_no_server_and_no_tables_are_said_at_once(postgres: str) -> None:
    """When the client is made."""
    gate = PostgresGate("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(ConfigurationError, match=r"no connection to postgresql://me:.*@127") as no:
        gate.join(User(), "acme", LIMIT, 1)
    assert "secret" not in str(no.value)
    gate = PostgresGate(postgres.replace("/postgres", "/template1"))
    with pytest.raises(ConfigurationError, match="moveworks-shift fleet init"):
        gate.join(User(), "acme", LIMIT, 1)


PROGRAM = """
import asyncio, sys
from math import inf
from moveworks_shift_async import PostgresGate, RateLimit

async def main():
    class User: pass
    gate, user = PostgresGate(sys.argv[1]), User()
    gate.join(user, sys.argv[2], RateLimit(requests=4, per=1.0), 32)
    for _ in range(3):
        await gate.acquire(inf, "bulk")
    print("has them", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_that_was_killed_gives_its_slots_back(
    postgres: str, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window after its silence was noticed."""
    monkeypatch.setattr(row, "LEASE", 1.5)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, postgres, acme, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        async with joined(postgres, acme) as gate:
            await take(gate)
            os.kill(process.pid, signal.SIGKILL)
            assert gate.snapshot().in_flight == 3
            await asyncio.wait_for(take(gate, 4), 10)
    finally:
        await process.wait()
