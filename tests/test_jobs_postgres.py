"""Jobs in PostgreSQL, by many runs at once, while everything around them breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from attrs import evolve

from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.run import runner
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending import breaker
from moveworks_shift_async.storage import postgres as storage

from . import proxy
from .commands import HANG, until
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
        await told(slow, 2)
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
