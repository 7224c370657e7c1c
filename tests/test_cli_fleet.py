"""The commands around jobs in a database: listed, forgotten, leased."""

from __future__ import annotations

import asyncio
import configparser
import re
import shlex
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from moveworks_shift_async import (
    ApiKey,
    InvalidInput,
    Job,
    JobRunning,
    JournalError,
    MoveworksClient,
    RateLimit,
)
from moveworks_shift_async.cli.main import commands
from moveworks_shift_async.clock import SYSTEM_CLOCK
from moveworks_shift_async.fleet.tables import grants
from moveworks_shift_async.jobs.run.job_run import JobRun
from moveworks_shift_async.jobs.store.postgres.listing import forget
from moveworks_shift_async.jobs.store.postgres.store import PostgresStore
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.storage.postgres import connected

from .commands import PACKAGE, environment, run

MESSAGE = "The VPN is down tonight."


@pytest.fixture
def name() -> str:
    """Of a job that no other test has."""
    return f"tonight-{uuid4()}"


def free(sandbox: Sandbox) -> dict[str, str]:
    """The variables of a user whose limit does not bind."""
    return environment(sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="100000")


def client_of(sandbox: Sandbox) -> MoveworksClient:
    """A client whose limit does not bind."""
    limit = RateLimit(requests=100_000)
    return MoveworksClient(ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=limit)


async def a_job(journal: str, count: int = 1200) -> Job:
    """A job for so many people, one of them twice, and one who has no address."""
    people = [*(f"p{number}@example.com" for number in range(count)), "p0@example.com", "nobody"]
    await Job.plan(journal, people, message=MESSAGE, legacy=True)
    return Job(journal)


async def listed(url: str, name: str) -> dict[str, Any]:
    """What `jobs` says of one."""
    ended = await run("jobs", url, "--json", env=environment())
    assert (ended.code, ended.err) == (0, "")
    (found,) = (job for job in ended.json() if job["name"] == name)
    return dict(found)


# --- listed ---------------------------------------------------------------------------------


async def test_jobs_lists_each_job_with_its_state(
    sandbox: Sandbox, postgres: str, name: str
) -> None:
    """From its plan to its end, in counts of people that add up."""
    job = await a_job(f"{postgres}#{name}")
    before = await listed(postgres, name)
    assert (before["state"], before["people"], before["not_sent"]) == ("not begun", 1200, 1200)
    async with client_of(sandbox) as client:
        await job.run(client)
    after = await listed(postgres, name)
    assert (after["state"], after["accepted"], after["not_sent"]) == ("finished", 1200, 0)
    assert after["finished"] is True
    assert (after["running"], after["forgotten_at"]) == (False, None)
    ended = await run("jobs", postgres, env=environment())
    (line,) = (line for line in ended.out.splitlines() if name in line)
    assert line.split()[1:6] == ["finished", "1,200", "1,200", "0", "0"]


@pytest.mark.parametrize("url", ["tonight.journal", "postgresql://localhost/database#tonight"])
async def test_jobs_wants_a_database(url: str) -> None:
    """Not a file, and not one job."""
    ended = await run("jobs", url, env=environment())
    assert ended.code == 2
    assert "a database is named postgresql://host/database, without a job" in ended.err


# --- forgotten ------------------------------------------------------------------------------


async def test_a_forgotten_job_keeps_its_numbers_alone(
    sandbox: Sandbox, postgres: str, name: str, tmp_path: Path
) -> None:
    """Status and report say so; nobody is sent to, and no row of a CSV is made up."""
    journal = f"{postgres}#{name}"
    job = await a_job(journal)
    async with client_of(sandbox) as client:
        await job.run(client)
    env = environment(sandbox)
    for what in ("are removed", "were removed before"):
        ended = await run("jobs", postgres, "--forget", name, env=env)
        assert (ended.code, ended.out) == (0, "")
        assert f"{name}: texts and addresses {what}; its numbers stay" in ended.err
    status = await run("status", journal, env=env)
    assert status.code == 0
    assert "All 1,200 people were accepted" in status.out
    assert "; forgotten\n" in status.out
    assert "Its texts and addresses were removed on 20" in status.out
    assert (await run("status", journal, "--json", env=env)).json()["forgotten"] is True
    assert (await listed(postgres, name))["state"] == "forgotten"
    page, csv = tmp_path / "page.html", tmp_path / "rows.csv"
    report = await run("report", journal, "--html", str(page), env=env)
    assert report.code == 0
    assert "Its texts and addresses were removed on 20" in page.read_text()
    assert MESSAGE not in page.read_text()
    ended = await run("report", journal, "--csv", str(csv), env=env)
    assert (ended.code, csv.exists()) == (2, False)
    assert f"the texts and addresses of {journal} were removed on 20" in ended.err


async def test_a_forgotten_job_is_not_run(sandbox: Sandbox, postgres: str, name: str) -> None:
    """Not even the part that nobody was told, and no way to go on is shown."""
    journal = f"{postgres}#{name}"
    job = await a_job(journal)
    await run("jobs", postgres, "--forget", name, env=environment())
    for command in ("run", "resume"):
        ended = await run(command, journal, "--yes", env=free(sandbox))
        assert ended.code == 2
        assert "nobody can be sent to from it" in ended.err
    async with client_of(sandbox) as client:
        with pytest.raises(JournalError, match="nobody can be sent to from it"):
            await job.test(client, "ann@example.com")
    for left in (job.chunks, job.invalid):
        with pytest.raises(JournalError, match="were removed on"):
            await left()
    assert not sandbox.received().people
    assert "moveworks-shift" not in (await run("status", journal, env=environment())).out


async def test_a_job_that_runs_is_not_forgotten(sandbox: Sandbox, postgres: str, name: str) -> None:
    """Nor is one that is just being planned; and whoever looked before it was, does not begin."""
    journal = f"{postgres}#{name}"
    job, store = await a_job(journal), PostgresStore.at(journal)
    async with client_of(sandbox) as client, store.running() as run_store:
        going = JobRun(store, client, SYSTEM_CLOCK, on_progress=None, isolate=0)
        beginning = going._beginning(await run_store.found())
        await run_store.begin(beginning)
        with pytest.raises(JobRunning, match="stop it first"):
            await forget(store, 0.0)
    async with client_of(sandbox) as client, store.running() as run_store:
        going = JobRun(store, client, SYSTEM_CLOCK, on_progress=None, isolate=0)
        beginning = going._beginning(await run_store.found())
        assert await forget(store, 0.0)
        with pytest.raises(JournalError, match="were removed on 1970-01-01"):
            await run_store.begin(beginning)
    assert (await job.account()).forgotten
    plan = await PostgresStore.at(f"{journal}2").plan(await _header(store))
    with pytest.raises(JobRunning, match="just being planned"):
        await forget(PostgresStore.at(f"{journal}2"), 0.0)
    await plan.discard()


async def _header(store: PostgresStore) -> Any:
    async with store.reading() as account:
        return (await account.state()).header


# --- leased ---------------------------------------------------------------------------------


async def test_a_lease_is_for_a_job_in_a_database(
    sandbox: Sandbox, postgres: str, name: str, tmp_path: Path
) -> None:
    """A file has none; nobody is told meanwhile."""
    file = str(tmp_path / "tonight.journal")
    await a_job(file, 3)
    for lease in ("30", "1", "nan"):
        ended = await run("run", file, "--lease", lease, env=free(sandbox))
        assert ended.code == 2
        assert "a lease is for a job in PostgreSQL" in ended.err
    journal = f"{postgres}#{name}"
    job = await a_job(journal, 3)
    async with client_of(sandbox) as client:
        for seconds in (0, 1, 3601, float("nan")):
            with pytest.raises(InvalidInput, match="a lease is 2 to 3600 seconds"):
                await job.run(client, lease=seconds)
    assert not sandbox.received().people
    ended = await run("run", journal, "--lease", "7", env=free(sandbox))
    assert (ended.code, len(sandbox.received().people)) == (0, 3)


async def test_a_lease_is_what_was_asked_for(sandbox: Sandbox, postgres: str, name: str) -> None:
    """The run that a resume makes lives for so long."""
    journal = f"{postgres}#{name}"
    job = await a_job(journal, 3)
    left: list[float] = []

    async def look() -> None:
        async with connected(postgres) as connection:
            found = await connection.execute(
                "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM run"
                " JOIN job ON job.id = run.job WHERE name = %s",
                (name,),
            )
            left.extend(seconds for (seconds,) in await found.fetchall())

    async with Sandbox(limit=100_000, window=1.0, latency=1.0) as slow, client_of(slow) as client:
        running = asyncio.create_task(job.resume(client, lease=900))
        while not left:
            await asyncio.sleep(0.05)
            await look()
        await running
    assert 800 < left[0] <= 900


# --- the guide ------------------------------------------------------------------------------

PAGE = (PACKAGE / "guide" / "fleet.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("moveworks-shift ")
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_of_the_guide_exists_with_its_options(words: list[str]) -> None:
    """Up to what it takes."""
    names = [word for word in words[1:3] if word.isalpha()]
    told = CliRunner().invoke(commands, [*names, "--help"])
    assert told.exit_code == 0
    assert all(word in told.output for word in words if word.startswith("--"))


def test_the_roles_of_the_guide_are_those_of_init() -> None:
    """Each is made, granted to, and explained."""
    granted = set(re.findall(r"TO (\w+);", grants()))
    assert granted == set(re.findall(r"CREATE ROLE (moveworks_\w+)", PAGE)) - {"moveworks_owner"}
    assert granted == set(re.findall(r"^\| `(moveworks_\w+)` \|", PAGE, re.MULTILINE))


def test_the_python_of_the_guide_runs() -> None:
    """As far as it goes without a database."""
    ((program,),) = [re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)]
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(program, "guide", "exec"), names)  # noqa: S102 - our own page
    assert {"moveworks_shift:work", "moveworks_shift:rescue"} <= names["app"].tasks.keys()


def test_the_unit_of_the_guide_is_one() -> None:
    """Each of its lines is a section or a setting, and it starts the worker."""
    (unit,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment] # else all are lower case
    parser.read_string(unit)
    words = shlex.split(parser["Service"]["ExecStart"])
    assert words[1:3] == ["fleet", "worker"]
    assert int(parser["Service"]["TimeoutStopSec"]) > 60
