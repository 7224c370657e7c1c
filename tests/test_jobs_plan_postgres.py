"""A plan into PostgreSQL: broken off, cut, made twice at once, by a role that may not."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from moveworks_shift_async import InvalidInput, Job, JobRunning, JournalError

from . import proxy
from .commands import HANG, spawn

CHILD = """
import asyncio, sys
from moveworks_shift_async import Job

async def people():
    for number in range(10**9):
        yield f"p{number}@example.com"
        if number == 50_000:
            print("half way", flush=True)
            await asyncio.sleep(600)

asyncio.run(Job.plan(sys.argv[1], people(), message="Hello", legacy=True))
"""


async def rows_of(url: str, name: str) -> int:
    """The job of this name, and its chunks."""
    query = (
        "SELECT count(*) FROM moveworks_shift.job LEFT JOIN moveworks_shift.chunk ON job.id = job"
    )
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        found = await admin.execute(f"{query} WHERE name = %s", (name.rpartition("#")[2],))
        return int((await found.fetchone() or (0,))[0])


async def test_a_plan_that_is_killed_is_replaced(postgres: str) -> None:
    """Its rows go with the next plan of this name."""
    name = f"{postgres}#{uuid4()}"
    process = await spawn(sys.executable, "-c", CHILD, name, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), HANG) == b"half way\n"
    with pytest.raises(JobRunning, match="just being planned"):
        await Job.plan(name, ["a@example.com"], message="Hello", legacy=True)
    process.kill()
    await process.wait()
    assert not (await Job(name).account()).complete
    await Job.plan(name, ["a@example.com"], message="Hello", legacy=True)
    assert await rows_of(postgres, name) == 1
    assert (await Job(name).account()).people == 1


async def test_of_plans_at_once_one_wins(postgres: str) -> None:
    """The others are refused, and the job is whole."""
    name = f"{postgres}#{uuid4()}"
    people = [f"p{number}@example.com" for number in range(5_000)]
    made = await asyncio.gather(
        *(Job.plan(name, people, message="Hello", legacy=True) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, JournalError) for one in made) == 3, made
    account = await Job(name).account()
    assert (account.people, account.complete) == (5_000, True)
    assert await rows_of(postgres, name) == 10


async def endless() -> AsyncIterator[str]:
    """More people than there are."""
    for number in range(10**9):
        yield f"p{number}@example.com"


async def test_a_plan_that_is_cancelled_leaves_nothing(postgres: str) -> None:
    """At whatever moment."""
    chance = random.Random(3)  # noqa: S311 - repeatable, not secret
    for _ in range(12):
        name = f"{postgres}#{uuid4()}"
        going = asyncio.ensure_future(Job.plan(name, endless(), message="Hello", legacy=True))
        await asyncio.sleep(chance.uniform(0, 0.6))
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(going, HANG)
        with pytest.raises(JournalError, match="there is no job"):
            await Job(name).account()


async def test_a_plan_whose_connection_is_cut_leaves_nothing(postgres: str) -> None:
    """Neither where the server is there again, nor, once it is replaced, where it is not."""
    async with proxy.before(postgres) as (between, url):
        for there in (True, False):
            name = f"{postgres}#{uuid4()}"
            through = name.replace(postgres, url)
            going = asyncio.ensure_future(
                Job.plan(through, endless(), message="Hello", legacy=True)
            )
            while not await rows_of(postgres, name) and not going.done():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            between.closed = not there
            between.cut()
            await asyncio.sleep(0.2)
            going.cancel()
            with pytest.raises((JournalError, asyncio.CancelledError)):
                await asyncio.wait_for(going, HANG)
            between.closed = False
            assert await rows_of(postgres, name) == (0 if there else 1)
            await Job.plan(name, ["a@example.com"], message="Hello", legacy=True)


async def test_a_plan_whose_last_answer_is_lost_leaves_nothing(postgres: str) -> None:
    """It is not known to be whole, so it is not there."""
    async with proxy.before(postgres) as (between, url):
        name = f"{postgres}#{uuid4()}"
        between.loses = lambda: between.commits == 3
        with pytest.raises(JournalError, match="no connection"):
            await Job.plan(
                name.replace(postgres, url), ["a@example.com"], message="Hello", legacy=True
            )
    assert await rows_of(postgres, name) == 0


async def test_a_text_that_a_database_cannot_hold_is_refused(postgres: str) -> None:
    """As what it is; nothing is left."""
    name = f"{postgres}#{uuid4()}"
    with pytest.raises(InvalidInput, match="holds a NUL"):
        await Job.plan(name, ["a@example.com"], message="a\0b", legacy=True)
    assert await rows_of(postgres, name) == 0
