"""Jobs on many machines: real workers as processes, a real database, a real engine."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import procrastinate
import pytest
from procrastinate.jobs import Job as Task

from moveworks_shift_async import (
    ApiKey,
    Job,
    JobStopped,
    JournalError,
    MoveworksClient,
    RateLimit,
)
from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.fleet import engine, make_blueprint
from moveworks_shift_async.fleet.engine import CARE_QUEUE, QUEUE, make_app
from moveworks_shift_async.fleet.policy import Again, GivenBack
from moveworks_shift_async.fleet.submission import submit, sweep
from moveworks_shift_async.fleet.worker import run_worker
from moveworks_shift_async.jobs.records import Command
from moveworks_shift_async.jobs.store.postgres.schema import make_tables
from moveworks_shift_async.jobs.store.postgres.store import PostgresStore
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.storage.postgres import conninfo

from .commands import environment, run, until
from .fleets import MESSAGE, Worker, a_database, a_job, ask
from .postgres import Server

TASKS = "SELECT status, args FROM procrastinate_jobs WHERE queue_name = %s ORDER BY id"
# Every connection to this database but this one.
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
COPY_TASKS = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args)"
    " SELECT queue_name, task_name, lock, queueing_lock, args FROM procrastinate_jobs"
)
STALLED_RESCUE = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
    " VALUES (%s, 'moveworks_shift:rescue', 'doing')"
)
FULL = (
    "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
    " $$BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END$$;"
    ' CREATE TRIGGER "full" BEFORE INSERT ON run FOR EACH ROW EXECUTE FUNCTION full_disk()'
)
OPEN = "SELECT workers FROM submission WHERE ended_at IS NULL"


@pytest.fixture
async def fleet(postgres: str) -> AsyncIterator[str]:
    """The URL of a database with all tables and no job."""
    async with a_database(postgres) as url:
        yield url


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """A sandbox that takes its time: there is always a request in flight."""
    async with Sandbox(limit=100_000, window=1.0, latency=0.5) as running:
        yield running


def free(sandbox: Sandbox, **more: str) -> dict[str, str]:
    """The variables of a worker whose limit does not bind."""
    more = {"MOVEWORKS_REQUESTS_PER_MINUTE": "100000", "MOVEWORKS_GATE": "none"} | more
    return environment(sandbox, **more)


def bound(sandbox: Sandbox) -> dict[str, str]:
    """The variables of a worker that makes two requests and waits a minute."""
    return free(sandbox, MOVEWORKS_REQUESTS_PER_MINUTE="2")


def store_of(url: str, name: str = "tonight") -> PostgresStore:
    """A job of that database."""
    return PostgresStore.at(f"{url}#{name}")


def client_of(sandbox: Sandbox) -> MoveworksClient:
    """Of a worker in this process."""
    limit = RateLimit(requests=100_000)
    return MoveworksClient(ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=limit)


def told_once(sandbox: Sandbox, people: int) -> bool:
    """So many people, each once."""
    told = sandbox.received().people
    return len(told) == people and set(told.values()) <= {1}


# --- submitted ------------------------------------------------------------------------------


async def test_a_submitted_job_is_sent(sandbox: Sandbox, fleet: str) -> None:
    """Everybody once; a few lines tell of it, without address or text; SIGTERM is the end."""
    job = await a_job(fleet, chunks=20)
    worker = await Worker.started(fleet, free(sandbox))
    submitted = await run("fleet", "submit", f"{fleet}#tonight", env=environment())
    assert (submitted.code, submitted.out) == (0, "")
    assert f"{fleet}#tonight: submitted to 1 worker, from 20" in submitted.err
    await worker.says("tonight: finished, 40 of 40 people accepted, 0 unknown")
    assert told_once(sandbox, 40)
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.ended() == 0
    assert worker.lines[1:] == [
        "tonight: begun",
        "tonight: finished, 40 of 40 people accepted, 0 unknown",
        "stopping: requests in flight end",
        "stopped",
    ]
    assert (await job.account()).finished
    assert await ask(fleet, TASKS, QUEUE) == []
    assert await ask(fleet, OPEN) == []


async def test_to_submit_twice_is_one_submission(fleet: str) -> None:
    """Also at once, and while a worker has it; the engine gets a name and no more."""
    await a_job(fleet)
    made = await asyncio.gather(*(submit(store_of(fleet), workers=2) for _ in range(4)))
    assert sorted(one.new for one in made) == [False, False, False, True]
    assert {one.workers for one in made} == {2}
    args = {"job": "tonight", "submission": 1}
    assert await ask(fleet, TASKS, QUEUE) == [("todo", args)] * 2
    await ask(fleet, "UPDATE procrastinate_jobs SET status = 'doing'")
    again = await run("fleet", "submit", f"{fleet}#tonight", "--workers", "9", env=environment())
    assert again.code == 0
    assert "it was submitted before, and nothing was changed: to 2 workers" in again.err
    assert len(await ask(fleet, TASKS, QUEUE)) == 2
    everything = await ask(fleet, "SELECT t::text FROM procrastinate_jobs AS t")
    assert "example.com" not in str(everything)
    assert MESSAGE not in str(everything)


async def test_what_cannot_be_sent_is_not_submitted(sandbox: Sandbox, fleet: str) -> None:
    """No job, one that was forgotten, one whose planning broke off, one that is finished."""
    job = await a_job(fleet)
    plan = await store_of(fleet, "half").plan(await _header(fleet))
    plan.close()
    async with MoveworksClient(ApiKey(sandbox.api_key), base_url=sandbox.url) as client:
        await job.run(client)
    await a_job(fleet, "gone")
    await run("jobs", fleet, "--forget", "gone", env=environment())
    for name, why in {
        "none": "there is no job",
        "half": "was interrupted; plan it again",
        "tonight": "is left to send; see its account",
        "gone": "texts and addresses",
    }.items():
        ended = await run("fleet", "submit", f"{fleet}#{name}", env=environment())
        assert (ended.code, ended.out) == (2, "")
        assert why in ended.err
    assert await ask(fleet, TASKS, QUEUE) == []


async def _header(url: str):  # type: ignore[no-untyped-def] # of any job
    async with store_of(url).reading() as account:
        return (await account.state()).header


async def test_a_job_waits_for_its_time(sandbox: Sandbox, fleet: str) -> None:
    """By the clock of the one who submits it; nobody is told before."""
    await a_job(fleet)
    at = datetime.now(UTC) + timedelta(seconds=4)
    ended = await run(
        "fleet", "submit", f"{fleet}#tonight", "--at", at.isoformat(), env=environment()
    )
    assert f"from {at:%Y-%m-%d %H:%M:%S} UTC" in ended.err
    worker = await Worker.started(fleet, free(sandbox))
    assert await sweep(fleet) == 0
    await worker.says("finished, 6 of 6")
    (sent,) = await ask(fleet, "SELECT min(sent_at) >= %s FROM chunk", at.timestamp())
    assert sent == (True,)


@pytest.mark.parametrize("at", ["tonight", "25:00", "2026-13-01T00:00", ""])
async def test_a_time_that_is_none_is_refused(fleet: str, at: str) -> None:
    """In one line that shows how one looks."""
    ended = await run("fleet", "submit", f"{fleet}#tonight", "--at", at, env=environment())
    assert ended.code == 2
    assert "one is 22:30, or 2026-12-01T09:00" in ended.err or "2026-12-01T09:00, with" in ended.err


async def test_an_hour_is_the_next_one(fleet: str) -> None:
    """Today or tomorrow, by the clocks of this machine."""
    await a_job(fleet)
    before = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    hour = before.astimezone().strftime("%H:%M")
    await run("fleet", "submit", f"{fleet}#tonight", "--at", hour, env=environment())
    ((found,),) = await ask(fleet, "SELECT not_before FROM submission")
    assert found == before + timedelta(days=1)


async def test_a_worker_waits_for_no_window(sandbox: Sandbox, fleet: str) -> None:
    """It gives the job back until the window opens, and works on the next one."""
    now = datetime.now(UTC) + timedelta(hours=12)
    window = f"{now:%H}:00-{now:%H}:59 UTC"
    await a_job(fleet)
    await submit(store_of(fleet))
    # As it would be if it had closed since.
    await ask(fleet, "UPDATE job SET windows = %s", f"Mon-Sun {window}")
    worker = await Worker.started(fleet, free(sandbox))
    line = await worker.says("tonight: waiting until ")
    assert f"outside of Mon-Sun {window}, 0 of 6 people accepted so far" in line
    await a_job(fleet, "next")
    await submit(store_of(fleet, "next"))
    await worker.says("next: finished, 6 of 6 people accepted")
    ((status, at),) = await ask(
        fleet,
        "SELECT status, scheduled_at FROM procrastinate_jobs WHERE args->>'job' = %s",
        "tonight",
    )
    assert (status, at.hour, at.minute, at > datetime.now(UTC)) == ("todo", now.hour, 0, True)
    assert len(sandbox.received().people) == 6
    job = Job(f"{fleet}#tonight")
    assert (await job.account()).closed is not None
    await job.stop()
    assert await ask(fleet, OPEN) == []


async def test_hours_are_kept_by_a_submission(sandbox: Sandbox, fleet: str) -> None:
    """For when the window opens; past its last moment nothing is sent, and the log says so."""
    now = datetime.now(UTC) + timedelta(hours=12)
    await a_job(fleet)
    made = await submit(store_of(fleet), window=f"{now:%H}:00-{now:%H}:59 UTC", not_after="never")
    assert (made.not_before.hour, made.not_before.minute) == (now.hour, 0)
    account = await Job(f"{fleet}#tonight").account()
    assert account.opens_at == made.not_before
    await a_job(fleet, "late")
    with pytest.raises(InvalidInput, match="nothing could be sent"):
        await submit(store_of(fleet, "late"), not_after="2020-01-01T00:00Z")
    await submit(store_of(fleet, "late"))
    await ask(fleet, "UPDATE job SET not_after = 1577836800 WHERE name = 'late'")
    worker = await Worker.started(fleet, free(sandbox))
    line = await worker.says("late: nothing is sent after Wed 2020-01-01 00:00 UTC")
    assert "0 of 6 people accepted, 6 people not sent" in line
    assert not sandbox.received().people


# --- worked on ------------------------------------------------------------------------------


async def test_several_workers_share_a_job(slow: Sandbox, fleet: str) -> None:
    """Each chunk is one worker's, and everybody is told once."""
    job = await a_job(fleet, chunks=160)
    await submit(store_of(fleet), workers=2)
    await job.pause()  # else one may be at its end before the other begins
    workers = await asyncio.gather(*(Worker.started(fleet, free(slow)) for _ in range(2)))
    async with asyncio.timeout(60):
        claimed = "SELECT count(DISTINCT claimed_by) FROM chunk"
        while await ask(fleet, claimed) != [(2,)]:  # noqa: ASYNC110 - others make it true
            await asyncio.sleep(0.05)
    await job.go_on()
    for worker in workers:
        await worker.says("tonight: finished, 320 of 320 people accepted")
    assert told_once(slow, 320)
    shares = await ask(fleet, "SELECT count(*) FROM chunk GROUP BY owner")
    assert len(shares) == 2
    assert len((await job.account()).runs) == 2
    assert await ask(fleet, OPEN) == []


async def test_a_worker_that_is_told_to_stop_gives_its_job_back(slow: Sandbox, fleet: str) -> None:
    """What it had in flight ends; another goes on at once, and nobody is unknown."""
    job = await a_job(fleet, chunks=100)
    first = await Worker.started(fleet, bound(slow))
    await submit(store_of(fleet))
    await until(lambda: slow.stats().requests > 0)
    first.process.send_signal(signal.SIGTERM)
    assert await first.ended() == 0
    assert any("tonight: given back, " in line for line in first.lines)
    ((status, _),) = await ask(fleet, TASKS, QUEUE)
    assert status == "todo"
    account = await job.account()
    assert 0 < account.accepted < 200
    second = await Worker.started(fleet, free(slow))
    await second.says("tonight: finished, 200 of 200 people accepted, 0 unknown")
    assert told_once(slow, 200)


async def test_a_second_signal_leaves_at_once(fleet: str) -> None:
    """What was in flight is unknown by then, or once its lease is over."""
    async with Sandbox(limit=100_000, window=1.0, latency=60.0) as stuck:
        await a_job(fleet)
        worker = await Worker.started(fleet, free(stuck))
        await submit(store_of(fleet))
        await until(lambda: stuck.stats().requests > 0)
        worker.process.send_signal(signal.SIGTERM)
        await worker.says("stopping: requests in flight end")
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ended() == 130
        assert worker.lines[-1] == "left at once: what was in flight is unknown, as others will see"


async def test_the_job_of_a_worker_that_was_killed_is_rescued(slow: Sandbox, fleet: str) -> None:
    """What it had in flight is unknown, all others are told once."""
    job = await a_job(fleet, chunks=100)
    first = await Worker.started(fleet, bound(slow), "--lease", "3")
    await submit(store_of(fleet))
    await until(lambda: slow.stats().requests > 0)
    first.process.kill()
    await first.process.wait()
    second = await Worker.started(fleet, free(slow), "--lease", "3")
    await second.says("tonight: its worker was silent; given to another")
    await second.says("tonight: finished")
    account = await job.account()
    assert account.accepted + account.unknown == 200
    assert account.unknown <= 2 * 2
    assert told_once(slow, len(slow.received().people))
    assert await ask(fleet, OPEN) == []


async def test_a_stop_takes_the_job_from_all_workers(slow: Sandbox, fleet: str) -> None:
    """Also from those that have not begun; it may be submitted again."""
    await a_job(fleet, chunks=40)
    first = await Worker.started(fleet, bound(slow))
    await submit(store_of(fleet), workers=3)
    await until(lambda: slow.stats().requests > 0)
    stopped = await run("stop", f"{fleet}#tonight", env=environment())
    assert stopped.code == 0
    await first.says("tonight: stopped by command")
    await first.says("tonight: not wanted any more")
    assert await ask(fleet, OPEN) == []
    first.process.send_signal(signal.SIGTERM)
    assert await first.ended() == 0
    second = await Worker.started(fleet, free(slow))
    assert (await submit(store_of(fleet))).new
    await second.says("tonight: finished, 80 of 80")
    assert told_once(slow, 80)


async def test_a_job_that_waits_may_be_taken_back(sandbox: Sandbox, fleet: str) -> None:
    """No worker has begun it, and none does."""
    await a_job(fleet)
    await submit(store_of(fleet), at=datetime.now(UTC) + timedelta(seconds=1))
    assert (await run("stop", f"{fleet}#tonight", env=environment())).code == 0
    worker = await Worker.started(fleet, free(sandbox))
    await worker.says("tonight: not wanted any more")
    assert not sandbox.received().people


async def test_a_pause_outlives_the_worker(sandbox: Sandbox, fleet: str) -> None:
    """Workers may be changed for new ones meanwhile; `resume` lets them go on."""
    job = await a_job(fleet, chunks=100)
    first = await Worker.started(fleet, bound(sandbox))
    await submit(store_of(fleet))
    await until(lambda: len(sandbox.received().people) > 0)
    assert (await run("pause", f"{fleet}#tonight", env=environment())).code == 0
    first.process.send_signal(signal.SIGTERM)
    assert await first.ended() == 0
    told = len(sandbox.received().people)
    second = await Worker.started(fleet, free(sandbox))
    await until_run(job)
    assert (await job.account()).paused
    assert len(sandbox.received().people) == told
    resumed = await run("resume", f"{fleet}#tonight", env=environment())
    assert "the pause has ended" in resumed.err
    await second.says("tonight: finished, 200 of 200")
    assert told_once(sandbox, 200)


async def test_what_concerns_everybody_ends_the_submission(sandbox: Sandbox, fleet: str) -> None:
    """The line says what to correct; then it may be submitted again."""
    await a_job(fleet)
    refused = await Worker.started(fleet, free(sandbox, MOVEWORKS_API_KEY="wrong"))
    await submit(store_of(fleet))
    line = await refused.says("correct that, and submit it again")
    assert line.startswith("tonight: the job stopped: ")
    await until_closed(fleet)
    refused.process.send_signal(signal.SIGTERM)
    assert await refused.ended() == 0
    right = await Worker.started(fleet, free(sandbox))
    assert (await submit(store_of(fleet))).new
    await right.says("tonight: finished, 6 of 6")


async def until_run(job: Job) -> None:
    """Wait until one run of it is at work."""
    async with asyncio.timeout(60):
        while [run.ended_at for run in (await job.account()).runs].count(None) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_closed(url: str) -> None:
    """Wait until no submission is open."""
    async with asyncio.timeout(60):
        while await ask(url, OPEN):  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.05)


# --- what breaks ----------------------------------------------------------------------------


async def test_a_worker_whose_connections_are_cut_goes_on(slow: Sandbox, fleet: str) -> None:
    """Again and again; nobody is unknown."""
    await a_job(fleet, chunks=300)
    worker = await Worker.started(fleet, free(slow), "--lease", "3")
    await submit(store_of(fleet))
    await until(lambda: slow.stats().requests > 0)
    for _ in range(3):
        await ask(fleet, CUT)
        await asyncio.sleep(0.5)
    await worker.says("tonight: finished, 600 of 600 people accepted, 0 unknown")
    assert told_once(slow, 600)
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_a_worker_outlives_a_crash_of_the_server(slow: Sandbox) -> None:
    """It waits until it is there again; nobody is unknown, and the next job is taken, too."""
    folder = Path(tempfile.mkdtemp(prefix="moveworks-postgres-"))  # its user may not enter tmp_path
    server = await asyncio.to_thread(Server.make, folder)
    try:
        async with a_database(server.url) as url:
            await a_job(url, chunks=200)
            worker = await Worker.started(url, free(slow), "--lease", "3")
            await submit(store_of(url))
            await until(lambda: slow.stats().requests > 0)
            await asyncio.to_thread(server.stop, "immediate")
            await asyncio.sleep(2)
            await asyncio.to_thread(server.start)
            await worker.says("tonight: finished, 400 of 400 people accepted, 0 unknown")
            assert told_once(slow, 400)
            await a_job(url, "next")
            await submit(store_of(url, "next"))
            await worker.says("next: finished")
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.ended() == 0
    finally:
        await asyncio.to_thread(server.end)


async def test_a_queue_that_is_away_is_told_of_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And so is its return; then jobs are taken again."""
    monkeypatch.setattr(engine, "_TIMEOUT", 0.5)
    caplog.set_level("INFO", "moveworks_shift_async.fleet")
    stopping, folder = asyncio.Event(), Path(tempfile.mkdtemp(prefix="moveworks-postgres-"))
    server = await asyncio.to_thread(Server.make, folder)
    try:
        async with a_database(server.url) as url:
            client = partial(client_of, sandbox)
            working = run_worker(url, client, lease=3.0, stopping=stopping)
            worker = asyncio.create_task(working)
            await until(lambda: "ready for the jobs of" in caplog.text)
            await asyncio.to_thread(server.stop, "fast")
            await until(lambda: "the queue is away (" in caplog.text)
            await asyncio.sleep(2)
            await asyncio.to_thread(server.start)
            await until(lambda: "the queue is there again" in caplog.text)
            await a_job(url)
            await submit(store_of(url))
            await until(lambda: "tonight: finished" in caplog.text)
            stopping.set()
            await worker
        told = [record.getMessage() for record in caplog.records]
        assert sum("the queue is" in line for line in told) == 2
    finally:
        await asyncio.to_thread(server.end)


async def test_a_submission_whose_task_was_lost_gets_another(sandbox: Sandbox, fleet: str) -> None:
    """Whoever lost it; one that has a task, or is for later, gets none."""
    await a_job(fleet)
    await submit(store_of(fleet), workers=2)
    assert await sweep(fleet) == 0
    await ask(fleet, "UPDATE procrastinate_jobs SET status = 'failed'")
    assert await sweep(fleet) == 1
    assert await sweep(fleet) == 0
    assert [status for status, _ in await ask(fleet, TASKS, QUEUE)] == ["failed"] * 2 + ["todo"] * 2
    await ask(fleet, "DELETE FROM procrastinate_jobs")
    await ask(fleet, "UPDATE submission SET not_before = not_before + interval '1 hour'")
    assert await sweep(fleet) == 0
    await ask(fleet, "UPDATE submission SET not_before = not_before - interval '1 hour'")
    worker = await Worker.started(fleet, free(sandbox))
    await worker.says("1 submitted jobs had no task; given to the workers again")
    await worker.says("tonight: finished, 6 of 6")


async def test_stalled_tasks_are_rescued_once(fleet: str) -> None:
    """Where another one waits already, the stalled one is dropped; and so are stalled rescues."""
    await a_job(fleet)
    await submit(store_of(fleet))
    await ask(fleet, "UPDATE procrastinate_jobs SET status = 'doing'")
    await ask(fleet, COPY_TASKS)
    await ask(fleet, STALLED_RESCUE, CARE_QUEUE)
    app = make_app(fleet)
    app.add_tasks_from(make_blueprint(fleet), namespace="moveworks_shift")
    async with app.open_async():
        await app.configure_task("moveworks_shift:rescue").defer_async(timestamp=0)
        await app.run_worker_async(queues=[CARE_QUEUE], wait=False, delete_jobs="successful")
    assert [status for status, _ in await ask(fleet, TASKS, QUEUE)] == ["todo"]
    assert await ask(fleet, TASKS, CARE_QUEUE) == []


async def test_the_tasks_work_in_an_app_of_the_users_own(sandbox: Sandbox, postgres: str) -> None:
    """With tables and a namespace of his own; without a submission of ours."""
    async with a_database(postgres) as url:
        job = await a_job(url)
        mine = conninfo(url) | {"options": "-c search_path=public"}
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=mine))
        for namespace in ("messages", "others"):
            app.add_tasks_from(
                make_blueprint(url, partial(client_of, sandbox)), namespace=namespace
            )
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            await app.configure_task("messages:work", queue="mine").defer_async(job="tonight")
            await app.run_worker_async(queues=["mine"], wait=False)
        assert (await job.account()).accepted == 6
        assert told_once(sandbox, 6)


async def test_a_task_that_meets_a_stopping_worker_gives_back(fleet: str) -> None:
    """Nothing is begun."""
    await a_job(fleet)
    await submit(store_of(fleet))
    app = make_app(fleet)
    app.add_tasks_from(make_blueprint(fleet), namespace="moveworks_shift")
    async with app.open_async():
        worker = app._worker(queues=[QUEUE], install_signal_handlers=False)
        fetch = app.job_manager.fetch_job

        async def fetched(*args: object, **more: object) -> object:
            job = await fetch(*args, **more)  # type: ignore[arg-type]
            worker.stop()  # type: ignore[no-untyped-call]
            return job

        app.job_manager.fetch_job = fetched  # type: ignore[assignment, method-assign]
        await worker.run()  # type: ignore[no-untyped-call]
    ((status, _),) = await ask(fleet, TASKS, QUEUE)
    assert status == "todo"
    assert await ask(fleet, "SELECT * FROM run") == []


async def test_a_worker_needs_the_tables(postgres: str, sandbox: Sandbox) -> None:
    """Of jobs, and of the engine; the line names the command that makes them."""
    async with a_database(postgres, tables=False) as url:
        for _ in range(2):
            ended = await run("fleet", "worker", url, env=free(sandbox))
            assert ended.code == 2
            assert f"moveworks-shift fleet init {url}" in ended.err
            await make_tables(url)
    ended = await run("fleet", "worker", "postgresql://127.0.0.1:1/none", env=free(sandbox))
    assert ended.code == 2
    assert "no connection to postgresql://127.0.0.1:1/none" in ended.err


async def test_a_full_disk_is_waited_for(sandbox: Sandbox, fleet: str) -> None:
    """The job goes on once there is room."""
    await a_job(fleet)
    await ask(fleet, FULL)
    await submit(store_of(fleet))
    worker = await Worker.started(fleet, free(sandbox))
    await worker.says("tonight: begun")
    await ask(fleet, 'DROP TRIGGER "full" ON run')
    await worker.says("tonight: finished, 6 of 6 people accepted, 0 unknown")


def test_what_may_pass_is_tried_again_at_once() -> None:
    """By no clock of this machine; what is there to stay is not."""
    moment, for_good = JournalError("away"), JournalError("no such job")
    moment.passes = True
    stopped = JobStopped("the job stopped", cause=moment)
    task = Task(queue=QUEUE, lock=None, queueing_lock=None, task_name="work")
    for error in (moment, stopped, GivenBack(), asyncio.CancelledError()):
        decision = Again().get_retry_decision(exception=error, job=task)
        assert decision is not None
        assert decision.retry_at is None
    for bad in (for_good, JobStopped("stopped", cause=for_good), ValueError()):
        assert Again().get_retry_decision(exception=bad, job=task) is None


async def test_a_submission_needs_the_tables_of_the_engine(postgres: str) -> None:
    """The line names the command that makes them."""
    async with a_database(postgres, tables=False) as url:
        await make_tables(url)
        await a_job(url)
        with pytest.raises(JournalError, match="lacks tables of procrastinate 3"):
            await submit(store_of(url))


async def test_jobs_shows_what_was_submitted(fleet: str) -> None:
    """And for when."""
    await a_job(fleet)
    at = datetime(2999, 5, 14, 22, 30, tzinfo=UTC)
    await submit(store_of(fleet), at=at)
    (job,) = (await run("jobs", fleet, "--json", env=environment())).json()
    assert (job["state"], job["submitted_for"]) == ("not begun", "2999-05-14T22:30:00+00:00")
    assert "2999-05-14 22:30:00 UTC" in (await run("jobs", fleet, env=environment())).out


async def test_commands_reach_a_job_that_a_fleet_has(fleet: str) -> None:
    """Nobody runs it, and nobody has it: nobody to tell."""
    await a_job(fleet)
    store = store_of(fleet)
    assert not await store.ask(Command.STOP, 0.0)
    await submit(store)
    assert await store.ask(Command.PAUSE, 0.0)
    assert await store.ask(Command.RUN, 0.0)
    assert not await store.ask(Command.RUN, 0.0)
    assert await store.ask(Command.STOP, 0.0)
    assert not await store.ask(Command.PAUSE, 0.0)
