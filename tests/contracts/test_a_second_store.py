"""A job on a store that is no file: what a store must do is in the ports, and no more."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest
from attrs import evolve

from moveworks_shift_async.client import MoveworksClient
from moveworks_shift_async.jobs import job as jobs
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.plan import plan as planning
from moveworks_shift_async.jobs.records import State
from moveworks_shift_async.sandbox.server import Sandbox
from moveworks_shift_async.settings import ApiKey, RateLimit

from .memory_store import MemoryStore, bury, in_memory

PEOPLE = [f"p{number}@example.com" for number in range(20_000)]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryStore:
    """What every job's name leads to: the one line in `names`."""
    made = in_memory()
    for room in (jobs, planning):
        monkeypatch.setattr(room, "store_of", lambda _: made)
    return made


def client_of(sandbox: Sandbox) -> MoveworksClient:
    """A client that no limit binds."""
    limit = RateLimit(requests=100_000, per=1.0)
    return MoveworksClient(
        ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=limit, max_in_flight=4
    )


async def plan() -> Job:
    """Everybody, one of them twice, and nobody."""
    await Job.plan("memory:job", [*PEOPLE, PEOPLE[0], "nobody"], message="Hello", legacy=True)
    return Job("memory:job")


@pytest.mark.usefixtures("store")
async def test_a_job_is_planned_run_and_accounted_for(tmp_path: Path) -> None:
    """Everybody is told once, and each has a row."""
    job = await plan()
    async with Sandbox() as sandbox, client_of(sandbox) as client:
        account = await job.run(client)
        told = sandbox.received().people
    assert (account.accepted, account.duplicates, account.invalid) == (len(PEOPLE), 1, 1)
    assert (account.finished, account.running) == (True, False)
    assert told == dict.fromkeys(PEOPLE, 1)
    await job.write_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        outcomes = [row["outcome"] for row in csv.DictReader(file)]
    assert [*map(outcomes.count, ("accepted", "duplicate", "invalid"))] == [len(PEOPLE), 1, 1]


async def test_two_runs_share_a_job(store: MemoryStore) -> None:
    """Where a store lets many work, nobody is told twice and nobody is left out."""
    await plan()
    async with (
        Sandbox(latency=0.01) as sandbox,
        client_of(sandbox) as one,
        client_of(sandbox) as two,
    ):
        accounts = await asyncio.gather(
            Job("memory:job").resume(one), Job("memory:job").resume(two)
        )
        assert sandbox.received().people == dict.fromkeys(PEOPLE, 1)
    assert accounts[-1].accepted == len(PEOPLE) or accounts[0].accepted == len(PEOPLE)
    assert {record.owner for record in store.job().records()} == set(store.job().runs)
    assert [run.ended for run in (await Job("memory:job").account()).runs] == ["done"] * 2


async def test_what_a_dead_run_held_is_unknown_to_the_account(store: MemoryStore) -> None:
    """It asks who is alive, not for a lock; a living run's people are on their way."""
    job = await plan()
    async with Sandbox() as sandbox, client_of(sandbox) as client:
        running = asyncio.create_task(job.run(client))
        while not any(r.state is State.SENDING for r in store.job().records()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        during = await job.account()
        await running
    assert (during.running, during.unknown) == (True, 0)
    assert during.in_flight > 0
    store.job().change(
        lambda r: r.id == 3, lambda r: evolve(r, state=State.SENDING, owner="another")
    )
    await bury(store, "another")
    after = await job.account()
    assert (after.unknown, after.in_flight) == (500, 0)
