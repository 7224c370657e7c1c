"""The gate in PostgreSQL, with its real clock: processes, faults of the server, urgency, cost."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from math import inf
from uuid import uuid4

import pytest
from attrs import evolve

from moveworks_shift_async import ConfigurationError, PostgresGate, RateLimit
from moveworks_shift_async.clock import SYSTEM_CLOCK
from moveworks_shift_async.errors import DeadlineExceeded, OtherLimit
from moveworks_shift_async.limits.shared import row
from moveworks_shift_async.storage import postgres as storage
from moveworks_shift_async.storage.postgres import Connection, connected

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


def gate_threads() -> set[threading.Thread]:
    """Those of gates in this process."""
    return {thread for thread in threading.enumerate() if thread.name == "gate"}


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


async def test_a_network_that_falls_silent(
    postgres: str, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No byte passes and nothing ends: a turn is given up after its time, and done again."""
    monkeypatch.setattr(storage, "_STEP_SECONDS", 0.5)
    async with proxy.before(postgres) as (between, url), joined(url, acme) as gate:
        calls = asyncio.create_task(take(gate, LIMIT.budget))
        between.silent = True
        await asyncio.sleep(1.5)
        assert not calls.done()
        between.silent = False
        await asyncio.wait_for(calls, 10)
        assert gate.snapshot().in_flight == 0


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


async def test_a_full_disk_is_waited_for(postgres: str, acme: str) -> None:
    """Whoever runs the database makes room."""
    full, key = f"full_{uuid4().hex}", key_of(acme)
    async with joined(postgres, acme) as gate:
        await execute(
            postgres,
            f"CREATE FUNCTION {full}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN IF new.organisation = '{key}' THEN"
            " RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END IF; RETURN new; END $$",
        )
        await execute(
            postgres,
            f"CREATE TRIGGER {full} BEFORE UPDATE ON gate FOR EACH ROW EXECUTE FUNCTION {full}()",
        )
        try:
            waiting = asyncio.create_task(take(gate))
            with pytest.raises(DeadlineExceeded):
                await gate.acquire(SYSTEM_CLOCK.now() + 0.5, "normal")
            assert not waiting.done()
        finally:
            await execute(postgres, f"DROP FUNCTION {full} CASCADE")
        await asyncio.wait_for(waiting, 10)


async def test_who_holds_one_row_stops_no_other_organisation(postgres: str, acme: str) -> None:
    """And if he is frozen, his own for a few seconds only."""
    async with joined(postgres, acme) as gate, joined(postgres, acme + " other") as other:
        async with connected(postgres) as holder, holder.transaction():
            await holder.execute(
                "SELECT FROM gate WHERE organisation = %s FOR UPDATE", [key_of(acme)]
            )
            await asyncio.wait_for(take(other, 3), 5)
            held = asyncio.create_task(take(gate))
            await asyncio.sleep(0.3)
            assert not held.done()
        await asyncio.wait_for(held, 10)


async def test_a_role_needs_no_more_than_is_said(postgres: str, acme: str) -> None:
    """To read, write and make rows; and what every role may ask of its server."""
    role = f"least_{uuid4().hex}"
    for grant in (
        "CREATE ROLE {} LOGIN",
        "GRANT USAGE ON SCHEMA moveworks_shift TO {}",
        "GRANT SELECT, INSERT, UPDATE ON gate TO {}",
    ):
        await execute(postgres, grant.format(role))
    try:
        async with joined(postgres.replace("tester@", f"{role}@"), acme) as gate:
            await take(gate, LIMIT.budget + 1)
    finally:
        await execute(postgres, f"DROP OWNED BY {role}")
        await execute(postgres, f"DROP ROLE {role}")


async def test_a_clock_that_was_set_back_stops_nobody(
    postgres: str, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And lets nobody begin anew; who was dead before it is found dead as soon."""
    monkeypatch.setattr(row, "LEASE", 2.0)
    take_row = row.Row.take

    async def an_hour_ago(connection: Connection, key: str, place: str) -> row.Row:
        found = await take_row(connection, key, place)
        return evolve(found, now=found.now() - 3600)

    async with joined(postgres, acme) as gate:
        dead = PostgresGate(postgres)
        dead.join(User(), acme, LIMIT, 32)
        await dead.acquire(inf, "bulk")
        began = asyncio.get_running_loop().time()
        await take(gate, 3)
        monkeypatch.setattr(row.Row, "take", an_hour_ago)
        await asyncio.wait_for(take(gate, 2), 5)
        assert asyncio.get_running_loop().time() - began >= LIMIT.per


async def test_two_event_loops_share_a_gate(postgres: str, acme: str) -> None:
    """Each in a thread of its own; and one that ended with a call in it holds up nobody."""
    async with joined(postgres, acme) as gate:

        async def leave_one_waiting() -> None:
            await take(gate, LIMIT.budget)
            asyncio.ensure_future(take(gate)).add_done_callback(lambda _: None)
            await asyncio.sleep(0.1)

        await asyncio.to_thread(asyncio.run, leave_one_waiting())
        threads = [asyncio.to_thread(asyncio.run, take(gate, 3)) for _ in range(2)]
        await asyncio.wait_for(asyncio.gather(take(gate, 2), *threads), 15)
        assert gate.snapshot().in_flight == 0


async def test_leaving_ends_the_calls_that_wait(postgres: str, acme: str) -> None:
    """As not sent, also those that come later; and the gate may be joined again."""
    gate, user = PostgresGate(postgres), User()
    gate.join(user, acme, LIMIT, 32)
    await take(gate, LIMIT.budget)
    waiting = asyncio.create_task(take(gate))
    await asyncio.sleep(0.1)
    gate.leave(user)
    for call in (waiting, take(gate)):
        with pytest.raises(ConfigurationError, match="closed"):
            await call
    gate.join(user, acme, LIMIT, 32)
    await take(gate)
    gate.leave(user)


async def test_leaving_does_not_wait_for_a_database_that_is_away(postgres: str, acme: str) -> None:
    """And nothing of it is left behind that would try for ever."""
    before = gate_threads()
    async with proxy.before(postgres) as (between, url):
        async with joined(url, acme) as gate:
            await gate.acquire(inf, "bulk")
            between.closed = True
            between.cut()
        async with asyncio.timeout(5):
            while gate_threads() - before:  # noqa: ASYNC110 - another thread ends
                await asyncio.sleep(0.05)


async def test_a_gate_that_was_forgotten_ends_by_itself(postgres: str, acme: str) -> None:
    """Wherever it is found to be garbage."""

    def forget() -> set[threading.Thread]:
        before = gate_threads()
        gate, user = PostgresGate(postgres), User()
        gate.join(user, acme, LIMIT, 32)
        gate.itself = gate  # type: ignore[attr-defined]
        return gate_threads() - before

    (its_own,) = forget()
    gc.collect()
    await asyncio.to_thread(its_own.join, 5)
    assert not its_own.is_alive()


# It takes three slots and says so; then it does what its last argument says.
PROGRAM = """
import asyncio, logging, os, sys
from math import inf
from moveworks_shift_async import ConfigurationError, PostgresGate, RateLimit
from moveworks_shift_async.limits.shared import row

row.LEASE, LIMIT = 1.5, RateLimit(requests=4, per=1.0)
logging.getLogger("asyncio").setLevel("ERROR")  # its debug mode tells of a busy machine
class User: pass

async def hold():
    slots = [await gate.acquire(inf, "bulk") for _ in range(3)]
    print("has them", flush=True)
    if sys.argv[3] == "answer":
        await asyncio.to_thread(sys.stdin.readline)
        for slot in slots:
            gate.release(slot, counted=True)
        await asyncio.sleep(60)
    if sys.argv[3] == "sleep":
        await asyncio.sleep(60)

gate, user = PostgresGate(sys.argv[1]), User()
gate.join(user, sys.argv[2], LIMIT, 32)
asyncio.run(hold())
if sys.argv[3] == "fork" and (child := os.fork()) == 0:
    for use in (lambda: gate.join(User(), "o", LIMIT, 1), lambda: asyncio.run(gate.acquire())):
        try:
            use()
        except ConfigurationError as error:
            assert "before a fork" in str(error)
        else:
            os._exit(9)
    gate.leave(user)
    gate, user = PostgresGate(sys.argv[1]), User()
    gate.join(user, sys.argv[2], LIMIT, 32)
    asyncio.run(gate.acquire())
    sys.exit(0)
if sys.argv[3] == "fork":
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(gate.acquire(inf))
"""


@asynccontextmanager
async def program(url: str, acme: str, what: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """It, once it has three slots."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"),  # of a fork
        *("-c", PROGRAM, url, acme, what),
        stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"has them\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("what", ["exit", "fork"])
async def test_a_program_that_ends_gives_its_slots_back(
    postgres: str, acme: str, what: str
) -> None:
    """Quietly, one window later, though it has not left; and a fork of it harms nothing."""
    async with program(postgres, acme, what) as process:
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, out, err.decode()) == (0, b"", "")
        async with joined(postgres, acme) as gate:
            assert gate.snapshot().in_flight == 0
            await asyncio.wait_for(take(gate, LIMIT.budget), 5)


async def test_who_was_frozen_longer_than_his_lease_is_counted_again(
    postgres: str, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What he has in flight may be answered yet."""
    monkeypatch.setattr(row, "LEASE", 1.5)
    async with program(postgres, acme, "answer") as process, joined(postgres, acme) as gate:
        assert process.stdin is not None
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.wait_for(take(gate, LIMIT.budget), 10)
        os.kill(process.pid, signal.SIGCONT)
        await asyncio.sleep(1.0)
        await asyncio.wait_for(take(gate), 5)
        assert gate.snapshot().in_flight == 3
        began = asyncio.get_running_loop().time()
        process.stdin.write(b"\n")
        await asyncio.wait_for(take(gate, LIMIT.budget), 5)
        assert asyncio.get_running_loop().time() - began >= LIMIT.per


async def test_a_process_that_was_killed_gives_its_slots_back(
    postgres: str, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window after its silence was noticed."""
    monkeypatch.setattr(row, "LEASE", 1.5)
    async with program(postgres, acme, "sleep") as process, joined(postgres, acme) as gate:
        await take(gate)
        os.kill(process.pid, signal.SIGKILL)
        assert gate.snapshot().in_flight == 3
        await asyncio.wait_for(take(gate, 4), 10)
