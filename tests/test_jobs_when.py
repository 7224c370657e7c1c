"""A job keeps its hours: whatever happens to clocks, nothing leaves outside of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, cast
from uuid import uuid4

import pytest
from attrs import define, frozen

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.clock import SystemClock
from moveworks_shift_async.errors import InvalidInput, JobStopped
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import Chunk, Incident
from moveworks_shift_async.jobs.report.account import JobAccount
from moveworks_shift_async.jobs.report.lines import account_lines
from moveworks_shift_async.jobs.run import runner
from moveworks_shift_async.jobs.run.holds import Holds
from moveworks_shift_async.jobs.run.hours import Hours
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.jobs.schedule.schedule import Schedule
from moveworks_shift_async.jobs.store.ports import RunStore
from moveworks_shift_async.jobs.store.sqlite.run_store import SqliteRunStore
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.sending import breaker

from .commands import HANG
from .conftest import begin_at_once

WORK = "Mon-Fri 08:00-18:00 Europe/Berlin"
#: A Sunday evening, ten hours and more before that, and a moment within it.
SUNDAY = datetime(2026, 11, 29, 20, 40, tzinfo=UTC)
MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
OPEN = RateLimit(requests=100_000, per=1.0)
EAGER = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no eager tasks yet")


@define(eq=False)
class WallClock(SystemClock):
    """A machine whose wall clock is set; time passes as it does."""

    set_to: datetime
    at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.set(self.set_to)

    def set(self, to: datetime) -> None:
        """From now on it shows this, and goes on."""
        self.set_to, self.at = to, self.now()

    def utcnow(self) -> datetime:
        """What it shows."""
        return self.set_to + timedelta(seconds=self.now() - self.at)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that people would not notice are too long for tests."""
    monkeypatch.setattr(breaker, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(runner, "_LOOK", 0.05)


@pytest.fixture(params=["sqlite", "postgres"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a job of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "job.journal")
    return f"{request.getfixturevalue('postgres')}#{uuid4()}"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Of a job in a file."""
    return str(tmp_path / "job.journal")


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[MoveworksClient]:
    """One without a limit that binds."""
    async with client_of(sandbox) as made:
        yield made


def client_of(sandbox: Sandbox, limit: RateLimit = OPEN, **more: int) -> MoveworksClient:
    """A client of that sandbox."""
    key = ApiKey(sandbox.api_key)
    return MoveworksClient(key, base_url=sandbox.url, rate_limit=limit, **more)  # type: ignore[arg-type]


async def planned(name: str, chunks: int = 4, **when: object) -> None:
    """A job of so many requests, of one person each."""
    people = ({"email": f"p{n}@example.com", "n": n} for n in range(chunks))
    await Job.plan(name, people, template="Hello {n}", legacy=True, **when)  # type: ignore[arg-type]


async def until(true: Callable[[], bool]) -> None:
    """Wait for what others do."""
    async with asyncio.timeout(HANG):
        while not true():  # noqa: ASYNC110 - it is a server
            await asyncio.sleep(0.01)


def closed_now() -> str:
    """A window that is closed in these hours by every clock that is right, and opens in twelve."""
    now = datetime.now(UTC) + timedelta(hours=12)
    return f"{now:%H}:00-{now:%H}:59 UTC"


def open_now() -> str:
    """A window that is open in these hours."""
    begins, ends = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-2, 2))
    return f"{begins:%H}:00-{ends:%H}:00 UTC"


def told(sandbox: Sandbox) -> int:
    """How many were told."""
    return len(sandbox.received().people)


async def waits(seen: list[JobProgress]) -> JobProgress:
    """The first progress that says until when it waits."""
    await until(lambda: any(progress.waits_until is not None for progress in seen))
    return next(progress for progress in seen if progress.waits_until is not None)


# --- waiting --------------------------------------------------------------------------------------


async def test_it_waits_for_its_window(
    file: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """Nothing leaves before; progress, status and the account say until when, and why."""
    await planned(file, window=WORK)
    clock, seen = WallClock(SUNDAY), list[JobProgress]()
    job = Job(file, clock)
    running = asyncio.create_task(job.run(client, on_progress=seen.append))
    progress = await waits(seen)
    opens = "waiting until Mon 2026-11-30 08:00 CET, outside of Mon-Fri 08:00-18:00 Europe/Berlin"
    assert progress.why.startswith(f"{opens}; 10 h ")
    assert progress.waits_until == datetime(2026, 11, 30, 7, tzinfo=UTC).timestamp()

    async def status() -> str:
        return "\n".join(account_lines(await job.account()))

    async with asyncio.timeout(HANG):
        while "Not to send since 2026-11-29 20:40" not in (said := await status()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert opens in said
    assert f"To be sent {WORK}." in said
    assert told(sandbox) == 0
    clock.set(SUNDAY + timedelta(hours=3))
    account = await job.account()
    assert account.elapsed > 2 * 3600
    assert account.working < 3600  # to wait is no work, while it lasts as well
    clock.set(MONDAY)
    account = await running
    assert (account.accepted, account.closed) == (4, None)
    (event,) = account.events
    assert event.incident is Incident.CLOSED
    assert 12 * 3600 < event.seconds < 13 * 3600
    assert event.reason == opens
    done = await status()
    assert "Closed: once, 12 h 2" in done
    assert "To be sent" not in done


async def test_it_waits_for_its_first_moment(
    file: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """As for a window, and to the moment."""
    await planned(file, at="2026-11-29T20:40Z")
    clock = WallClock(SUNDAY - timedelta(seconds=1))
    account = await Job(file, clock).run(client)
    assert account.accepted == 4
    assert clock.utcnow() >= SUNDAY
    assert [event.incident for event in account.events] == [Incident.CLOSED]


@frozen
class Elsewhere:
    """A store whose time is only known to lie between two."""

    between: tuple[float, float]

    def time(self) -> tuple[float, float]:
        """The two."""
        return self.between


@pytest.mark.parametrize(
    ("hour", "least", "most", "opened"),
    [
        (7, -2, -1, False),
        (7, -1, 1, False),
        (7, 0, 2, True),
        (17, -2, -1, True),
        (17, -1, 1, False),
    ],
)
def test_of_two_times_the_one_counts_at_which_nothing_may_leave(
    hour: int, least: int, most: int, opened: bool
) -> None:
    """A database that answers late makes no run begin before its window, or end behind it."""
    at = MONDAY.replace(hour=hour).timestamp()
    holds = Holds()
    holds.schedule = Schedule.kept(WORK, None, None)
    store = cast("RunStore", Elsewhere((at + least, at + most)))
    hours = Hours(store, SystemClock(), holds, True)
    assert (hours.why_not() is None) is opened
    assert (hours.look().closes is None) is opened


@pytest.mark.parametrize("how", ["stop", "pause", "drain"])
async def test_it_hears_commands_while_it_waits(
    name: str, sandbox: Sandbox, client: MoveworksClient, how: str
) -> None:
    """Stop, pause and the end of the process; no window has to open for it."""
    await planned(name, window=closed_now())
    job, seen = Job(name), list[JobProgress]()
    running = asyncio.create_task(job.run(client, on_progress=seen.append))
    await waits(seen)
    if how == "pause":
        await Job(name).pause()
        await until(lambda: seen[-1].why == "paused from another terminal")
        await Job(name).go_on()
        await until(lambda: seen[-1].waits_until is not None)
    if how != "drain":
        await Job(name).stop()
    else:
        job.drain()
    account = await running
    assert (told(sandbox), account.not_sent, account.finished) == (0, 4, False)


async def test_a_day_is_left_to_the_next(file: str, sandbox: Sandbox) -> None:
    """What does not fit is sent when it opens again; the run waits in between."""
    await planned(file, 40, window=WORK)
    clock, seen = WallClock(MONDAY), list[JobProgress]()
    async with client_of(sandbox, RateLimit(requests=20, per=1.0)) as slow:
        running = asyncio.create_task(Job(file, clock).run(slow, on_progress=seen.append))
        await until(lambda: told(sandbox) >= 20)
        clock.set(MONDAY.replace(hour=17))
        await waits(seen)
        await asyncio.sleep(1.2)  # the limit would let them through by now
        assert told(sandbox) < 40
        clock.set(MONDAY + timedelta(days=1))
        account = await running
    assert account.accepted == 40
    assert set(sandbox.received().people.values()) == {1}


# --- not outside ----------------------------------------------------------------------------------


async def test_a_call_that_waited_for_a_slot_is_taken_back(file: str, sandbox: Sandbox) -> None:
    """Its window has closed when its turn has come: it stays planned, as by a pause."""
    await planned(file, 6, window=WORK)
    clock, seen = WallClock(MONDAY), list[JobProgress]()
    async with client_of(sandbox, RateLimit(requests=2, per=2.0)) as slow:
        job = Job(file, clock)
        running = asyncio.create_task(job.run(slow, on_progress=seen.append))
        await until(lambda: told(sandbox) == 2 and slow.gate.snapshot().waiting > 0)
        clock.set(SUNDAY)
        await waits(seen)
        assert slow.gate.snapshot().waiting == 0
        await asyncio.sleep(2.5)
        assert told(sandbox) == 2
        job.drain()
        account = await running
    assert (account.accepted, account.unknown, account.not_sent) == (2, 0, 4)


@pytest.mark.parametrize("eager", [False, pytest.param(True, marks=EAGER)])
async def test_time_is_read_last_with_everything_in_hand(
    file: str,
    sandbox: Sandbox,
    client: MoveworksClient,
    monkeypatch: pytest.MonkeyPatch,
    eager: bool,
) -> None:
    """The window closes while the disk is written to, behind slot and token: nothing leaves."""
    if eager:
        begin_at_once(asyncio.get_running_loop())
    await planned(file, 3, window=WORK)
    clock, sending, seen = WallClock(MONDAY), SqliteRunStore.sending, list[JobProgress]()

    async def slow(self: SqliteRunStore, chunk: Chunk, at: float) -> bool:
        mine = await sending(self, chunk, at)
        if told(sandbox) == 0:
            clock.set(SUNDAY)
        return mine

    monkeypatch.setattr(SqliteRunStore, "sending", slow)
    job = Job(file, clock)
    running = asyncio.create_task(job.run(client, on_progress=seen.append))
    await waits(seen)
    assert told(sandbox) == 0
    monkeypatch.setattr(SqliteRunStore, "sending", sending)
    clock.set(MONDAY)
    account = await running
    assert (account.accepted, account.requests) == (3, 3)
    assert set(sandbox.received().people.values()) == {1}


async def test_a_machine_that_slept_sends_nothing(
    file: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """It goes to sleep within a window and wakes outside: the clock is read before each start."""
    await planned(file, 400, window=WORK)
    clock = WallClock(MONDAY)
    job, requests = Job(file, clock), list[int]()

    def sleeps(progress: JobProgress) -> None:
        if progress.requests and not requests:
            clock.set(MONDAY + timedelta(hours=14))
            requests.append(client.gate.snapshot().in_flight + told(sandbox))

    running = asyncio.create_task(job.run(client, on_progress=sleeps))
    await until(lambda: bool(requests))
    await asyncio.sleep(0.3)
    assert told(sandbox) <= requests[0]
    job.drain()
    account = await running
    assert (account.accepted, account.unknown) == (told(sandbox), 0)


async def test_an_urgent_single_send_is_not_held(
    file: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """A window is the job's, not the gate's."""
    await planned(file, window=WORK)
    job, seen = Job(file, WallClock(SUNDAY)), list[JobProgress]()
    running = asyncio.create_task(job.run(client, on_progress=seen.append))
    await waits(seen)
    receipt = await client.messages.send("The VPN is down", ["boss@example.com"])
    assert (receipt.recipients, told(sandbox)) == (1, 1)
    job.drain()
    await running


async def test_waiting_is_no_outage(file: str, sandbox: Sandbox, client: MoveworksClient) -> None:
    """The server is away as the window closes: nobody asks for it all night, and the night does not
    count as hours without it."""
    await planned(file, 4, window=WORK)
    clock, seen = WallClock(MONDAY), list[JobProgress]()
    await sandbox.stop_listening()
    job = Job(file, clock)
    running = asyncio.create_task(job.run(client, on_progress=seen.append))
    await until(lambda: bool(seen) and seen[-1].why.startswith("waiting for the server"))
    clock.set(SUNDAY + timedelta(days=1))
    await waits(seen)
    await sandbox.start_listening()
    before = sandbox.stats()
    await asyncio.sleep(0.5)
    assert sandbox.stats() == before
    clock.set(MONDAY + timedelta(days=1))
    assert (await running).accepted == 4


async def test_a_zone_that_is_not_known_here_cuts_nothing(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that runs is given a window in a zone that only the other machine knows: what is in
    flight gets its answer.
    """

    async def unknown(_: SqliteRunStore) -> NoReturn:
        raise InvalidInput("no time zone is called Mars/Olympus")

    await planned(file, 4)
    monkeypatch.setattr(SqliteRunStore, "wanted", unknown)
    async with Sandbox(latency=0.3) as slow, client_of(slow, max_in_flight=2) as client:
        with pytest.raises(JobStopped, match="Mars/Olympus"):
            await Job(file).run(client)
    account = await Job(file).account()
    assert (account.unknown, account.accepted + account.not_sent) == (0, 4)


# --- the last moment ------------------------------------------------------------------------------


async def test_past_its_last_moment_it_ends(
    file: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """Nothing is sent, and the account says who was not, why, and how to go on."""
    await planned(file, 3, not_after="2099-11-30T10:00Z")
    clock = WallClock(datetime(2099, 12, 1, tzinfo=UTC))
    account = await Job(file, clock).run(client)
    assert (told(sandbox), account.not_sent, account.accepted) == (0, 3, 0)
    over = "nothing is sent after Mon 2099-11-30 10:00 UTC"
    assert (account.closed, account.opens_at) == (over, None)
    lines = "\n".join(account_lines(account))
    assert "To be sent not after Mon 2099-11-30 10:00 UTC. Now nothing is sent after" in lines
    assert "--not-after TIME" in lines
    assert account.runs[-1].ended == over
    again = await Job(file, clock).resume(client, not_after="never")
    assert (again.accepted, again.finished, again.schedule.not_after) == (3, True, None)


async def test_the_last_moment_comes_in_its_middle(file: str, sandbox: Sandbox) -> None:
    """What is in flight ends, the others are not sent."""
    await planned(file, 30, not_after="2026-11-30T10:00Z")
    clock = WallClock(MONDAY)
    async with client_of(sandbox, RateLimit(requests=5, per=1.0)) as slow:
        running = asyncio.create_task(Job(file, clock).run(slow))
        await until(lambda: told(sandbox) >= 5)
        clock.set(MONDAY.replace(hour=10))
        account = await running
    assert account.accepted == told(sandbox)
    assert account.not_sent == 30 - told(sandbox) > 0
    assert account.unknown == 0


# --- what is kept ---------------------------------------------------------------------------------


async def test_a_resume_stays_inside_of_what_is_kept(
    name: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """A run that was begun with a window leaves it to the next; `always` takes it away."""
    await planned(name)
    window = closed_now()
    for begins in (True, False):
        job, seen = Job(name), list[JobProgress]()
        given = window if begins else None
        go = job.run if begins else job.resume
        running = asyncio.create_task(go(client, on_progress=seen.append, window=given))
        await waits(seen)
        job.drain()
        account = await running
        assert [str(one) for one in account.schedule.windows] == [f"Mon-Sun {window}"]
        assert account.closed is not None
        assert account.opens_at is not None
    assert told(sandbox) == 0
    idle = "\n".join(account_lines(await Job(name).account()))
    assert f"To be sent Mon-Sun {window}. Now it is closed, until " in idle
    account = await Job(name).resume(client, window="always")
    assert (account.accepted, bool(account.schedule)) == (4, False)


async def test_what_is_planned_is_kept(name: str) -> None:
    """Windows and both moments, in either store."""
    at, last = SUNDAY + timedelta(days=9000), SUNDAY + timedelta(days=9001)
    await planned(name, window=[WORK, "Sat 10:00-12:00 UTC"], at=at, not_after=last)
    schedule = (await Job(name).account()).schedule
    assert list(map(str, schedule.windows)) == [WORK, "Sat 10:00-12:00 UTC"]
    assert (schedule.not_before, schedule.not_after) == (at, last)


async def test_what_can_never_be_sent_is_not_planned(file: str) -> None:
    """A last moment that has passed, or before which no window opens, leaves no journal."""
    many: list[dict[str, str]] = [{"not_after": "2020-01-01T00:00Z"}, {"window": "Someday"},
                 {"at": "2098-01-01T00:00Z", "not_after": "2097-01-01T00:00Z"}]  # fmt: skip
    for when in many:
        with pytest.raises(InvalidInput):
            await planned(file, **when)  # type: ignore[arg-type]
    assert not os.path.exists(file)  # noqa: ASYNC240 - a test


# --- the database's time --------------------------------------------------------------------------


@pytest.fixture
def shared(postgres: str) -> str:
    """Of a job in PostgreSQL."""
    return f"{postgres}#{uuid4()}"


async def test_time_is_the_databases(
    shared: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """A worker whose own clock is wrong by years sends by the database's."""
    await planned(shared, 4, window=open_now(), not_after=datetime.now(UTC) + timedelta(hours=9))
    account = await Job(shared, WallClock(SUNDAY + timedelta(days=9999))).run(client)
    assert account.accepted == 4


async def test_a_wrong_clock_opens_no_window(
    shared: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """Nor does it send while the database says that it is closed."""
    await planned(shared, 4, window=closed_now())
    wrong = WallClock(datetime.now(UTC) + timedelta(hours=12))
    job, seen = Job(shared, wrong), list[JobProgress]()
    running = asyncio.create_task(job.run(client, on_progress=seen.append))
    await waits(seen)
    await asyncio.sleep(0.3)
    assert told(sandbox) == 0
    job.drain()
    await running
    (event,) = (await Job(shared).account()).events
    assert event.seconds < 3600  # by its own clock from the begin to the end, however wrong


async def test_every_run_hears_of_new_hours(
    shared: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """A second process brings other hours: the first one, which waits, keeps to them as well."""
    await planned(shared, 4, window=closed_now())
    seen = list[JobProgress]()
    first = asyncio.create_task(Job(shared).run(client, on_progress=seen.append))
    await waits(seen)
    async with client_of(sandbox) as other:
        second = await Job(shared).run(other, window="always")
    account: JobAccount = await first
    assert (account.accepted, second.people) == (4, 4)
    assert set(sandbox.received().people.values()) == {1}


async def test_who_is_not_to_stay_leaves(
    shared: str, sandbox: Sandbox, client: MoveworksClient
) -> None:
    """A fleet's worker has other jobs: it ends where it would wait, and says until when."""
    await planned(shared, 4, window=closed_now())
    account = await Job(shared).resume(client, stays=False)
    assert (told(sandbox), account.not_sent) == (0, 4)
    assert account.opens_at is not None
    (event,) = (await Job(shared).account()).events  # written down when its store was let go of
    assert event.incident is Incident.CLOSED
    assert event.seconds > 3600
