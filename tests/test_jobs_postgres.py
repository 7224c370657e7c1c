"""Jobs in PostgreSQL, by many runs at once, while everything around them breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve

from moveworks_shift_async import RateLimit
from moveworks_shift_async.errors import JobStopped, JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import Chunk, State
from moveworks_shift_async.jobs.run import runner
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.jobs.store.first import First
from moveworks_shift_async.jobs.store.names import store_of, with_lease
from moveworks_shift_async.jobs.store.ports import RunStore, Store
from moveworks_shift_async.jobs.store.postgres.run_store import PostgresRunStore
from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.jobs.store.postgres.writer import Writer
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending import breaker
from moveworks_shift_async.storage import postgres as storage

from . import proxy
from .commands import HANG, until
from .contracts.test_stores import NOW, begin, end_of
from .fleet import CLEAN, IN_FLIGHT, audited, planned, run, worker
from .postgres import Server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that people would not notice are too long for tests."""
    monkeypatch.setattr(breaker, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(runner, "_LOOK", 0.05)


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """A server that takes its time, so that something is always on its way."""
    async with Sandbox(limit=100_000, window=1.0, latency=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be stopped."""
    made = Server.make(Path(tempfile.mkdtemp(prefix="moveworks-faults-")))
    try:
        asyncio.run(make_tables(made.url))
        yield made
    finally:
        made.end()


async def all_end(*runs: asyncio.Task[None]) -> None:
    """Wait for runs; a hang is a failure."""
    async with asyncio.timeout(HANG):
        await asyncio.gather(*runs)


def started(name: str, sandbox: Sandbox, count: int = 2, **how: float) -> list[asyncio.Task[None]]:
    """So many runs of one job in this process, at once."""
    return [asyncio.ensure_future(run(name, sandbox, **how)) for _ in range(count)]  # type: ignore[arg-type]


async def told(sandbox: Sandbox, count: int) -> None:
    """Wait until so many requests were accepted."""
    async with asyncio.timeout(HANG):
        while sandbox.stats().accepted < count:  # noqa: ASYNC110 - the server takes its time
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_everybody_is_told_once_by_however_many(
    postgres: str, sandbox: Sandbox, count: int
) -> None:
    """Each request is made once, whoever makes it, and the account is of all runs together."""
    name = await planned(postgres, 40)
    await all_end(*started(name, sandbox, count))
    assert await audited(name, sandbox) == CLEAN
    account = await Job(name).account()
    assert (account.finished, account.accepted, account.running) == (True, 120, False)
    assert account.requests == 40


async def test_a_commit_whose_answer_is_lost_is_done_once(postgres: str, slow: Sandbox) -> None:
    """Of claims, marks, ends and notes; of the beginning and the end of a run as well."""
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    async with proxy.before(postgres) as (between, url):
        name = await planned(postgres, 40)
        between.loses = lambda: chance.random() < 0.3
        await all_end(*started(name.replace(postgres, url), slow, 2))
        assert between.lost > 5
    assert await audited(name, slow) == CLEAN
    account = await Job(name).account()
    assert (account.requests, len(account.runs)) == (40, 2)


async def test_connections_are_cut_again_and_again(postgres: str, slow: Sandbox) -> None:
    """The runs come back, and nobody is unknown."""
    async with proxy.before(postgres) as (between, url):
        name = await planned(postgres, 60)
        runs = started(name.replace(postgres, url), slow, 2)
        while len((await Job(name).account()).runs) < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)  # a first connection is not tried again
        while not all(one.done() for one in runs):
            between.cut()
            await asyncio.sleep(0.1)
        await all_end(*runs)
    assert await audited(name, slow) == CLEAN


async def test_a_network_that_falls_silent(
    postgres: str, slow: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No byte passes and nothing ends: a step is given up after its time, and done again."""
    monkeypatch.setattr(storage, "_STEP_SECONDS", 0.5)
    async with proxy.before(postgres) as (between, url):
        name = await planned(postgres, 40)
        runs = started(name.replace(postgres, url), slow, 2)
        await told(slow, 8)
        between.silent = True
        await asyncio.sleep(2)
        between.silent = False
        await all_end(*runs)
    assert await audited(name, slow) == CLEAN


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_restarts_is_waited_for(
    server: Server, slow: Sandbox, mode: str
) -> None:
    """Whatever was in flight is settled when it is back, also after a crash."""
    name = await planned(server.url, 60)
    runs = started(name, slow, 2)
    for count in (8, 20, 32):
        await told(slow, count)
        await asyncio.to_thread(server.stop, mode)
        await asyncio.to_thread(server.start)
    await all_end(*runs)
    assert await audited(name, slow) == CLEAN


async def test_a_server_that_is_away_for_longer_than_a_lease(server: Server, slow: Sandbox) -> None:
    """The first that comes back gives nobody up: the others were cut off as it was."""
    name = await planned(server.url, 60)
    runs = started(name, slow, 3, lease=4.0)
    await told(slow, 8)
    await asyncio.to_thread(server.stop, "fast")
    await asyncio.sleep(5)
    await asyncio.to_thread(server.start)
    await all_end(*runs)
    assert await audited(name, slow) == CLEAN


async def test_an_administrator_ends_all_connections_again_and_again(
    server: Server, slow: Sandbox
) -> None:
    """They come back."""
    name = await planned(server.url, 60)
    runs = started(name, slow, 2)
    await told(slow, 2)
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as admin:
        while not all(one.done() for one in runs):
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'moveworks-shift'"
            )
            await asyncio.sleep(0.1)
    await all_end(*runs)
    assert await audited(name, slow) == CLEAN


async def several(name: str, sandbox: Sandbox) -> list[asyncio.subprocess.Process]:
    """Three processes that run a job; the first is in the middle of it."""
    workers = [await worker(name, sandbox, lease=2.0)]
    await told(sandbox, IN_FLIGHT)
    return [*workers, *[await worker(name, sandbox, lease=2.0) for _ in range(2)]]


async def given_up(url: str, name: str) -> None:
    """Wait until a run of the job is given up by the others."""
    query = (
        "SELECT 1 FROM moveworks_shift.run JOIN moveworks_shift.job ON job.id = run.job"
        " WHERE name = %s AND given_up"
    )
    async with (
        asyncio.timeout(HANG),
        await psycopg.AsyncConnection.connect(url, autocommit=True) as admin,
    ):
        while not await (await admin.execute(query, (name.rpartition("#")[2],))).fetchone():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_killed_run_leaves_unknown_what_it_had_on_its_way(
    postgres: str, slow: Sandbox
) -> None:
    """And nothing else: the others send the rest."""
    name = await planned(postgres, 200)
    workers = await several(name, slow)
    workers[0].kill()
    ends = await asyncio.gather(*(one.communicate() for one in workers))
    assert [one.returncode for one in workers] == [-9, 0, 0], ends
    found = await audited(name, slow)
    assert evolve(found, unknown=0) == CLEAN
    assert found.unknown <= 3 * IN_FLIGHT


async def test_a_frozen_run_sends_nothing_more(postgres: str, slow: Sandbox) -> None:
    """Silent for longer than its lease it ends, and says why; its own late answers count."""
    name = await planned(postgres, 200)
    workers = await several(name, slow)
    workers[0].send_signal(signal.SIGSTOP)
    await given_up(postgres, name)
    workers[0].send_signal(signal.SIGCONT)
    ends = await asyncio.gather(*(one.communicate() for one in workers))
    assert [one.returncode for one in workers] == [3, 0, 0], ends
    assert b"silent for longer than its lease of 2 s" in ends[0][1]
    found = await audited(name, slow)
    assert evolve(found, unknown=0) == CLEAN
    assert found.unknown <= 3 * IN_FLIGHT


async def test_cancelled_at_any_moment_the_account_is_right(postgres: str, slow: Sandbox) -> None:
    """Unknown are those whose request was cut, and every run that began has ended."""
    chance = random.Random(2)  # noqa: S311 - repeatable, not secret
    name = await planned(postgres, 60)
    for _ in range(100):
        (one,) = started(name, slow, 1, resume=True)
        await asyncio.sleep(chance.uniform(0, 0.15))
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(HANG):
                await one
        if (account := await Job(name).account()).finished:
            break
    found = await audited(name, slow)
    assert (found.lost, found.twice, found.denied) == (0, 0, 0)
    assert not account.running


FULL = """
CREATE FUNCTION moveworks_shift.full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER no_room BEFORE UPDATE ON moveworks_shift.chunk
EXECUTE FUNCTION moveworks_shift.full()
"""


async def test_a_disk_that_is_full_is_waited_for(server: Server, slow: Sandbox) -> None:
    """It goes on as soon as there is room, and says so meanwhile."""
    seen: list[str] = []
    name = await planned(server.url, 60)
    going = asyncio.ensure_future(run(name, slow, on_progress=lambda now: seen.append(now.why)))
    await told(slow, 8)
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as admin:
        await admin.execute(FULL)
        try:
            await until(lambda: any("has no room on its disk" in why for why in seen))
        finally:
            await admin.execute("DROP FUNCTION moveworks_shift.full CASCADE")
    await all_end(going)
    assert await audited(name, slow) == CLEAN


# --- what is shown --------------------------------------------------------------------------


async def test_progress_says_that_the_database_is_away(postgres: str, slow: Sandbox) -> None:
    """And what to look at."""
    seen: list[str] = []
    async with proxy.before(postgres) as (between, url):
        name = await planned(postgres, 20)
        going = asyncio.ensure_future(
            run(name.replace(postgres, url), slow, on_progress=lambda now: seen.append(now.why))
        )
        await told(slow, 4)
        between.closed = True
        between.cut()
        await until(lambda: any("waiting for the database: no connection" in why for why in seen))
        between.closed = False
        await all_end(going)
    assert await audited(name, slow) == CLEAN


async def test_progress_counts_what_others_have_sent(postgres: str) -> None:
    """A run that has nothing left waits for the others, says so, and ends when they do."""
    seen: list[JobProgress] = []
    async with Sandbox(limit=100_000, window=1.0, latency=1.0) as sandbox:
        name = await planned(postgres, 4)
        first = asyncio.ensure_future(run(name, sandbox))
        while not (await Job(name).account()).in_flight:  # noqa: ASYNC110 - it begins
            await asyncio.sleep(0.05)
        await all_end(first, asyncio.ensure_future(run(name, sandbox, on_progress=seen.append)))
        assert await audited(name, sandbox) == CLEAN
    assert "waiting for what other runs of the job have" in {now.why for now in seen}
    assert (seen[-1].told, seen[-1].total, seen[-1].finished) == (12, 12, True)


async def test_who_counts_is_told_after_those_whom_it_has_counted(postgres: str) -> None:
    """Else a run would count an end of its own twice: all steps of a commit see one another."""
    store, order = store_of(await planned(postgres, 2)), list[tuple[str, int]]()

    async def count(running: RunStore) -> None:
        totals = await running.totals()
        assert totals is not None
        ended = (total.people for total in totals if total.state is State.ACCEPTED)
        order.append(("counted", sum(ended)))

    async def settle(running: RunStore, chunk: Chunk) -> None:
        assert await running.settle(end_of(chunk))
        order.append(("settled", len(chunk.recipients)))

    async with store.running() as running:
        await begin(running, "run")
        (chunk,) = await running.claim("run", 1)
        assert await running.sending(chunk, NOW)
        await asyncio.gather(count(running), settle(running, chunk))
    assert order == [("settled", 3), ("counted", 3)]


# --- who may, and who decides ---------------------------------------------------------------


async def test_others_take_the_chunks_of_a_silent_run_and_its_late_answer_counts(
    postgres: str,
) -> None:
    """Until the user has decided: who was skipped stays unknown, who was sent to again is told."""
    for word, state in (("report", "accepted"), ("skip", "unknown"), ("resend", "planned")):
        store = with_lease(store_of(await planned(postgres, 2)), 2.0)
        async with store.running() as silent, store.running() as other:
            await begin(silent, "silent")
            (chunk,) = await silent.claim("silent", 1)
            assert await silent.sending(chunk, NOW)
            await lapse(postgres, store)
            await begin(other, "other", word)  # type: ignore[arg-type]
            assert await silent.settle(end_of(chunk)) is (word == "report")
            record = (await other.account.state()).records[0]
            assert (record.state, record.requests) == (state, 1)
            assert await other.claim("other", 9)


async def test_a_run_that_was_given_up_takes_its_mark_back(postgres: str) -> None:
    """Nobody is unknown where nothing left; and it hears that it has ended."""
    store = with_lease(store_of(await planned(postgres, 2)), 2.0)
    async with store.running() as silent, store.running() as other:
        await begin(silent, "silent")
        one, two = await silent.claim("silent", 2)
        assert await silent.sending(one, NOW)
        await lapse(postgres, store)
        await begin(other, "other")
        states = [record.state for record in (await other.account.state()).records]
        assert states == [State.UNKNOWN, State.PLANNED]
        for chunk in (one, two):
            with pytest.raises(JournalError, match="silent for longer than its lease of 2 s"):
                await silent.sending(chunk, NOW)
        with pytest.raises(JournalError, match="silent for longer"):
            await silent.claim("silent", 1)
        assert [record.state for record in (await other.account.state()).records] == [
            State.PLANNED
        ] * 2
        assert [chunk.id for chunk in await other.claim("other", 9)] == [0, 1]


async def test_a_run_that_was_given_up_claims_nothing(postgres: str) -> None:
    """Also in the step in which it hears of it: nobody would ever have those chunks again."""
    store = with_lease(store_of(await planned(postgres, 3)), 2.0)
    async with store.running() as silent, store.running() as other:
        await begin(silent, "silent")
        await lapse(postgres, store)
        await begin(other, "other")
        with pytest.raises(JournalError, match="silent for longer"):
            await silent.claim("silent", 2)
        assert [chunk.id for chunk in await other.claim("other", 9)] == [0, 1, 2]


async def test_no_request_leaves_with_less_than_a_third_of_its_lease(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is renewed before: the process was frozen between the commit and the request."""
    store = with_lease(store_of(await planned(postgres, 2)), 60.0)
    async with store.running() as run:
        await begin(run, "first")
        (chunk,) = await run.claim("first", 1)
        assert isinstance(run, PostgresRunStore)
        asked: list[float] = []
        writer, ask = run._writer, run._writer.ask

        def late(step: object) -> asyncio.Future[object]:
            asked.append(writer._leased_at)
            done = ask(step)  # type: ignore[arg-type]
            if len(asked) == 1:
                done.add_done_callback(
                    lambda _: setattr(writer, "_leased_at", writer._leased_at - 41)
                )
            return done

        monkeypatch.setattr(Writer, "ask", lambda _, step: late(step))
        assert await run.sending(chunk, NOW)
        assert len(asked) == 2


async def test_many_that_begin_and_die_at_once_lock_nobody_out(postgres: str) -> None:
    """Steps that are in each other's way are done again."""
    name = await planned(postgres, 60)
    store = with_lease(store_of(name), 2.0)

    async def live(owner: str) -> None:
        async with store.running() as run:
            await begin(run, owner, "resend")
            for chunk in await run.claim(owner, 9):
                if await run.sending(chunk, NOW):
                    parts = [tuple(chunk.recipients)[:1], tuple(chunk.recipients)[1:]]
                    state = State.SPLIT if len(parts[1]) == 2 else State.ACCEPTED
                    await run.settle(end_of(chunk, state), parts if parts[1][1:] else ())
            for chunk in await run.claim(owner, 5):  # and it leaves these
                await run.sending(chunk, NOW)

    async with asyncio.timeout(HANG):
        await asyncio.gather(*(live(f"run {number}") for number in range(12)))
    account = await Job(name).account()
    assert account.people == 180
    assert (account.accepted + account.not_sent + account.unknown + account.in_flight) == 180


async def test_a_role_with_the_least_rights_runs_a_job(postgres: str, sandbox: Sandbox) -> None:
    """One that may only read may look at it, and is told what it may not."""
    reader = await role(postgres, "SELECT")
    name = await planned(postgres, 4)
    looking = Job(name.replace("tester@", f"{reader}@"))
    assert (await looking.account()).people == 12
    with pytest.raises(JournalError, match="this role may not do that"):
        await run(looking.path, sandbox)
    with pytest.raises(JournalError, match="this role may not do that"):
        await planned(postgres.replace("tester@", f"{reader}@"))
    worker = await role(postgres, "SELECT, INSERT, UPDATE")
    await run(name.replace("tester@", f"{worker}@"), sandbox)
    assert await audited(name, sandbox) == CLEAN
    none = await role(postgres, None)
    with pytest.raises(JournalError, match="no tables of this release that this role may see"):
        await Job(name.replace("tester@", f"{none}@")).account()


async def test_a_database_without_our_tables_says_how_to_make_them(postgres: str) -> None:
    """For whatever is asked of it."""
    bare = f"bare_{uuid4().hex}"
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {bare}".encode())
    url = f"{postgres.rpartition('/')[0]}/{bare}"
    for job in (planned(url), Job(f"{url}#job").account(), Job(f"{url}#job").stop()):
        with pytest.raises(JournalError, match="make them with: moveworks-shift fleet init"):
            await job
    Job(f"{url}#job").remove()


async def lapse(url: str, store: Store) -> None:
    """Let the leases of a job's runs run out."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(
            "UPDATE moveworks_shift.run SET lease_until = now() - interval '1 s'"
            " WHERE job = (SELECT id FROM moveworks_shift.job WHERE name = %s)",
            (store.name.rpartition("#")[2],),
        )


async def role(url: str, rights: str | None) -> str:
    """A new role with these rights on our tables."""
    name = f"role_{uuid4().hex}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        if rights is not None:
            schema = "SCHEMA moveworks_shift"
            await admin.execute(f"GRANT USAGE ON {schema} TO {name}".encode())
            await admin.execute(f"GRANT {rights} ON ALL TABLES IN {schema} TO {name}".encode())
    return name


async def test_a_run_for_the_first_ones_can_have_sent_to_no_others(postgres: str) -> None:
    """So where another server takes over, they alone are unknown, and none of those after them."""
    name = await planned(postgres, 9, 3)
    store, lost = store_of(name), str(uuid4())
    moved = "UPDATE moveworks_shift.run SET server = 'elsewhere' WHERE id = %s"
    async with store.running() as one, store.running() as other:
        await begin(one, lost, first=First(people=4))
        async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as admin:
            await admin.execute(moved, (lost,))
        await begin(other, "second")
        found = (await other.account.state()).totals
    assert {total.state: total.people for total in found if total.state is not State.SPLIT} == {
        State.UNKNOWN: 4,
        State.PLANNED: 23,
    }


async def test_a_standby_that_takes_over_without_the_last_commits(
    server: Server, slow: Sandbox
) -> None:
    """What may have been sent since is unknown; nobody is told twice, and the job goes on."""
    name = await planned(server.url, 400, 1)
    folder = Path(tempfile.mkdtemp(prefix="moveworks-standby-"))
    standby: Server | None = None
    limit = RateLimit(requests=20, per=1.0)
    async with proxy.before(server.url) as (between, url):
        through = name.replace(server.url, url)
        try:
            going = asyncio.ensure_future(run(through, slow, lease=4.0, limit=limit))
            await told(slow, 30)
            standby = await asyncio.to_thread(server.copy, folder)
            await told(slow, slow.stats().accepted + 30)
            between.closed = True
            between.cut()
            await asyncio.to_thread(standby.take_over)
            between.port, between.closed = int(standby.url.rpartition(":")[2].split("/")[0]), False
            with pytest.raises(JobStopped, match="another server took over"):
                await all_end(going)
            await run(through, slow, resume=True)
            found = await audited(through, slow)
            assert evolve(found, unknown=0) == CLEAN
            assert found.unknown < 300, "not all that is left"
            reasons = {kind.message for kind in (await Job(through).account()).errors}
            assert any("another database server took over" in str(reason) for reason in reasons)
        finally:
            if standby is not None:
                standby.end()
