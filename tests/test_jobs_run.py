"""A job over real sockets: whatever happens, the journal says what became of everybody."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from attrs import define, evolve, field
from attrs.exceptions import FrozenInstanceError

from moveworks_shift_async import ApiKey, ClientCredentials, MoveworksClient, RateLimit
from moveworks_shift_async.clock import SystemClock
from moveworks_shift_async.endpoints.auth import AuthEndpoint
from moveworks_shift_async.errors import (
    BadRequest,
    ClientClosed,
    InvalidInput,
    JobRunning,
    JobStopped,
    JournalError,
    MoveworksError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import (
    UNWRITTEN,
    Chunk,
    Command,
    Event,
    Header,
    Incident,
    Run,
    Settlement,
    State,
)
from moveworks_shift_async.jobs.report.sentences import waits_for
from moveworks_shift_async.jobs.run import runner
from moveworks_shift_async.jobs.run.ends import Ends
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.jobs.store.ports import Parts
from moveworks_shift_async.jobs.store.sqlite import thread
from moveworks_shift_async.jobs.store.sqlite.database import Database
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.jobs.store.sqlite.reads import Reads
from moveworks_shift_async.models import Receipt
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending import breaker
from moveworks_shift_async.settings import MoveworksCredentials, Timeouts
from moveworks_shift_async.wire.http import Response
from moveworks_shift_async.wire.moveworks import parse_receipt

from .commands import HANG, spawn
from .conftest import begin_at_once
from .planned import Audit, audit, people_of, plan, states_of
from .test_jobs_thread import small_disk

#: Never reached.
OPEN = RateLimit(requests=100_000, per=1.0)
IN_FLIGHT = 4
#: Nobody lost, nobody told twice or against the journal's word, nobody unknown or left.
CLEAN = Audit(lost=0, twice=0, denied=0, unknown=0, planned=0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that people would not notice are too long for tests."""
    monkeypatch.setattr(breaker, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(runner, "_LOOK", 0.05)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the journal stands."""
    return tmp_path / "job.journal"


def client_of(
    sandbox: Sandbox,
    credentials: MoveworksCredentials | None = None,
    *,
    limit: RateLimit = OPEN,
    max_in_flight: int = IN_FLIGHT,
) -> MoveworksClient:
    """A client of that sandbox."""
    return MoveworksClient(
        credentials or ApiKey(sandbox.api_key),
        base_url=sandbox.url,
        rate_limit=limit,
        max_in_flight=max_in_flight,
        timeout=Timeouts(total=30.0),
    )


async def go(
    path: str, sandbox: Sandbox, credentials: MoveworksCredentials | None = None, **options: object
) -> None:
    """Run a job with a client of its own, or go on with it."""
    async with client_of(sandbox, credentials) as client:
        if runs_of(path):
            await Job(path).resume(client, **options)  # type: ignore[arg-type]
        else:
            await Job(path).run(client, **options)  # type: ignore[arg-type]


def runs_of(path: str) -> list[Run]:
    """The processes that worked on it."""
    with Journal.look(path) as journal:
        return journal.reads.runs()


def events_of(path: str) -> list[Event]:
    """What made it wait."""
    with Journal.look(path) as journal:
        return journal.reads.events()


def audited(path: str, sandbox: Sandbox) -> Audit:
    """The journal beside the server's own record."""
    return audit(path, sandbox.received().people)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what others do."""
    async with asyncio.timeout(HANG):
        while not true():  # noqa: ASYNC110 - it is another process, or the server
            await asyncio.sleep(0.01)


# --- the plain case ------------------------------------------------------------------------


async def test_everybody_is_told_once(file: Path, sandbox: Sandbox) -> None:
    """Each chunk with its own text; the journal, the account and the server agree."""
    path = plan(file, 40, 3, texts=3, event_id=sandbox.event_id)
    async with client_of(sandbox) as client:
        account = await Job(path).run(client)
    assert audited(path, sandbox) == CLEAN
    again = await Job(path).account()
    assert account == evolve(again, read_at=account.read_at)
    requests = sandbox.received().requests
    assert len({request.message for request in requests}) == 3
    assert {request.event_id for request in requests} == {sandbox.event_id}
    (run,) = runs_of(path)
    assert (run.pid, run.ended, run.budget, run.per) == (os.getpid(), "done", 100_000, 1.0)
    assert run.ended_at is not None
    assert run.ended_at >= run.began_at
    with Journal.look(path) as journal:
        assert journal.reads.header().base_url == sandbox.url
        for record in journal.reads.records():
            assert (record.requests, record.throttled, record.error) == (1, 0, None)
            assert record.sent_at is not None
            assert record.ended_at is not None
            assert run.began_at <= record.sent_at <= record.ended_at <= run.ended_at


async def test_many_start_a_few_in_each_turn(file: Path, sandbox: Sandbox) -> None:
    """All that may be in flight are, soon, and everybody is told once."""
    sandbox.latency, path = 0.05, plan(file, 40)
    async with client_of(sandbox, max_in_flight=16) as client:
        await Job(path).run(client)
    assert audited(path, sandbox) == CLEAN
    assert sandbox.stats().max_concurrent == 16


async def test_no_more_than_may_be_in_flight_are(file: Path, sandbox: Sandbox) -> None:
    """The client's own bound holds for a job."""
    sandbox.latency = 0.02
    path = plan(file, 20)
    await go(path, sandbox)
    assert 1 < sandbox.stats().max_concurrent <= IN_FLIGHT


@define(eq=False)
class Witness:
    """Looks into the journal at the moment at which the server sees a request."""

    path: str
    sandbox: Sandbox
    seen: list[tuple[State, int]] = field(factory=list)
    before: list[set[State]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        serve = self.sandbox._listener.handler

        async def look(request: web.BaseRequest) -> web.StreamResponse:
            people = json.loads(await request.read())["recipients"]
            chunk = int(people[0].removeprefix("p").partition(".")[0])
            with Journal.look(self.path) as journal:
                records = [*journal.reads.records()]
            self.seen.append((records[chunk].state, records[chunk].requests))
            self.before.append({record.state for record in records[:chunk]})
            return await serve(request)

        self.sandbox._listener.handler = look


async def test_sending_is_on_the_disk_before_the_first_byte_leaves(
    file: Path, sandbox: Sandbox
) -> None:
    """Whatever request the server sees, its chunk is `sending` in the file."""
    path = plan(file, 30)
    witness = Witness(path, sandbox)
    await go(path, sandbox)
    assert witness.seen == [(State.SENDING, 0)] * 30


async def test_an_answer_is_on_the_disk_before_the_next_step(file: Path, sandbox: Sandbox) -> None:
    """One after the other: at each request all before it are settled, and tries are counted."""
    path = plan(file, 6)
    witness = Witness(path, sandbox)
    sandbox.faults.script("send", "none", "throttle", "none")
    async with client_of(sandbox, limit=RateLimit(requests=1000, per=0.1), max_in_flight=1) as one:
        await Job(path).run(one)
    assert witness.seen == [(State.SENDING, tried) for tried in (0, 0, 1, 0, 0, 0, 0)]
    assert set().union(*witness.before) == {State.ACCEPTED}


async def test_what_is_reported_is_on_the_disk(file: Path, sandbox: Sandbox) -> None:
    """No more people are shown as told than the file has as accepted at that moment."""
    sandbox.latency = 0.02
    path, told = plan(file, 60, 1), [0]

    def compare(progress: JobProgress) -> None:
        told.append(progress.told)
        assert progress.told <= states_of(path).count(State.ACCEPTED)

    await go(path, sandbox, on_progress=compare)
    assert told[-1] == 60


# --- the rate limit, the token, the credential ---------------------------------------------


async def test_429s_are_waited_for(file: Path) -> None:
    """A limit lower than ours: all are told once, and the account knows of the 429s."""
    async with Sandbox(limit=10, window=0.3) as tight:
        path = plan(file, 30)
        async with client_of(tight, limit=RateLimit(requests=1000, per=0.3)) as client:
            await Job(path).run(client)
        assert audited(path, tight) == CLEAN
        assert tight.stats().throttled > 0
        with Journal.look(path) as journal:
            assert (
                sum(record.throttled for record in journal.reads.records())
                == tight.stats().throttled
            )
        assert {event.incident for event in events_of(path)} == {Incident.THROTTLED}


async def test_a_limit_that_is_known_is_kept(file: Path) -> None:
    """No 429 at all."""
    async with Sandbox(limit=20, window=0.3) as tight:
        path = plan(file, 50)
        async with client_of(tight, limit=RateLimit(requests=20, per=0.3)) as client:
            await Job(path).run(client)
        assert audited(path, tight) == CLEAN
        assert tight.stats().throttled == 0


async def test_a_token_that_dies_on_the_way_is_replaced(file: Path, sandbox: Sandbox) -> None:
    """Twice in one job; nobody is told twice, nobody is unknown."""
    path = plan(file, 30)
    sandbox.faults.script("send", *["none"] * 5, "expired-token", *["none"] * 10, "expired-token")
    await go(path, sandbox, ClientCredentials(sandbox.client_id, sandbox.client_secret))
    assert audited(path, sandbox) == CLEAN
    assert sandbox.stats().token_requests >= 3


async def test_a_new_token_that_is_refused_as_well_stops_it(file: Path, sandbox: Sandbox) -> None:
    """As it ends a stream: nobody in it was told, and who resumes it tells them."""
    path = plan(file, 30)
    sandbox.faults.script("send", "none", *["expired-token"] * (2 * IN_FLIGHT))
    credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    with pytest.raises(JobStopped) as stopped:
        await go(path, sandbox, credentials)
    assert isinstance(stopped.value.cause, NotAuthenticated)
    assert audited(path, sandbox).unknown == 0
    sandbox.faults.clear()
    await go(path, sandbox, credentials)
    assert audited(path, sandbox) == CLEAN


async def test_a_refused_credential_stops_it_and_a_good_one_goes_on(
    file: Path, sandbox: Sandbox
) -> None:
    """All stay planned; who mends the credential resumes."""
    path = plan(file, 30)
    with pytest.raises(JobStopped, match="the job stopped: HTTP 401") as stopped:
        await go(path, sandbox, ApiKey("wrong"))
    assert isinstance(stopped.value.cause, NotAuthenticated)
    assert stopped.value.__cause__ is stopped.value.cause
    assert states_of(path) == [State.PLANNED] * 30
    assert len(sandbox.received().requests) <= IN_FLIGHT
    assert "HTTP 401" in (runs_of(path)[0].ended or "")
    assert events_of(path) == []  # no outage: the server was there
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN


async def test_a_credential_that_gets_no_token_stops_it(file: Path, sandbox: Sandbox) -> None:
    """The same where the token request is refused."""
    path = plan(file, 10)
    with pytest.raises(JobStopped) as stopped:
        await go(path, sandbox, ClientCredentials(sandbox.client_id, "wrong"))
    assert isinstance(stopped.value.cause, TokenUnavailable)
    assert isinstance(stopped.value.cause.cause, NotAuthenticated)
    assert states_of(path) == [State.PLANNED] * 10


async def test_a_token_server_that_fails_for_a_while_is_waited_for(
    file: Path, sandbox: Sandbox
) -> None:
    """Nobody was told, so nothing is lost by waiting."""
    path = plan(file, 10)
    sandbox.faults.script("token", *["server-503-json"] * 2)
    await go(path, sandbox, ClientCredentials(sandbox.client_id, sandbox.client_secret))
    assert audited(path, sandbox) == CLEAN


@pytest.mark.parametrize(("fault", "kind"), [("forbidden", NotAllowed), (None, NotFound)])
async def test_what_holds_for_all_stops_it(
    file: Path, sandbox: Sandbox, fault: str | None, kind: type[MoveworksError]
) -> None:
    """No right to send, no such event: a few requests, and all chunks stay planned."""
    path = plan(file, 30, event_id=None if fault else "00000000-0000-4000-8000-000000000000")
    if fault:
        sandbox.faults.rate("send", fault, 1.0)
    with pytest.raises(JobStopped) as stopped:
        await go(path, sandbox)
    assert isinstance(stopped.value.cause, kind)
    assert states_of(path) == [State.PLANNED] * 30
    assert len(sandbox.received().requests) <= 2 * IN_FLIGHT


# --- the network and the server ------------------------------------------------------------


async def test_a_network_that_is_away_is_waited_for(file: Path, sandbox: Sandbox) -> None:
    """It goes on by itself; nobody is told twice, and only who was in flight may be unknown."""
    sandbox.latency, path, seen = 0.01, plan(file, 200), list[str]()
    async with client_of(sandbox) as client:
        job = asyncio.create_task(Job(path).run(client, on_progress=lambda p: seen.append(p.why)))
        await until(lambda: sandbox.stats().accepted > 40)
        await sandbox.stop_listening()
        await until(lambda: any(why.startswith("waiting for the server for") for why in seen))
        await asyncio.sleep(0.6)
        calm = sandbox.stats().accepted
        await asyncio.sleep(0.2)
        assert sandbox.stats().accepted == calm < 200
        await sandbox.start_listening()
        await job
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.planned) == (0, 0, 0, 0)
    assert found.unknown <= IN_FLIGHT * 2
    # An answer that was on its way may come after the first refusal, and end a short one before.
    outages = [event for event in events_of(path) if event.incident is Incident.OUTAGE]
    outage = max(outages, key=lambda event: event.seconds)
    assert 0.5 < outage.seconds < 60
    assert outage.reason


async def test_a_network_that_is_away_from_the_start(file: Path, sandbox: Sandbox) -> None:
    """Nobody is unknown, for nothing left."""
    path = plan(file, 20)
    await sandbox.stop_listening()
    job = asyncio.create_task(go(path, sandbox))
    await asyncio.sleep(0.3)
    await sandbox.start_listening()
    await job
    assert audited(path, sandbox) == CLEAN


async def test_a_server_that_fails_for_everything_costs_a_bounded_number(
    file: Path, sandbox: Sandbox
) -> None:
    """It answers health checks and fails for messages: the job stops, and most are not told."""
    path = plan(file, 100)
    sandbox.faults.rate("send", "server-503-json", 1.0)
    with pytest.raises(JobStopped) as stopped:
        await go(path, sandbox)
    assert isinstance(stopped.value.cause, ServerFailed)
    states = states_of(path)
    most = breaker.FAILURES + IN_FLIGHT + breaker.PROBES
    assert states.count(State.UNKNOWN) <= most
    assert states.count(State.PLANNED) == 100 - states.count(State.UNKNOWN)
    sandbox.faults.clear()
    await go(path, sandbox, unknown="resend")
    assert audited(path, sandbox) == CLEAN


async def test_a_health_check_that_breaks_ends_no_job(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours in it is one more health check without an answer."""
    path, asked = plan(file, 20), list[bool]()
    sandbox.faults.script("send", *["server-503-html"] * IN_FLIGHT)

    async def broken(self: AuthEndpoint, *, once: bool = False) -> str:
        asked.append(once)
        if len(asked) < 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return "there"

    monkeypatch.setattr(AuthEndpoint, "test", broken)
    await go(path, sandbox)
    assert len(asked) >= 3
    assert states_of(path).count(State.ACCEPTED) == 20 - IN_FLIGHT
    assert audited(path, sandbox).unknown == 2 * IN_FLIGHT


async def test_a_server_that_fails_for_a_while_is_waited_for(file: Path, sandbox: Sandbox) -> None:
    """Questions fail, too: nothing is sent until one is answered."""
    path = plan(file, 60)
    sandbox.faults.script("send", *["server-503-html"] * IN_FLIGHT)
    sandbox.faults.script("auth", *["server-503-html"] * 3)
    await go(path, sandbox)
    assert audited(path, sandbox) == Audit(0, 0, 0, unknown=2 * IN_FLIGHT, planned=0)
    assert not sandbox.faults.pending()["script"].get("auth")


async def test_resets_make_unknown_what_they_cut_and_nothing_else(
    file: Path, sandbox: Sandbox
) -> None:
    """Processed or not: nobody is told twice, and nobody who was told is denied."""
    path = plan(file, 120)
    sandbox.faults.rate("send", "processed-then-reset", 0.1)
    sandbox.faults.rate("send", "reset-mid-body", 0.1)
    await go(path, sandbox)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.planned) == (0, 0, 0, 0)
    cut = [record for record in sandbox.received().requests if record.fault]
    assert found.unknown == 2 * len(cut) > 0


# --- endings -------------------------------------------------------------------------------


async def test_cancelled_it_knows_what_was_in_flight(file: Path, sandbox: Sandbox) -> None:
    """Those are unknown, the others as they were; it goes on from there."""
    sandbox.latency, path = 0.05, plan(file, 60)
    async with client_of(sandbox) as client:
        job = asyncio.create_task(Job(path).run(client))
        await until(lambda: sandbox.stats().accepted >= 12)
        job.cancel()
        await asyncio.wait({job})
        assert job.cancelled()
    assert runs_of(path)[0].ended == "cut"
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied) == (0, 0, 0)
    assert 0 < found.unknown <= IN_FLIGHT * 2
    assert states_of(path).count(State.SENDING) == 0
    assert events_of(path) == []  # who cuts it has met no outage
    await go(path, sandbox)
    assert audited(path, sandbox) == Audit(0, 0, 0, found.unknown, 0)


async def test_cancelled_twice_it_is_as_right(file: Path, sandbox: Sandbox) -> None:
    """The second comes while the first is being written down."""
    sandbox.latency, path = 0.05, plan(file, 60)
    async with client_of(sandbox) as client:
        job = asyncio.create_task(Job(path).run(client))
        await until(lambda: sandbox.stats().accepted >= 12)
        job.cancel()
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.wait({job})
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied) == (0, 0, 0)
    await go(path, sandbox)
    assert audited(path, sandbox).planned == 0


async def test_drained_it_ends_what_is_in_flight(file: Path, sandbox: Sandbox) -> None:
    """Nobody is unknown; the rest stays planned, and the account comes back."""
    sandbox.latency, path = 0.05, plan(file, 60)
    job = Job(path)
    async with client_of(sandbox) as client:
        task = asyncio.create_task(job.run(client))
        await until(lambda: sandbox.stats().accepted >= 12)
        job.drain("stopped by SIGTERM")
        account = await task
    again = await job.account()
    assert account == evolve(again, read_at=account.read_at)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.unknown) == (0, 0, 0, 0)
    assert found.planned > 0
    assert runs_of(path)[0].ended == "stopped by SIGTERM"
    job.drain()  # nothing runs
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN


async def test_drained_while_the_journal_is_read_it_sends_nothing(
    file: Path, sandbox: Sandbox
) -> None:
    """A signal that comes early is not lost."""
    path = plan(file, 30)
    job = Job(path)
    async with client_of(sandbox) as client:
        task = asyncio.create_task(job.run(client))
        await asyncio.sleep(0)
        job.drain()
        await task
    assert sandbox.stats().requests == 0
    assert states_of(path) == [State.PLANNED] * 30


async def test_drained_while_the_server_is_away_it_ends_at_once(
    file: Path, sandbox: Sandbox
) -> None:
    """It does not wait for the server, and the wait is in the account."""
    path, job, seen = plan(file, 10), Job(file), list[str]()
    await sandbox.stop_listening()
    async with client_of(sandbox) as client:
        task = asyncio.create_task(job.run(client, on_progress=lambda p: seen.append(p.why)))
        await until(lambda: any(why.startswith("waiting for the server for") for why in seen))
        job.drain()
        await asyncio.wait_for(task, HANG)
    assert states_of(path) == [State.PLANNED] * 10
    assert [event.incident for event in events_of(path)] == [Incident.OUTAGE]


async def test_who_is_taken_back_at_the_last_moment_has_met_no_failure(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop that comes while the journal notes that a request is about to leave."""
    path, job, sending = plan(file, 10), Job(str(file)), Journal.sending
    loop = asyncio.get_running_loop()

    def stopping(journal: Journal, chunk: int, now: float, owner: str) -> bool:
        loop.call_soon_threadsafe(job.drain)
        return sending(journal, chunk, now, owner)

    monkeypatch.setattr(Journal, "sending", stopping)
    async with client_of(sandbox) as client:
        account = await job.run(client)
    assert sandbox.stats().requests == 0
    assert states_of(path) == [State.PLANNED] * 10
    assert account.errors == ()


async def test_what_waits_for_its_turn_is_taken_back(file: Path) -> None:
    """Draining does not wait for the rate limit: who has no slot yet is planned again."""
    async with Sandbox(limit=5, window=5.0) as tight:
        path, job = plan(file, 20), Job(str(file))
        seen: list[str] = []
        async with client_of(tight, limit=RateLimit(requests=5, per=5.0)) as client:
            task = asyncio.create_task(job.run(client, on_progress=lambda p: seen.append(p.why)))
            await until(lambda: tight.stats().accepted == 5)
            await until(lambda: any("for the rate limit" in why for why in seen))
            job.drain()
            await asyncio.wait_for(task, HANG)
        assert audited(path, tight) == Audit(0, 0, 0, 0, 30)


async def test_drained_before_a_chunk_has_begun_it_stays_planned(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is cancelled before its first step has written nothing down."""
    path, start = plan(file, 10), runner.Runner._start

    def start_and_stop(self: runner.Runner, tasks: asyncio.TaskGroup, chunk: Chunk) -> None:
        start(self, tasks, chunk)
        self.stop("stopped")

    monkeypatch.setattr(runner.Runner, "_start", start_and_stop)
    await go(path, sandbox)
    assert states_of(path) == [State.PLANNED] * 10
    assert sandbox.stats().requests == 0


async def test_what_nobody_waits_for_any_more_is_no_error() -> None:
    """A note whose future was given up, as at the end of a cancelled run."""
    note: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    note.cancel()
    thread._retrieve(note)


ASK = """
import asyncio, sys
from moveworks_shift_async.jobs.job import Job
asyncio.run(getattr(Job(sys.argv[1]), sys.argv[2])())
"""


async def ask(path: str, command: str) -> None:
    """As another terminal does."""
    process = await spawn(sys.executable, "-c", ASK, path, command)
    assert await process.wait() == 0


async def test_paused_and_stopped_from_another_process(file: Path, sandbox: Sandbox) -> None:
    """A pause ends what is in flight and sends nothing; it goes on, and it stops, when told."""
    sandbox.latency, path, seen = 0.05, plan(file, 800, 1), list[str]()
    async with client_of(sandbox) as client:
        job = asyncio.create_task(Job(path).run(client, on_progress=lambda p: seen.append(p.why)))
        await until(lambda: sandbox.stats().accepted >= 12)
        await ask(path, "pause")
        await until(lambda: "paused from another terminal" in seen)
        await until(lambda: client.gate.snapshot().in_flight == 0)
        paused_at = sandbox.stats().accepted
        await asyncio.sleep(0.3)
        assert sandbox.stats().accepted == paused_at < 800
        await ask(path, "go_on")
        await until(lambda: sandbox.stats().accepted > paused_at + 8)
        await ask(path, "stop")
        await asyncio.wait_for(job, HANG)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.unknown) == (0, 0, 0, 0)
    assert found.planned > 0
    assert runs_of(path)[0].ended == "stopped from another terminal"
    (pause,) = events_of(path)
    assert pause.incident is Incident.PAUSED
    assert 0.3 < pause.seconds < HANG
    sandbox.latency = 0.0
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN


async def test_a_stop_of_yesterday_holds_no_more_with_a_clock_set_back(
    file: Path, sandbox: Sandbox
) -> None:
    """It was for the process that ran then; this one must not end at once for it."""
    path = plan(file, 3)
    journal = Journal.open(path)
    journal.write("set_command", (Command.STOP, datetime(2999, 1, 1, tzinfo=UTC).timestamp()))
    journal.close()
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN


async def test_stopped_during_a_pause_the_pause_is_in_the_account(
    file: Path, sandbox: Sandbox
) -> None:
    """And the next run is not paused."""
    sandbox.latency, path, seen = 0.05, plan(file, 100, 1), list[str]()
    async with client_of(sandbox) as client:
        job = Job(path)
        task = asyncio.create_task(job.run(client, on_progress=lambda p: seen.append(p.why)))
        await until(lambda: sandbox.stats().accepted >= 4)
        await job.pause()
        await until(lambda: "paused from another terminal" in seen)
        await job.stop()
        await asyncio.wait_for(task, HANG)
    assert [event.incident for event in events_of(path)] == [Incident.PAUSED]
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN


# --- going on ------------------------------------------------------------------------------


def left_sending(path: str, *chunks: int) -> None:
    """As a process leaves them that is killed."""
    journal = Journal.open(path)
    with journal.transaction():
        journal.begin_run(
            Run(
                id=f"killed with {chunks}",
                pid=1,
                host="h",
                began_at=1.0,
                ended_at=None,
                ended=None,
                budget=1,
                per=1.0,
            )
        )
        for chunk in chunks:
            journal.sending(chunk, 1.0)
    journal.close()


async def test_resumed_it_reports_what_was_in_flight(file: Path, sandbox: Sandbox) -> None:
    """By default nobody is sent to again whose outcome is not known."""
    path = plan(file, 10)
    left_sending(path, 2, 3)
    await go(path, sandbox)
    assert audited(path, sandbox) == Audit(0, 0, 0, unknown=4, planned=0)
    assert [state for state in states_of(path) if state is not State.ACCEPTED] == [
        State.UNKNOWN,
        State.UNKNOWN,
    ]


async def test_resumed_it_sends_again_by_the_user_s_word(file: Path, sandbox: Sandbox) -> None:
    """Also those that an earlier resume has reported."""
    path = plan(file, 10)
    left_sending(path, 2)
    await go(path, sandbox)
    await go(path, sandbox, unknown="resend")
    assert audited(path, sandbox) == CLEAN


async def test_a_refusal_of_what_is_sent_again_denies_nothing(file: Path, sandbox: Sandbox) -> None:
    """The first request may have told them: no later answer makes them rejected or not sent."""
    path = plan(file, lists=[with_guilty(2, 1)])
    sandbox.faults.script("send", "reset-after-body")
    await go(path, sandbox)
    with pytest.raises(JobStopped):
        await go(path, sandbox, ApiKey("wrong"), unknown="resend", other_credential=True)
    stopped = await Job(path).account()
    assert (stopped.unknown, stopped.undecided, stopped.not_sent) == (2, 2, 0)
    assert not stopped.finished
    await Job(path).write_csv(file.with_suffix(".csv"))
    rows = file.with_suffix(".csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["unknown", "unknown"]
    await go(path, sandbox, other_credential=True)
    refused = await Job(path).account()
    assert (refused.unknown, refused.undecided, refused.rejected) == (2, 2, 0)
    assert "HTTP 400" in refused.errors[0].message
    assert refused.finished


async def test_what_waits_to_be_sent_again_can_still_be_left_alone(
    file: Path, sandbox: Sandbox
) -> None:
    """The last word counts: whoever was told before the reset is not told again."""
    path = plan(file, 1)
    sandbox.faults.script("send", "processed-then-reset")
    await go(path, sandbox)
    with pytest.raises(JobStopped):
        await go(path, sandbox, ApiKey("wrong"), unknown="resend", other_credential=True)
    await go(path, sandbox, unknown="skip", other_credential=True)
    assert set(sandbox.received().people.values()) == {1}
    account = await Job(path).account()
    assert (account.unknown, account.left_alone, account.finished) == (2, 2, True)


def test_the_account_of_a_killed_process_leaves_its_files_as_they_are(file: Path) -> None:
    """Whatever is in them."""
    path = plan(file, 3)
    killed = "import os, sys; from moveworks_shift_async.jobs.store.sqlite.journal import Journal; "
    killed += "journal = Journal.open(sys.argv[1]); journal.sending(0, 1.0); os._exit(9)"
    subprocess.run([sys.executable, "-c", killed, path], check=False)
    before = file.read_bytes()
    assert asyncio.run(Job(path).account()).unknown == 2
    assert file.read_bytes() == before
    file.write_bytes(before[:4096] + bytes(len(before) - 4096))
    before = file.read_bytes()
    with pytest.raises(JournalError):
        asyncio.run(Job(path).account())
    assert file.read_bytes() == before
    assert [beside.name for beside in file.parent.iterdir()] == [file.name]


async def test_a_journal_on_a_read_only_disk_can_be_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There nothing can be written beside it."""
    path = plan(file, 3)
    monkeypatch.setattr(Database, "connect", None)
    assert (await Job(path).account()).not_sent == 6


async def test_resumed_it_leaves_them_for_good(file: Path, sandbox: Sandbox) -> None:
    """A later word does not change that."""
    path = plan(file, 10)
    left_sending(path, 2)
    await go(path, sandbox, unknown="skip")
    with pytest.raises(
        JournalError, match=r"skipped for good on 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    ):
        await go(path, sandbox, unknown="resend")
    await go(path, sandbox)
    assert audited(path, sandbox) == Audit(0, 0, 0, unknown=2, planned=0)
    with Journal.look(path) as journal:
        assert [record.left_alone for record in journal.reads.records()][2]


async def test_an_unknown_word_for_the_unknown_is_refused(file: Path, sandbox: Sandbox) -> None:
    """A misspelt choice is not taken for another one."""
    path = plan(file, 2)
    async with client_of(sandbox) as client:
        with pytest.raises(InvalidInput, match="one of report, resend, skip"):
            await Job(path).resume(client, unknown="resent")  # type: ignore[arg-type]


async def test_a_finished_job_sends_nothing_more(file: Path, sandbox: Sandbox) -> None:
    """Resuming it is harmless; running it again is refused with the way on."""
    path = plan(file, 5)
    await go(path, sandbox)
    before = sandbox.stats().requests
    await go(path, sandbox)
    assert sandbox.stats().requests == before
    async with client_of(sandbox) as client:
        with pytest.raises(JournalError, match=r"has begun already.*\(report\)"):
            await Job(path).run(client)
    assert len(runs_of(path)) == 1


async def test_a_server_that_told_nobody_may_be_left_for_another(
    file: Path, sandbox: Sandbox
) -> None:
    """The wrong region answers 401: nobody was told, so `run` begins anew elsewhere."""
    path, wrong = plan(file, 5), ApiKey("of another region")
    async with Sandbox() as other, MoveworksClient(wrong, base_url=other.url) as client:
        with pytest.raises(JobStopped):
            await Job(path).run(client)
    async with client_of(sandbox) as client:
        await Job(path).run(client)
    with Journal.look(path) as journal:
        assert journal.reads.header().base_url == sandbox.url
    assert audited(path, sandbox) == CLEAN


async def test_a_pause_that_comes_while_the_journal_is_read_holds(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was meant for an earlier process does not."""
    path, verify = plan(file, 5), Reads.verify
    job = Job(path)
    journal = Journal.open(path)
    journal.write("set_command", (Command.PAUSE, 1.0))  # for a process that was killed
    journal.close()
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN

    def paused(journal: Reads) -> Header:
        found = verify(journal)
        asyncio.run(job.pause())
        return found

    other = plan(file.with_name("other"), 5)
    job = Job(other)
    monkeypatch.setattr(Reads, "verify", paused)
    async with client_of(sandbox) as client:
        task = asyncio.create_task(job.run(client))
        await asyncio.sleep(1.2)
        account = await job.account()
        assert account.paused
        assert await job.go_on()
        await task


async def test_it_may_be_resumed_before_it_was_run(file: Path, sandbox: Sandbox) -> None:
    """Then that is its first run."""
    path = plan(file, 5)
    async with client_of(sandbox) as client:
        await Job(path).resume(client)
    assert audited(path, sandbox) == CLEAN


async def test_two_runs_at_once_are_refused(file: Path, sandbox: Sandbox) -> None:
    """The second hears who is there; the first goes on."""
    sandbox.latency, path = 0.05, plan(file, 20)
    async with client_of(sandbox) as client:
        first = asyncio.create_task(Job(path).run(client))
        await until(lambda: sandbox.stats().accepted >= 1)
        with pytest.raises(JobRunning, match="another process works on"):
            await Job(path).resume(client)
        await first
    assert audited(path, sandbox) == CLEAN


async def test_a_second_run_of_one_job_leaves_the_first_as_it_is(
    file: Path, sandbox: Sandbox
) -> None:
    """It is refused, and who drains the job ends the run that is on."""
    sandbox.latency, path = 0.02, plan(file, 40)
    job = Job(path)
    async with client_of(sandbox) as client:
        first = asyncio.create_task(job.run(client))
        await until(lambda: sandbox.stats().accepted >= 1)
        with pytest.raises(JobRunning):
            await job.resume(client)
        job.drain()
        account = await first
    assert 0 < account.accepted < account.people
    assert account.accepted + account.not_sent == account.people


async def test_it_is_tied_to_its_server_before_the_first_answer(
    file: Path, sandbox: Sandbox
) -> None:
    """A process that is killed before may have told them there."""
    path, answering = plan(file, 5), asyncio.Event()
    serve = sandbox._listener.handler

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await answering.wait()
        return await serve(request)

    sandbox._listener.handler = never
    async with client_of(sandbox) as client:
        running = asyncio.create_task(Job(path).run(client))
        await until(lambda: State.SENDING in states_of(path))
        copy = file.read_bytes()  # noqa: ASYNC240 - as a kill would leave it
        answering.set()
        await running
    file.write_bytes(copy)  # noqa: ASYNC240
    async with Sandbox(limit=100) as other:
        with pytest.raises(JournalError, match="is a job for http"):
            await go(path, other, moved=True)
        assert other.stats().requests == 0


async def test_another_credential_needs_the_users_word(file: Path, sandbox: Sandbox) -> None:
    """It may be another organisation's; a secret that was replaced is the same credential."""
    path = plan(file, 20)
    job = Job(path)
    async with client_of(sandbox) as client:
        running = asyncio.create_task(job.run(client))
        await until(lambda: sandbox.stats().accepted >= 1)
        job.drain()
        await running
    mine = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    asked = sandbox.stats().requests
    with pytest.raises(JournalError, match=r"begun with another credential .*--other-credential"):
        await go(path, sandbox, mine)
    assert sandbox.stats().requests == asked
    await go(path, sandbox, mine, other_credential=True)
    await go(path, sandbox, ClientCredentials(sandbox.client_id, "its next secret"))
    assert audited(path, sandbox) == CLEAN
    with Journal.look(path) as journal:
        header = journal.reads.header()
    assert sandbox.client_id not in repr(header)


async def test_a_restart_keeps_the_limit(file: Path) -> None:
    """What an earlier process sent in the last window counts: no 429 of our own making."""
    limit = RateLimit(requests=20, per=2.0)
    async with Sandbox(limit=20, window=2.0) as tight:
        path = plan(file, 60)
        for _ in range(2):
            job, before = Job(path), tight.stats().accepted
            async with client_of(tight, limit=limit) as client:
                running = asyncio.create_task(job.resume(client))
                await until(lambda before=before: tight.stats().accepted > before)  # type: ignore[misc]
                job.drain()
                await running
        async with client_of(tight, limit=limit) as client:
            await Job(path).resume(client)
        assert audited(path, tight) == CLEAN
        assert tight.stats().throttled == 0


async def test_a_pause_while_chunks_wait_for_the_limit_ends_no_job(
    file: Path, sandbox: Sandbox
) -> None:
    """They are taken back, which is nothing that they met; then they go."""
    path, paused = plan(file, 8), asyncio.Event()
    limit = RateLimit(requests=4, per=1.0)

    def watch(progress: JobProgress) -> None:
        if progress.why.startswith("paused"):
            paused.set()

    async with client_of(sandbox, limit=limit) as client:
        running = asyncio.create_task(Job(path).run(client, on_progress=watch))
        await until(lambda: sandbox.stats().accepted >= 4 and client.gate.snapshot().waiting > 0)
        await Job(path).pause()
        await paused.wait()
        assert await Job(path).go_on()
        account = await running
    assert account.finished
    assert audited(path, sandbox) == CLEAN


async def test_another_server_is_refused(file: Path, sandbox: Sandbox) -> None:
    """Half the people on the test system would be a bad surprise."""
    path = plan(file, 5)
    await go(path, sandbox)
    async with Sandbox(limit=100) as other:
        with pytest.raises(JournalError, match=r"is a job for http.*and this client is for http"):
            await go(path, other)
        assert other.stats().requests == 0
    assert len(runs_of(path)) == 1


@pytest.mark.parametrize("how", ["run", "resume", "account", "test", "pause", "stop", "go_on"])
async def test_a_journal_that_is_not_there_is_named(file: Path, sandbox: Sandbox, how: str) -> None:
    """And not made."""
    job = Job(str(file))
    async with client_of(sandbox) as client:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "run": lambda: job.run(client),
            "resume": lambda: job.resume(client),
            "account": job.account,
            "test": lambda: job.test(client, "a@x.io"),
            "pause": job.pause,
            "stop": job.stop,
            "go_on": job.go_on,
        }
        with pytest.raises(JournalError, match="there is no journal"):
            await calls[how]()
    assert [*file.parent.iterdir()] == []


# --- isolate -------------------------------------------------------------------------------

#: The client lets it pass; the sandbox holds the local part to RFC 5321's 64 characters.
GUILTY = "x" * 65 + "@example.com"


def with_guilty(size: int, *places: int) -> tuple[str, ...]:
    """People of whom some make the server refuse the list."""
    return tuple(
        f"g{place}{GUILTY}" if place in places else f"p{place}@example.com" for place in range(size)
    )


async def test_without_isolate_the_list_is_rejected(file: Path, sandbox: Sandbox) -> None:
    """Off by default: one request, and nobody in it is told."""
    path = plan(file, lists=[with_guilty(40, 7), people_of(1, 40)])
    await go(path, sandbox)
    assert states_of(path) == [State.REJECTED, State.ACCEPTED]
    assert sandbox.stats().requests == 2


async def test_isolate_finds_the_guilty_and_tells_the_others(file: Path, sandbox: Sandbox) -> None:
    """Within its requests; each of the others is told once."""
    path = plan(file, lists=[people_of(5, 40), with_guilty(40, 0, 7, 39), people_of(6, 40)])
    await go(path, sandbox, isolate=40)
    told = sandbox.received().people
    innocent = [person for person in with_guilty(40, 0, 7, 39) if GUILTY not in person]
    assert [told.get(person, 0) for person in innocent] == [1] * 37
    with Journal.look(path) as journal:
        rejected = {r.id for r in journal.reads.records() if r.state is State.REJECTED}
        people = {
            a for number, those in journal.reads.recipients() if number in rejected for a in those
        }
        assert journal.reads.value("isolated") <= 40
        journal.reads.verify()
    assert people == {person for person in with_guilty(40, 0, 7, 39) if GUILTY in person}
    assert sandbox.stats().requests <= 3 + 40
    assert audited(path, sandbox) == CLEAN


async def test_isolate_keeps_its_budget_over_all_runs(file: Path, sandbox: Sandbox) -> None:
    """Four requests more, no matter how often it is resumed."""
    path = plan(file, lists=[with_guilty(40, 7)])
    await go(path, sandbox, isolate=5)
    assert sandbox.stats().requests == 1 + 4
    await go(path, sandbox, isolate=5)
    assert sandbox.stats().requests == 1 + 4
    assert audited(path, sandbox) == CLEAN


async def test_isolate_is_never_for_what_a_split_cannot_cure(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is too long stays so for each half."""
    path = plan(file, 2, size=40)
    monkeypatch.setattr("moveworks_shift_async.sandbox.rules.MESSAGE_MAX", 3)
    await go(path, sandbox, isolate=100)
    assert states_of(path) == [State.REJECTED] * 2
    assert sandbox.stats().requests == 2


# --- what a user sees ----------------------------------------------------------------------


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file, byte for byte."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_a_test_goes_to_one_address_only(file: Path, sandbox: Sandbox) -> None:
    """The first three texts, and the journal stays as it is, byte for byte."""
    path = plan(file, 10, texts=5)
    before = content_of(file.parent)
    async with client_of(sandbox) as client:
        receipts = await Job(path).test(client, "me@example.com")
        with pytest.raises(InvalidInput, match="what to test with is no address: no @"):
            await Job(path).test(client, "me")
    assert [receipt.recipients for receipt in receipts] == [1, 1, 1]
    assert sandbox.received().people == {"me@example.com": 3}
    assert len({request.message for request in sandbox.received().requests}) == 3
    assert content_of(file.parent) == before


async def test_a_job_of_one_window_waits_for_no_other(file: Path) -> None:
    """As many requests as the limit has free places: the time left is never a window."""
    seen: list[JobProgress] = []
    limit = RateLimit(requests=10, per=36_000.0)
    path = plan(file, 10, 5)
    async with (
        Sandbox(limit=limit.requests, window=limit.per, latency=0.05) as sandbox,
        client_of(sandbox, limit=limit) as client,
    ):
        await Job(path).run(client, on_progress=seen.append)
    assert seen[-1].told == 50
    assert max(moment.left or 0.0 for moment in seen) < limit.per / 2
    assert not [moment.why for moment in seen if "rate limit" in moment.why]


async def test_progress_is_told_as_frozen_values(file: Path, sandbox: Sandbox) -> None:
    """From the start to the end, and the last one is the whole."""
    sandbox.latency, path, seen = 0.05, plan(file, 60, 5), list[JobProgress]()
    await go(path, sandbox, on_progress=seen.append)
    assert len(seen) >= 3
    assert [one.told for one in seen] == sorted(one.told for one in seen)
    assert (seen[0].told, seen[0].total, seen[0].finished) == (0, 300, False)
    assert (seen[-1].told, seen[-1].requests, seen[-1].finished) == (300, 60, True)
    with pytest.raises(FrozenInstanceError):
        seen[0].told = 1  # type: ignore[misc]


async def test_progress_of_a_resumed_job_begins_where_it_stood(
    file: Path, sandbox: Sandbox
) -> None:
    """What other processes did counts."""
    path, seen = plan(file, 10, 5), list[JobProgress]()
    left_sending(path, 0)
    await go(path, sandbox, on_progress=seen.append)
    assert (seen[0].unknown, seen[0].total, seen[0].requests) == (5, 50, 1)
    assert (seen[-1].told, seen[-1].unknown, seen[-1].requests) == (45, 5, 10)


async def test_a_display_that_raises_does_not_end_the_job(
    file: Path, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, without a word about anybody."""
    path = plan(file, 10)

    def broken(_: JobProgress) -> None:
        raise KeyError("bar")

    await go(path, sandbox, on_progress=broken)
    assert audited(path, sandbox) == CLEAN
    assert "on_progress raised" in caplog.text
    assert "example.com" not in caplog.text


@define(eq=False)
class JumpingClock(SystemClock):
    """A wall clock that is set by a day, forth and back, each time somebody looks."""

    looks: int = 0

    def utcnow(self) -> datetime:
        """Yesterday, or tomorrow."""
        self.looks += 1
        return datetime.now(UTC) + timedelta(days=1 if self.looks % 2 else -1)


async def test_a_clock_that_jumps_is_no_matter(file: Path, sandbox: Sandbox) -> None:
    """Times in the account may be odd; who was told is not."""
    path, clock = plan(file, 30), JumpingClock()
    sandbox.faults.script("send", *["server-503-json"] * 3)
    async with client_of(sandbox) as client:
        await Job(path, clock=clock).run(client)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.unknown, found.planned) == (0, 0, 0, 6, 0)
    assert clock.looks > 30
    (outage,) = events_of(path)
    assert 0 <= outage.seconds < 10


# --- the disk ------------------------------------------------------------------------------


def file_size(path: str) -> int:
    """In bytes."""
    return Path(path).stat().st_size


def fill_up(folder: Path) -> Path:
    """Take all the room that is left."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.EFBIG)  # noqa: PT017
    return ballast


async def full_in_the_middle(folder: Path, *, mounted: bool) -> None:
    """The disk is full while a job runs; with room it goes on, and nobody is told twice."""
    async with Sandbox(limit=100_000, window=1.0, latency=0.02) as sandbox:
        path = plan(folder / "job.journal", 300, 1)
        job = asyncio.create_task(go(path, sandbox))
        if mounted:
            await until(lambda: sandbox.stats().accepted >= 8)
            ballast = fill_up(folder)
            unlimited = None
        else:
            ballast, unlimited = folder / "none", resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            await until(lambda: sandbox.stats().accepted >= 8)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size(path), unlimited))
        try:
            await job
        except JobStopped as stopped:
            said = str(stopped)
        assert "is full or broken" in said
        assert "make room, then resume the job" in said
        states = states_of(path)
        assert 0 < states.count(State.ACCEPTED) < 300
        assert states.count(State.SENDING) <= IN_FLIGHT
        errors = [*(await Job(path).account()).errors]
        assert {error.message for error in errors if error.state is State.UNKNOWN} <= {UNWRITTEN}
        if mounted:
            fill_up(folder)
            with pytest.raises(JournalError, match="is full or broken"):
                await go(path, sandbox)
        ballast.unlink(missing_ok=True)
        if unlimited is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
        await go(path, sandbox)
        found = audited(path, sandbox)
        assert (found.lost, found.twice, found.denied, found.planned) == (0, 0, 0, 0)
        assert found.unknown <= IN_FLIGHT


FULL = """
import asyncio, pathlib, sys
from tests.test_jobs_run import full_in_the_middle
asyncio.run(full_in_the_middle(pathlib.Path(sys.argv[1]), mounted=False))
"""


def test_a_disk_that_is_full_stops_it_and_room_lets_it_go_on(tmp_path: Path) -> None:
    """A file system of its own where one can be mounted, else a quota."""
    with small_disk(tmp_path, 2_000) as mounted:
        if mounted:
            asyncio.run(full_in_the_middle(tmp_path, mounted=True))
        else:
            subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True)


def test_a_quota_stops_it_and_a_larger_one_lets_it_go_on(tmp_path: Path) -> None:
    """The same where a file may not grow any more."""
    subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True)


def make_room_at_the_end(monkeypatch: pytest.MonkeyPatch, room: list[int]) -> None:
    """When nothing is in flight any more, the disk has room again."""
    write_rest = Ends.write_rest

    async def with_room(self: Ends) -> int:
        room.append(1)
        return await write_rest(self)

    monkeypatch.setattr(Ends, "write_rest", with_room)


@pytest.mark.parametrize("lasting", [False, True])
async def test_an_end_that_could_not_be_written_is_tried_again(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    """With room at the end it is right; without, it stays `sending`, and so unknown."""
    path, settle, room = plan(file, 20), Journal.settle, list[int]()

    def fails(journal: Journal, step: Settlement, *parts: Parts) -> bool:
        if step.chunk == 3 and not room:
            raise JournalError("the disk is full")
        return settle(journal, step, *parts)

    monkeypatch.setattr(Journal, "settle", fails)
    if not lasting:
        make_room_at_the_end(monkeypatch, room)
    with pytest.raises(JobStopped, match="the disk is full") as stopped:
        await go(path, sandbox)
    assert ("the ends of 1 requests could not be" in str(stopped.value)) is lasting
    assert states_of(path)[3] is (State.SENDING if lasting else State.ACCEPTED)
    before = [error.message for error in (await Job(path).account()).errors]
    monkeypatch.setattr(Journal, "settle", settle)
    await go(path, sandbox)
    after = [error.message for error in (await Job(path).account()).errors]
    assert before == after == ([UNWRITTEN] if lasting else [])
    assert audited(path, sandbox) == Audit(0, 0, 0, unknown=2 if lasting else 0, planned=0)


async def test_a_division_that_could_not_be_written_is_tried_again(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its halves are not lost: nobody innocent is rejected for a full disk."""
    path, split, room = plan(file, lists=[with_guilty(8, 3)]), Journal.split, list[int]()
    make_room_at_the_end(monkeypatch, room)

    def fails(journal: Journal, chunk: int, parts: list[tuple[str, ...]]) -> None:
        if not room:
            raise JournalError("the disk is full")
        split(journal, chunk, parts)

    monkeypatch.setattr(Journal, "split", fails)
    with pytest.raises(JobStopped, match="the disk is full"):
        await go(path, sandbox, isolate=20)
    assert states_of(path) == [State.PLANNED] * 2
    await go(path, sandbox, isolate=20)
    assert sum(sandbox.received().people.values()) == 7


@pytest.mark.parametrize("method", ["claim", "command", "sending"])
async def test_a_journal_that_breaks_on_the_way_stops_it(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever step meets it, nobody is unknown for it."""
    sandbox.latency, path = 0.05, plan(file, 60)
    part = Journal if method == "sending" else Reads
    real, calls = getattr(part, method), list[int]()

    def breaks(journal: object, *values: object, **more: object) -> object:
        calls.append(1)
        if len(calls) > 2:
            raise JournalError("the disk is broken")
        return real(journal, *values, **more)

    monkeypatch.setattr(part, method, breaks)
    with pytest.raises(JobStopped, match="the disk is broken"):
        await go(path, sandbox)
    monkeypatch.setattr(part, method, real)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.unknown) == (0, 0, 0, 0)
    await go(path, sandbox)
    assert audited(path, sandbox) == CLEAN


@pytest.mark.parametrize("waits", [True, False])
async def test_a_chunk_that_another_run_has_is_left_to_it(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    """Nothing of it leaves, however often a call repeats its request; the job goes on."""
    path, sending, asked = plan(file, 10), Journal.sending, list[int]()

    def lost(journal: Journal, chunk: int, at: float, owner: str) -> bool:
        asked.append(chunk)
        return chunk != 3 and sending(journal, chunk, at, owner)

    monkeypatch.setattr(Journal, "sending", lost)
    seen: list[JobProgress] = []
    async with client_of(sandbox) as client:
        account = await Job(path).run(client, on_progress=seen.append, waits=waits)
    assert (account.accepted, account.not_sent, account.errors) == (18, 2, ())
    assert audited(path, sandbox) == Audit(0, 0, 0, unknown=0, planned=2)
    assert asked.count(3) == 1
    assert seen[-1].finished
    assert runs_of(path)[0].ended == "done"


async def test_an_end_that_is_not_its_owners_to_say_is_dropped(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has called the chunk unknown; this run goes on with the others."""
    path, settle = plan(file, 10), Journal.settle

    def late(journal: Journal, step: Settlement, *parts: Parts) -> bool:
        if step.chunk == 3:
            journal._db.connection.execute(
                "UPDATE chunk SET state = 'unknown', ended_at = 1 WHERE id = 3"
            )
        return settle(journal, step, *parts)

    monkeypatch.setattr(Journal, "settle", late)
    await go(path, sandbox)
    assert audited(path, sandbox) == Audit(0, 0, 0, unknown=2, planned=0)
    assert runs_of(path)[0].ended == "done"


async def test_cancelled_as_it_begins_a_run_has_an_end(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written although nobody waits for it any more, and nobody is sent to."""
    path, begin_run, cancelled = plan(file, 3), Journal.begin_run, threading.Event()

    def slow(journal: Journal, run: Run) -> None:
        loop.call_soon_threadsafe(task.cancel)
        loop.call_soon_threadsafe(cancelled.set)
        assert cancelled.wait(HANG)
        begin_run(journal, run)

    monkeypatch.setattr(Journal, "begin_run", slow)
    loop = asyncio.get_running_loop()
    async with client_of(sandbox) as client:
        task = asyncio.create_task(Job(path).run(client))
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [run.ended for run in runs_of(path)] == ["cut"]
    assert states_of(path) == [State.PLANNED] * 3


async def test_an_event_that_cannot_be_written_is_no_reason_to_stop(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks' own steps are what counts."""
    path = plan(file, 10)
    sandbox.faults.script("send", "throttle")

    def breaks(*_: object) -> None:
        raise JournalError("no room")

    monkeypatch.setattr(Journal, "add_event", breaks)
    async with client_of(sandbox, limit=RateLimit(requests=1000, per=0.1)) as client:
        await Job(path).run(client)
    assert audited(path, sandbox) == CLEAN


async def test_a_defect_of_this_package_costs_one_chunk(
    file: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unknown, whatever it was; the others are told."""
    path, answers = plan(file, 10), list[int]()

    def broken(response: Response, attempts: int) -> Receipt:
        answers.append(1)
        if len(answers) == 3:
            raise ZeroDivisionError
        return parse_receipt(response, attempts)

    monkeypatch.setattr("moveworks_shift_async.endpoints.sending.parse_receipt", broken)
    await go(path, sandbox)
    assert states_of(path).count(State.UNKNOWN) == 1
    assert sandbox.stats().accepted == 10
    with Journal.look(path) as journal:
        (record,) = (one for one in journal.reads.records() if one.error)
    assert (record.error, record.people) == ("OutcomeUnknown", 2)
    assert "unexpected ZeroDivisionError" in (record.reason or "")


async def test_a_client_that_is_closed_under_it_stops_it(file: Path, sandbox: Sandbox) -> None:
    """What is in flight ends; the rest stays planned."""
    sandbox.latency, path = 0.05, plan(file, 60)
    client = client_of(sandbox)
    job = asyncio.create_task(Job(path).run(client))
    await until(lambda: sandbox.stats().accepted >= 8)
    await client.close()
    with pytest.raises(JobStopped) as stopped:
        await job
    assert isinstance(stopped.value.cause, ClientClosed)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.unknown) == (0, 0, 0, 0)
    assert found.planned > 0


async def test_a_request_that_breaks_a_rule_of_ours_stops_it(file: Path, sandbox: Sandbox) -> None:
    """A plan would never have let it pass; nothing is sent, and nobody is marked."""
    path = plan(file, chunks=1, event_id="no UUID")
    with pytest.raises(JobStopped) as stopped:
        await go(path, sandbox)
    assert isinstance(stopped.value.cause, InvalidInput)
    assert not isinstance(stopped.value.cause, BadRequest)
    assert states_of(path) == [State.PLANNED]


# --- the event loop ------------------------------------------------------------------------

EAGER = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no eager tasks yet")


@EAGER
async def test_tasks_that_begin_at_once_lose_nobody(file: Path, sandbox: Sandbox) -> None:
    """Some of them have ended before whoever began them goes on."""
    begin_at_once(asyncio.get_running_loop())
    path = plan(file, 40, lists=[with_guilty(2, 1)] + [people_of(n, 2) for n in range(40)])
    sandbox.faults.script("send", "none", "throttle", "expired-token", "none")
    renewed = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    await go(path, sandbox, renewed, isolate=20)
    found = audited(path, sandbox)
    assert (found.lost, found.twice, found.denied, found.unknown, found.planned) == (0,) * 5


@EAGER
async def test_a_call_that_fails_at_once_is_counted_under_eager_tasks(
    file: Path, sandbox: Sandbox
) -> None:
    """A client that is closed refuses each call in its first step."""
    begin_at_once(asyncio.get_running_loop())
    path = plan(file, 40)
    client = client_of(sandbox)
    await client.close()
    with pytest.raises(JobStopped) as stopped:
        await Job(path).run(client)
    assert isinstance(stopped.value.cause, ClientClosed)
    assert states_of(path) == [State.PLANNED] * 40


async def test_whoever_looks_sees_what_holds_a_run(file: Path) -> None:
    """Since when and why, as long as it does: a pause here, then a server that is away."""
    path = plan(file, 120, 1)
    job = Job(path)

    async def waits(words: str) -> str:
        while words not in (said := " ".join(waits_for(await job.account()))):
            assert not run.done()
            await asyncio.sleep(0.05)
        return said

    async with Sandbox(limit=100_000, window=1.0, latency=0.1) as sandbox:  # not at its end by then
        run = asyncio.create_task(go(path, sandbox))
        await until(lambda: sandbox.stats().accepted > 8)
        await job.pause()
        assert "UTC" in await waits("Paused since ")
        await sandbox.stop_listening()
        await job.go_on()
        outage = await waits("Waiting for the server since ")
        assert "Paused" not in outage
        assert "connect" in outage
        await sandbox.start_listening()
        await run
    assert waits_for(await job.account()) == ()
