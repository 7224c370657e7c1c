"""The gate in a file: one budget, pause and rate for all processes of a machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import moveworks_shift_async
from moveworks_shift_async import ApiKey, ConfigurationError, FileGate, MoveworksClient, RateLimit
from moveworks_shift_async.limits.shared import step
from moveworks_shift_async.limits.shared.file_store import FileStore
from moveworks_shift_async.limits.shared.processes import SILENCE, alive, boot, myself
from moveworks_shift_async.limits.shared.state import Pace, SharedState
from moveworks_shift_async.limits.shared.step import POLL, RETRY
from moveworks_shift_async.limits.window import CLOCK_SLACK, Quota, Slot
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import moveworks_from_env

from .commands import HANG, spawn
from .fakes import FakeClock, settle, until

WINDOW = 10.0
QUOTA = Quota(4, WINDOW, 4)
PACE = Pace()
# What a slot outlives its answer by, and a look more.
FULL_WINDOW = WINDOW * (1 + CLOCK_SLACK) + 2 * POLL
LIMIT = RateLimit(requests=4, per=WINDOW)
#: No process has this number: it is above what Linux gives out.
NOBODY = f"{2**22 + 1} 1 {myself().split()[-1]}"


class User:
    """A client, as far as a gate knows one."""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a gate file can be."""
    return str(tmp_path / "gate")


@pytest.fixture
async def two(path: str, clock: FakeClock) -> AsyncIterator[tuple[FileGate, FileGate]]:
    """Two gates on one file, each as if in a process of its own."""
    gates, users = (FileGate(path, clock), FileGate(path, clock)), (User(), User())
    for gate, user in zip(gates, users, strict=True):
        gate.join(user, "acme", LIMIT, 32)
    yield gates
    for gate, user in zip(gates, users, strict=True):
        gate.leave(user)


async def take(gate: FileGate, log: list[str], name: str) -> None:
    """Acquire, note it, and answer at once."""
    slot = await gate.acquire()
    log.append(name)
    gate.release(slot, counted=True)


# The pure part: who has the turn, who is dead, and that text loses nothing.

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["start", "answered", "refused", "unused", "leave"]),
        st.integers(0, 5),
        st.floats(0.0, 12.0),
    ),
    max_size=60,
)


def do(state: SharedState, slots: list[Slot], what: str, which: int, now: float) -> list[Slot]:
    """Do one thing to a state; the slots that are in flight afterwards."""
    member = sorted(state.members)[which % len(state.members)]
    if what == "start":
        return [*slots, state.start(member, now)] if state.wait(member, 3, now) <= 0 else slots
    if what == "leave":
        kept = [slot for slot in slots if state.owners[slot.id] != member]
        state.leave(member, now)
        state.enter(NOBODY, now)
        return kept
    if not slots:
        return slots
    slot = slots[which % len(slots)]
    getattr(state.window, what)(slot, now)
    state.end(slot)
    return [other for other in slots if other is not slot]


@given(OPERATIONS)
def test_a_state_that_was_written_and_read_goes_on_as_before(
    operations: list[tuple[str, int, float]],
) -> None:
    """Read back after each step, a state says and does the same as one that was never written."""
    kept, read = (
        SharedState.of("boot", "acme", QUOTA, PACE),
        SharedState.of("boot", "acme", QUOTA, PACE),
    )
    for state in (kept, read):
        state.enter(NOBODY, 0.0)
        state.enter(NOBODY, 0.0)
    slots, again, now = list[Slot](), list[Slot](), 100.0
    for what, which, later in operations:
        now = round(now + later, 6)  # as it is written
        slots = do(kept, slots, what, which, now)
        read = SharedState.restored(json.loads(json.dumps(read.as_json())), PACE)
        again = do(read, again, what, which, now)
        assert slots == again
        assert read.window.snapshot(now) == kept.window.snapshot(now)
        assert read.as_json() == kept.as_json()


@given(OPERATIONS)
def test_no_window_ever_holds_more_than_the_budget(
    operations: list[tuple[str, int, float]],
) -> None:
    """Whoever starts, ends or dies, the slots held are at most the budget, and come back."""
    state, slots, now = SharedState.of("boot", "acme", QUOTA, PACE), list[Slot](), 100.0
    state.enter(NOBODY, now)
    state.enter(NOBODY, now)
    for what, which, later in operations:
        now += later
        slots = do(state, slots, what, which, now)
        assert state.window.snapshot(now).used <= 4
        assert (
            {slot.id for slot in slots} == state.owners.keys() == state.window.window.flying.keys()
        )
    for member in list(state.members):
        state.leave(member, now)
    now += WINDOW * (1 + CLOCK_SLACK) + 1e-6
    assert state.window.snapshot(now).used == state.window.snapshot(now).in_flight == 0


def test_the_one_served_longest_ago_has_the_turn() -> None:
    """The others leave it a free slot for a moment, each a little longer than the one before."""
    state, now = SharedState.of("boot", "acme", QUOTA, PACE), 100.0
    first, second, third = (state.enter(NOBODY, now) for _ in range(3))
    for member in state.members.values():
        member.waiting = 1
    assert state.wait(first, 9, now) == 0
    assert state.wait(second, 9, now) == pytest.approx(PACE.grace)
    assert state.wait(third, 9, now) == pytest.approx(2 * PACE.grace)
    state.start(first, now)  # one of four slots is its part
    assert state.wait(second, 9, now) == 0
    assert state.wait(first, 9, now) == pytest.approx(2 * PACE.grace)
    assert state.wait(third, 9, now + 2 * PACE.grace) == 0  # the second did not come


def test_the_more_urgent_has_the_turn_but_not_for_ever() -> None:
    """Whoever was served; after nine slots of others the less urgent is next."""
    state, now = SharedState.of("boot", "acme", Quota(40, WINDOW, 40), PACE), 100.0
    urgent, bulk = state.enter(NOBODY, now), state.enter(NOBODY, now)
    state.members[urgent].urgency, state.members[bulk].urgency = 0, 2
    state.members[urgent].waiting = state.members[bulk].waiting = 99
    served = []
    for _ in range(22):
        served.append(min((urgent, bulk), key=lambda one: state.rank(one, now)))
        state.start(served[-1], now)
    assert served == [*[urgent] * 9, bulk, *[urgent] * 9, bulk, urgent, urgent]


def test_one_that_does_not_come_to_look_has_no_turn() -> None:
    """A process that stands still delays nobody for longer than a second."""
    state, now = SharedState.of("boot", "acme", QUOTA, PACE), 100.0
    still, lively = state.enter(NOBODY, now), state.enter(NOBODY, now)
    state.members[still].waiting = 1
    assert state.wait(lively, 9, now) > 0
    assert state.wait(lively, 9, now + 1.0) == 0


def test_each_process_has_its_own_bound_in_flight() -> None:
    """What others have in flight does not count against it."""
    state, now = SharedState.of("boot", "acme", QUOTA, PACE), 100.0
    one, other = state.enter(NOBODY, now), state.enter(NOBODY, now)
    state.start(one, now)
    assert state.wait(one, 1, now) == inf
    assert state.wait(other, 1, now) == 0


def test_a_process_is_told_from_one_that_got_its_number_later() -> None:
    """This process lives; one of another start, or of no start, does not."""
    pid, started, space = map(int, myself().split())
    assert alive(f"{pid} {started} {space}", inf)
    assert not alive(NOBODY, 0.0)
    assert not alive(f"{pid} {started - 1} {space}", 0.0)


def test_a_process_of_another_container_lives_as_long_as_it_is_heard_of() -> None:
    """Its number means nothing here."""
    *_, space = map(int, NOBODY.split())
    there = f"1 1 {space + 1}"
    assert alive(there, SILENCE - 1)
    assert not alive(there, SILENCE + 1)


# Two gates on one file, with a clock that the test sets.


async def test_two_gates_share_one_budget(two: tuple[FileGate, FileGate], clock: FakeClock) -> None:
    """What one has used, the other cannot; both go on when the window is over."""
    log = list[str]()
    async with asyncio.TaskGroup() as tasks:
        for number in range(6):
            tasks.create_task(take(two[number % 2], log, "ab"[number % 2]))
        await settle()
        assert sorted(log) == ["a", "a", "b", "b"]
        assert two[0].snapshot().used == two[1].snapshot().used == 4
        await clock.advance(FULL_WINDOW)
    assert sorted(log) == ["a", "a", "a", "b", "b", "b"]


async def test_a_429_pauses_the_other_gate(
    two: tuple[FileGate, FileGate], clock: FakeClock
) -> None:
    """The pause and the rate are everybody's."""
    log = list[str]()
    two[0].refused(await two[0].acquire(), 3.0)
    assert two[1].snapshot().paused_for == pytest.approx(3.0)
    task = asyncio.create_task(take(two[1], log, "probe"))
    await clock.advance(2.9)
    assert log == []
    await clock.advance(0.2)
    assert log == ["probe"]
    assert two[0].snapshot().mode == "paced"
    await task


async def test_what_one_is_told_the_other_counts(
    two: tuple[FileGate, FileGate], path: str, clock: FakeClock
) -> None:
    """Once, whoever is told, and also where the file is away at that moment."""
    two[0].release(await two[0].acquire(), counted=True)
    two[0].observed([3.0, 2.0])
    two[1].observed([3.0, 2.0])
    assert two[1].snapshot().used == 2
    thief = sqlite3.connect(path, isolation_level=None)
    thief.execute("BEGIN IMMEDIATE")
    two[0].observed([3.0, 2.0, 1.0])
    thief.close()
    await clock.advance(2 * RETRY)
    assert two[1].snapshot().used == 3
    await clock.advance(WINDOW * (1 + CLOCK_SLACK) - 3.0)
    assert two[1].snapshot().used == 2


async def test_a_slot_given_back_unused_is_found_by_the_other(
    two: tuple[FileGate, FileGate], clock: FakeClock
) -> None:
    """Nobody tells the other process: it looks."""
    log = list[str]()
    slots = [await two[0].acquire() for _ in range(4)]
    task = asyncio.create_task(take(two[1], log, "late"))
    await settle()
    two[0].release(slots[0], counted=False)
    await clock.advance(POLL)
    assert log == ["late"]
    await task


async def test_the_slots_of_the_dead_come_back_a_window_later(
    two: tuple[FileGate, FileGate], clock: FakeClock
) -> None:
    """They count as answered when the others find it dead, and the other goes on."""
    log = list[str]()
    for _ in range(4):
        await two[0].acquire()
    assert two[0]._window is not None
    assert two[1]._window is not None
    dead = two[0]._window.number
    with two[1]._window as window:
        assert window._state is not None
        window._state.members[dead].identity = NOBODY
    task = asyncio.create_task(take(two[1], log, "heir"))
    await clock.advance(step.LIVENESS_CHECK + POLL)
    assert (two[1].snapshot().in_flight, two[1].snapshot().used) == (0, 4)
    assert log == []
    await clock.advance(FULL_WINDOW)
    assert log == ["heir"]
    await task


async def test_a_file_that_another_has_just_now_loses_no_answer(
    two: tuple[FileGate, FileGate], path: str, clock: FakeClock
) -> None:
    """Calls wait a moment, answers are kept, and both are written when the file can be had."""
    log = list[str]()
    slot = await two[0].acquire()
    thief = sqlite3.connect(path, isolation_level=None)
    thief.execute("BEGIN IMMEDIATE")
    two[0].release(slot, counted=True)
    task = asyncio.create_task(take(two[0], log, "patient"))
    await settle()
    assert (log, two[0].snapshot().in_flight) == ([], 1)
    thief.execute("ROLLBACK")
    thief.close()
    await clock.advance(2 * RETRY)
    assert log == ["patient"]
    assert (two[1].snapshot().in_flight, two[1].snapshot().used) == (0, 2)
    await task


async def test_a_file_that_stays_away_fails_the_calls_that_wait(
    two: tuple[FileGate, FileGate], path: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were not sent, and are told which file it was; later calls go on."""
    thief = sqlite3.connect(path, isolation_level=None)
    thief.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(step, "SECONDS_HELD", 1.0)
    task = asyncio.create_task(two[0].acquire())
    await settle()
    await clock.advance(1.0 + 2 * RETRY)
    with pytest.raises(ConfigurationError, match=r"held the gate file .*gate"):
        await task
    thief.execute("ROLLBACK")
    thief.close()
    two[0].snapshot()
    two[0].release(await two[0].acquire(), counted=True)


async def test_a_slot_that_could_not_be_written_is_nobodys(
    two: tuple[FileGate, FileGate], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is given again; who was cancelled with it takes nothing from the new owner."""
    mine, theirs = [[await gate.acquire() for _ in range(2)] for gate in two]
    task = asyncio.create_task(two[0].acquire())
    await settle()

    def fail(store: FileStore, _: str) -> None:
        store.rollback()
        raise ConfigurationError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "commit", fail)
        two[0].release(mine[0], counted=False)
    task.cancel()  # it was granted, and does not know yet
    clock.time += PACE.attentive  # the second waits for nobody's turn
    two[1].release(theirs[0], counted=False)
    slot = await two[1].acquire()
    await settle()
    assert task.cancelled()
    assert two[0].snapshot().in_flight == 3
    assert two[1].snapshot().in_flight == 3
    two[1].release(slot, counted=False)
    assert two[0].snapshot().in_flight == 2


async def test_a_file_that_was_left_is_not_looked_at(path: str, clock: FakeClock) -> None:
    """Another process had it at that moment: what is still owed is told to nobody."""
    gate, user = FileGate(path, clock), User()
    gate.join(user, "acme", LIMIT, 32)
    thief = sqlite3.connect(path, isolation_level=None)
    thief.execute("BEGIN IMMEDIATE")
    gate.leave(user)
    thief.close()
    await clock.advance(2 * RETRY)
    assert clock.timers == []


# Files that cannot be used, and what is in one that can.


def test_the_file_is_for_this_user_only(path: str) -> None:
    """Also while it is open, with what SQLite puts beside it."""
    mask = os.umask(0)
    try:
        gate, user = FileGate(path), User()
        gate.join(user, "https://host secret-key", LIMIT, 32)
        files = list(Path(path).parent.iterdir())
        modes = {stat.S_IMODE(file.stat().st_mode) for file in files}
        text = b"".join(file.read_bytes() for file in files)
        gate.leave(user)
    finally:
        os.umask(mask)
    assert modes == {0o600}
    assert b"secret-key" not in text


def test_a_file_that_is_there_keeps_its_permissions(path: str) -> None:
    """Somebody may want to share it with a group; what SQLite puts beside it is shared as well."""
    Path(path).touch()
    Path(path).chmod(0o660)
    gate, user = FileGate(path), User()
    gate.join(user, "acme", LIMIT, 32)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in Path(path).parent.iterdir()}
    gate.leave(user)
    assert modes == {0o660}


@pytest.mark.parametrize("content", [b"a text that is no gate " * 100, b"SQLite format 3\0" * 99])
def test_a_file_that_is_no_gate_is_refused(path: str, content: bytes) -> None:
    """The error names the file, and the file is left as it was."""
    Path(path).write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=r"gate is no gate file.* if it was a gate's, delete"
    ):
        FileGate(path).join(User(), "acme", LIMIT, 32)
    assert Path(path).read_bytes() == content


def test_another_database_is_refused(path: str) -> None:
    """Somebody's own data are not touched."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (a)")
    db.close()
    before = Path(path).read_bytes()
    with pytest.raises(ConfigurationError, match="no gate file"):
        FileGate(path).join(User(), "acme", LIMIT, 32)
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"epoch": 1}', "null"])
def test_a_damaged_gate_is_refused(path: str, text: str) -> None:
    """Whatever stands in it, the error says what to do; an empty one starts afresh."""
    store = FileStore.open(path)
    store.begin(0.0)
    store.commit(text)
    store.close()
    gate, user = FileGate(path), User()
    if text:
        with pytest.raises(ConfigurationError, match="delete this one while no process uses it"):
            gate.join(user, "acme", LIMIT, 32)
    else:
        gate.join(user, "acme", LIMIT, 32)
        gate.leave(user)


def test_a_gate_of_another_release_is_refused(path: str) -> None:
    """Its numbers may mean something else."""
    FileStore.open(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigurationError, match="another release"):
        FileGate(path).join(User(), "acme", LIMIT, 32)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The error says which directory to make."""
    with pytest.raises(ConfigurationError, match=r"no directory .*there"):
        FileGate(str(tmp_path / "there" / "gate")).join(User(), "acme", LIMIT, 32)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """The error says what the system said."""
    with pytest.raises(ConfigurationError, match=r"cannot be used: .*Is a directory"):
        FileGate(str(tmp_path)).join(User(), "acme", LIMIT, 32)


async def test_a_gate_that_nobody_joined_cannot_be_used(path: str) -> None:
    """It does not know the limit: a client tells it."""
    assert repr(FileGate(path)) == f"<FileGate {path} unused>"
    with pytest.raises(ConfigurationError, match="give it to a client"):
        await FileGate(path).acquire()


def test_two_limits_on_one_file_are_refused_while_both_are_open(path: str) -> None:
    """The error names the file and both limits; a later one alone may have another."""
    one, other, user = FileGate(path), FileGate(path), User()
    one.join(user, "acme", LIMIT, 32)
    with pytest.raises(ConfigurationError, match=r"gate with 4 requests in 10 s, not 5 in 10 s"):
        other.join(user, "acme", RateLimit(requests=5, per=WINDOW), 32)
    one.leave(user)
    other.join(user, "acme", RateLimit(requests=5, per=WINDOW), 32)
    assert other.snapshot().budget == 5
    other.leave(user)


def test_two_organisations_on_one_file_are_refused(path: str) -> None:
    """A budget belongs to one organisation; the error names the file and no credential."""
    one, user = FileGate(path), User()
    one.join(user, "https://host a-secret", LIMIT, 32)
    with pytest.raises(ConfigurationError, match="gate for another base_url or credential") as got:
        FileGate(path).join(User(), "https://host b-secret", LIMIT, 32)
    one.leave(user)
    assert "secret" not in str(got.value)


async def test_what_was_spent_outlives_the_process(path: str, clock: FakeClock) -> None:
    """The next one to open the file finds the slots of the last; after a reboot it finds none."""
    user = User()
    gate = FileGate(path, clock)
    gate.join(user, "acme", LIMIT, 32)
    gate.release(await gate.acquire(), counted=True)
    gate.leave(user)
    assert gate.snapshot().used == 1
    for expected in (1, 0):
        gate = FileGate(path, clock)
        gate.join(user, "acme", LIMIT, 32)
        assert gate.snapshot().used == expected
        gate.leave(user)
        machine_boot = FileStore.open(path)
        text = machine_boot.begin(0.0).replace(boot() or '"epoch": ""', "another boot")
        machine_boot.commit(text)
        machine_boot.close()


async def test_clients_of_one_gate_join_and_leave_it(path: str) -> None:
    """The client's limit reaches the gate, the last client closes it, and it can be used again."""
    gate = FileGate(path)
    for _ in range(2):
        async with (
            MoveworksClient(ApiKey("k"), rate_limit=LIMIT, gate=gate) as client,
            MoveworksClient(ApiKey("k"), rate_limit=LIMIT, gate=gate),
        ):
            assert client.gate is gate
            assert gate.snapshot().budget == 4
        assert gate._window is None
        assert os.listdir(Path(path).parent) == ["gate"]


async def test_the_variable_names_the_file(path: str) -> None:
    """`MOVEWORKS_GATE` is off by default."""
    without = moveworks_from_env({"MOVEWORKS_API_KEY": "k"})
    named = moveworks_from_env({"MOVEWORKS_API_KEY": "k", "MOVEWORKS_GATE": path})
    async with MoveworksClient.of(without) as client:
        assert not isinstance(client.gate, FileGate)
    async with MoveworksClient.of(named) as client:
        assert isinstance(client.gate, FileGate)
        assert client.gate.path == path


# Real processes against the sandbox.

SENDER = """
import asyncio, sys
from moveworks_shift_async import ApiKey, FileGate, MoveworksClient, RateLimit

async def main(url, path, event, key, name, calls, requests, per):
    limit = RateLimit(requests=int(requests), per=float(per))
    gate = FileGate(path)
    async with MoveworksClient(ApiKey(key), base_url=url, rate_limit=limit, gate=gate) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(
            client.events.send(event, "Hello", [f"{name}-{i}@example.com"])
            for i in range(int(calls))
        ))

asyncio.run(main(*sys.argv[1:]))
"""


async def python(program: str, *args: str) -> asyncio.subprocess.Process:
    """A process of its own."""
    return await spawn(
        *(sys.executable, "-c", program, *args),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(moveworks_shift_async.__file__).parents[1])},
    )


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), HANG)).decode().strip()


async def said(program: str, *args: str) -> str:
    """The line that a program prints from its start to its end."""
    process = await python(program, *args)
    text = await line(process)
    await asyncio.wait_for(process.communicate(), HANG)
    assert process.returncode == 0
    return text


async def sender(sandbox: Sandbox, path: str, name: str, calls: int) -> asyncio.subprocess.Process:
    """A process that sends so many when told to `go`, at once as far as the gate lets it."""
    known = (sandbox.url, path, sandbox.event_id, sandbox.api_key)
    process = await python(SENDER, *known, name, str(calls), "20", str(sandbox.window))
    assert await line(process) == "ready"
    return process


def go(*processes: asyncio.subprocess.Process) -> None:
    """Let them go on."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")


async def end(*processes: asyncio.subprocess.Process) -> None:
    """See them end well."""
    assert [await asyncio.wait_for(process.wait(), HANG) for process in processes] == (
        [0] * len(processes)
    )


WAITER = """
import asyncio, sys
from moveworks_shift_async import ConfigurationError, FileGate, RateLimit

class User: pass

async def main(path):
    gate, user = FileGate(path), User()
    gate.join(user, "acme", RateLimit(requests=1, per=600.0), 32)
    slot = await gate.acquire()
    waiting = asyncio.ensure_future(gate.acquire())
    await asyncio.sleep(0)
    print("waits", flush=True)
    for call in (waiting, gate.acquire()):
        try:
            await call
        except ConfigurationError as error:
            print(error, flush=True)
    gate.release(slot, counted=True)
    sys.stdin.readline()
    gate.leave(user)

asyncio.run(main(*sys.argv[1:]))
"""


def replace(path: str) -> None:
    """Put another file in its place."""
    Path(f"{path}.new").touch()
    os.replace(f"{path}.new", path)


def move(path: str) -> None:
    """Give it another name."""
    os.rename(path, f"{path}.old")


def delete(path: str) -> None:
    """Delete it, and what SQLite put beside it."""
    for file in Path(path).parent.iterdir():
        file.unlink()


@pytest.mark.parametrize("change", [os.unlink, delete, move, replace])
async def test_a_file_that_is_not_in_its_place_any_more_is_noticed(
    path: str, change: Callable[[str], None]
) -> None:
    """The calls that wait in another process end in an error that says so, and so do new ones."""
    process = await python(WAITER, path)
    assert await line(process) == "waits"
    change(path)
    for _ in range(2):
        text = await line(process)
        assert text.startswith(f"the gate file {path} was deleted, moved or replaced")
        assert "end all that use it, start them again" in text
    await asyncio.wait_for(process.communicate(b"\n"), HANG)
    assert process.returncode == 0
    gate, user = FileGate(path), User()
    gate.join(user, "acme", LIMIT, 32)  # all have ended, so a new file can be made
    gate.leave(user)


async def test_who_leaves_a_deleted_file_does_not_touch_the_new_one(path: str) -> None:
    """What SQLite put beside the new file has the same names, and stays."""
    process = await python(WAITER, path)
    assert await line(process) == "waits"
    delete(path)
    gate, user = FileGate(path), User()
    gate.join(user, "acme", LIMIT, 32)
    await asyncio.wait_for(process.communicate(b"\n"), HANG)
    assert {file.name for file in Path(path).parent.iterdir()} == {"gate", "gate-wal", "gate-shm"}
    gate.release(await gate.acquire(), counted=True)
    gate.leave(user)


STRANGER = """
import sqlite3, sys

db = sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None)
try:
    db.execute("BEGIN IMMEDIATE")
    print("it is free")
except sqlite3.OperationalError as error:
    print(error)
db.close()
"""


async def test_another_gate_of_a_process_leaves_the_first_its_locks(path: str) -> None:
    """While it opens and after it, no other process has the file or tidies up under the first."""
    first = FileStore.open(path)
    first.begin(0.0)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(FileStore.open, path)  # waits for the first
        assert await said(STRANGER, path) == "database is locked"
        first.commit("the first's")
        second = opening.result()
    assert await said(STRANGER, path) == "it is free"
    assert second.begin(0.0) == "the first's"
    assert await said(STRANGER, path) == "database is locked"
    second.commit("the second's")
    assert first.begin(0.0) == "the second's"
    assert {file.name for file in Path(path).parent.iterdir()} == {"gate", "gate-wal", "gate-shm"}
    first.rollback()
    first.close()
    second.close()


COUNTER = """
import sys
from moveworks_shift_async import FileGate, RateLimit

class User: pass

gate, user = FileGate(sys.argv[1]), User()
gate.join(user, "acme", RateLimit(requests=4, per=10.0), 32)
print(gate.snapshot().used)
gate.leave(user)
"""


async def test_two_gates_of_a_process_and_another_process_share_one_budget(path: str) -> None:
    """Other processes come and go, and each sees what both have used."""
    gates, user = (FileGate(path), FileGate(path)), User()
    for gate in gates:
        gate.join(user, "acme", LIMIT, 32)
    for used, gate in enumerate(gates):
        assert await said(COUNTER, path) == str(used)
        gate.release(await gate.acquire(), counted=True)
    assert await said(COUNTER, path) == "2"
    for gate in gates:
        gate.leave(user)


FULL = """
import asyncio, os, resource, sys
from moveworks_shift_async import ConfigurationError, FileGate, RateLimit

class User: pass

async def main(path):
    gate, user = FileGate(path), User()
    gate.join(user, "acme", RateLimit(requests=4, per=10.0), 32)
    slot, *_ = [await gate.acquire() for _ in range(4)]
    waiting = asyncio.ensure_future(gate.acquire())
    await asyncio.sleep(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path + "-wal"), -1))
    gate.release(slot, counted=False)  # so the waiting call has the turn
    for call in (waiting, gate.acquire()):
        try:
            await call
        except ConfigurationError as error:
            print(error, flush=True)
    sys.stdin.readline()
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    print(gate.snapshot().used)
    slot = await gate.acquire()
    print(gate.snapshot().used)
    gate.release(slot, counted=False)
    gate.leave(user)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_file_that_can_grow_no_more_fails_the_calls_and_stays_whole(path: str) -> None:
    """Nothing of a step that failed is left, others may read on, and with room all goes on."""
    process = await python(FULL, path)
    for _ in range(2):
        assert re.match(rf"the gate file {path} cannot be used: .* not full", await line(process))
    assert await said(COUNTER, path) == "4"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    out, _ = await asyncio.wait_for(process.communicate(b"\n"), HANG)
    assert out.split() == [b"3", b"4"]
    assert process.returncode == 0


async def test_four_processes_never_exceed_one_budget(path: str) -> None:
    """Against a sliding log, four processes with 20 calls each see no 429 and all get through."""
    async with Sandbox(limit=20, window=1.0, limiter="sliding-log") as sandbox:
        senders = [await sender(sandbox, path, f"p{number}", 20) for number in range(4)]
        go(*senders)
        await end(*senders)
        stats = sandbox.stats()
    assert (stats.accepted, stats.throttled) == (80, 0)
    assert stats.max_arrived_in_window <= 20


async def test_a_429_to_one_process_holds_the_other_back(path: str) -> None:
    """Not one request of either comes before the server's Retry-After is over."""
    async with Sandbox(limit=20, window=2.0, retry_after="seconds") as sandbox:
        one = await sender(sandbox, path, "one", 1)
        other = await sender(sandbox, path, "other", 5)
        gate, user = FileGate(path), User()
        gate.join(user, f"{sandbox.url} {sandbox.api_key}", RateLimit(requests=20, per=2.0), 32)
        sandbox.faults.script("send", "throttle")
        go(one)
        async with asyncio.timeout(HANG):
            await until(lambda: gate.snapshot().paused_for)
        go(other)
        await end(one, other)
        gate.leave(user)
        refused, *rest = sandbox.received().requests
        stats = sandbox.stats()
    assert refused.status == 429
    assert min(record.at for record in rest) >= refused.at + 2.0
    assert (stats.accepted, stats.throttled) == (6, 1)


async def test_a_killed_process_neither_stops_the_others_nor_keeps_its_slots(path: str) -> None:
    """Killed with requests in flight, it leaves a file that the others go on with."""
    async with Sandbox(limit=20, window=1.0, limiter="sliding-log") as sandbox:
        victim = await sender(sandbox, path, "victim", 200)
        go(victim)
        heir = await sender(sandbox, path, "heir", 40)
        go(heir)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        await end(heir)
        assert sandbox.stats().throttled == 0
        assert sandbox.stats().max_arrived_in_window <= 20
    gate, user = FileGate(path), User()
    gate.join(user, f"{sandbox.url} {sandbox.api_key}", RateLimit(requests=20, per=1.0), 32)
    await until(lambda: gate.snapshot().used == 0)
    assert gate.snapshot().in_flight == 0
    gate.leave(user)


def test_many_may_make_the_file_at_the_same_moment(tmp_path: Path) -> None:
    """Whoever opens it first makes it; nobody takes a file in the making for a foreign one."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            path = str(tmp_path / f"gate{number}")
            for store in pool.map(lambda _, path=path: FileStore.open(path), range(8)):
                store.close()
