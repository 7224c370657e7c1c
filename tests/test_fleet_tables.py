"""`fleet init`: the tables are made once, brought up to date, and least privileges suffice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from procrastinate.schema import SchemaManager

from moveworks_shift_async import Job, JournalError
from moveworks_shift_async.fleet.engine import both
from moveworks_shift_async.fleet.tables import check_engine, grants, make_fleet
from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.storage.postgres import connected

from .commands import environment, run
from .fleets import MESSAGE, Worker, a_database, a_job, ask

ROLES = ("moveworks_worker", "moveworks_submitter", "moveworks_planner", "moveworks_sender")
MIGRATIONS = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
#: The first that the newest releases have and older ones had not.
OLDER = "03.02.00"


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    """The URL of a database without tables."""
    async with a_database(postgres, tables=False) as url:
        yield url


async def check_fleet(url: str) -> None:
    """What a worker looks for."""
    async with both(url) as connection:
        await check_engine(connection, url)


async def test_init_makes_what_is_missing_and_says_so(empty: str) -> None:
    """Again, nothing is done; the privileges are on stdout both times."""
    for what in ("made", "there already"):
        ended = await run("fleet", "init", empty, env=environment())
        assert ended.code == 0
        ours, engine = ended.err.splitlines()
        assert ours == f"tables of jobs: {what}"
        assert engine.startswith("tables of procrastinate 3.")
        assert engine.endswith(f": {what}")
        assert ended.out == f"{grants()}\n"
        await check_fleet(empty)


async def test_inits_at_once_do_no_harm(empty: str) -> None:
    """One of them makes it, or they share it."""
    made = await asyncio.gather(*(make_fleet(empty) for _ in range(4)))
    assert sum(one.engine for one in made) == sum(one.ours for one in made) == 1
    await check_fleet(empty)


async def test_the_tables_of_an_older_engine_are_brought_up_to_date(empty: str) -> None:
    """By its own changes, in their order; a worker says that it needs that."""
    await make_tables(empty)
    old = [path for path in MIGRATIONS if path.name < OLDER]
    async with connected(empty) as connection:
        await connection.execute("CREATE SCHEMA moveworks_shift_queue")
        await connection.execute("SET search_path = moveworks_shift_queue")
        for path in old:
            await connection.execute(path.read_bytes())
    await ask(empty, "INSERT INTO engine VALUES ('3.1.0', %s)", old[-1].name)
    with pytest.raises(JournalError, match="lacks tables of procrastinate"):
        await check_fleet(empty)
    ended = await run("fleet", "init", empty, env=environment())
    assert f"brought up to date by {len(MIGRATIONS) - len(old)} changes" in ended.err
    await check_fleet(empty)
    assert not (await make_fleet(empty)).migrations
    await a_job(empty)
    submitted = await run("fleet", "submit", f"{empty}#tonight", env=environment())
    assert submitted.code == 0


async def test_tables_that_are_not_for_this_release_are_left_alone(empty: str) -> None:
    """A newer engine's, and such as somebody else made."""
    await make_fleet(empty)
    await ask(empty, "UPDATE engine SET migration = '99.00.00_01_pre_more.sql'")
    for work in (make_fleet, check_fleet):
        with pytest.raises(JournalError, match="are of a newer release than 3"):
            await work(empty)
    await ask(empty, "DELETE FROM engine")
    for work in (make_fleet, check_fleet):
        with pytest.raises(JournalError, match="not made by `moveworks-shift fleet init`"):
            await work(empty)


@pytest.fixture
async def roles(postgres: str) -> AsyncIterator[list[str]]:
    """The URLs of one role of each kind, who may do what `fleet init` says."""
    async with a_database(postgres) as url:
        mark, sql = uuid4().hex[:8], grants()
        async with connected(url) as connection:
            for role in ROLES:
                await connection.execute(f"CREATE ROLE {role}_{mark} LOGIN")
                sql = sql.replace(role, f"{role}_{mark}")
            await connection.execute(sql.encode())
        where = urlsplit(url)
        yield [
            where._replace(netloc=f"{role}_{mark}@{where.hostname}:{where.port}").geturl()
            for role in ROLES
        ]
        async with connected(url) as connection:
            for role in ROLES:
                await connection.execute(f"DROP OWNED BY {role}_{mark}")
                await connection.execute(f"DROP ROLE {role}_{mark}")


async def test_least_privileges_suffice(sandbox: Sandbox, roles: list[str], tmp_path: Path) -> None:
    """One role plans, one submits, one works, with whatever may happen to a job."""
    working, submitting, planning, sending = roles
    env = environment(sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="1000")
    await a_job(planning, chunks=20)
    long = ["x" * 65 + "@example.com", "ann@example.com"]  # a list that is refused, and divided
    await Job.plan(f"{planning}#divided", long, message=MESSAGE, legacy=True)
    worker = await Worker.started(working, env, "--lease", "4")
    for name in ("tonight", "divided"):
        ended = await run("fleet", "submit", f"{submitting}#{name}", env=environment())
        assert (ended.code, ended.out) == (0, "")
        await worker.says(f"{name}: finished")
    for url in (submitting, planning):
        assert "finished" in (await run("jobs", url, env=environment())).out
    journal = f"{planning}#tonight"
    for command in ("status", "report"):
        assert (await run(command, journal, env=environment())).code == 0
    assert "no process runs" in (await run("stop", journal, env=environment())).err
    await a_job(planning, "later")
    await run(
        "fleet", "submit", f"{submitting}#later", "--at", "2999-01-01T00:00Z", env=environment()
    )
    assert (await run("stop", f"{planning}#later", env=environment())).code == 0
    for name in ("tonight", "later"):
        assert (await run("jobs", planning, "--forget", name, env=environment())).code == 0
    people = tmp_path / "people.txt"
    people.write_text("ann@example.com\n")
    ended = await run(
        *("send", "--legacy", "--message", "Hello", "--recipients", str(people)),
        env=env | {"MOVEWORKS_GATE": sending},
    )
    assert ended.code == 0
    await asyncio.sleep(6)  # it looks after the queue every five seconds
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.ended() == 0
    assert [line for line in worker.lines if "role" in line or "away" in line] == []


async def test_a_role_may_do_no_more_than_it_needs(sandbox: Sandbox, roles: list[str]) -> None:
    """The line says where it stands what to grant."""
    working, submitting, planning, sending = roles
    await a_job(planning)
    env = environment(sandbox, MOVEWORKS_GATE="none")
    for command in (
        ("jobs", working, "--forget", "tonight"),
        ("report", f"{submitting}#tonight"),
        ("run", f"{submitting}#tonight"),
        ("fleet", "submit", f"{planning}#tonight"),
        ("status", f"{sending}#tonight"),
    ):
        ended = await run(*command, env=env)
        assert (ended.code, ended.out) == (2, "")
        assert "this role may not do that" in ended.err
        assert "`moveworks-shift fleet init` says what to grant" in ended.err
    assert not sandbox.received().people
