"""The journal's thread: shared commits, nothing lost, and a loop that never waits."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moveworks_shift_async.errors import JobRunning, JournalError
from moveworks_shift_async.jobs.records import Command, Event, Incident, Settlement, State
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.jobs.store.sqlite.thread import JournalThread

from .commands import HANG
from .planned import plan, states_of, verified


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A planned job of ten chunks."""
    return plan(tmp_path / "job.journal", 10)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each transaction that begins."""
    found: list[int] = []
    begin = Journal.transaction

    def counted(journal: Journal) -> object:
        found.append(1)
        return begin(journal)

    monkeypatch.setattr(Journal, "transaction", counted)
    return found


def sending(chunk: int) -> Callable[[Journal], bool]:
    """A step that writes."""
    return lambda journal: journal.sending(chunk, 1.0)


def wait_for(event: threading.Event) -> Callable[[Journal], None]:
    """A step that keeps the thread busy."""

    def wait(_: Journal) -> None:
        event.wait(10)

    return wait


async def test_what_is_asked_for_is_on_the_disk_when_it_returns(path: str) -> None:
    """Another connection sees it at once."""
    async with JournalThread.at(path) as journal_thread:
        await journal_thread.do(sending(0))
        assert states_of(path)[0] is State.SENDING
        assert len(await journal_thread.do(lambda journal: journal.reads.claim(-1, 99))) == 9


async def test_many_steps_share_a_commit(path: str, commits: list[int]) -> None:
    """What gathers while the disk is busy is written in one go."""
    busy = threading.Event()
    async with JournalThread.at(path) as journal_thread:
        first = journal_thread.do(wait_for(busy))
        await asyncio.sleep(0.05)
        others = [journal_thread.do(sending(chunk)) for chunk in range(10)]
        busy.set()
        await asyncio.gather(first, *others)
        assert len(commits) == 2
    assert states_of(path) == [State.SENDING] * 10


async def test_answers_come_in_the_order_of_the_questions(path: str) -> None:
    """Also where there are more of them than are given in one turn."""
    came: list[int] = []
    async with JournalThread.at(path) as journal_thread:
        for number in range(40):
            journal_thread.do(lambda _: None).add_done_callback(lambda _, n=number: came.append(n))  # type: ignore[misc]
        await journal_thread.do(lambda _: None)
    assert came == [*range(40)]


async def test_one_failing_step_does_not_undo_the_others(path: str) -> None:
    """It alone hears of its error; the others are written."""

    def fails(journal: Journal) -> None:
        journal.sending(3, 1.0)
        raise JournalError("no")

    busy = threading.Event()
    async with JournalThread.at(path) as journal_thread:
        first = journal_thread.do(wait_for(busy))
        await asyncio.sleep(0.05)
        todo = [sending(0), sending(1), fails, sending(2)]
        steps = [journal_thread.do(step) for step in todo]
        defect = journal_thread.do(lambda _: dict[str, int]()["no"])
        busy.set()
        results = await asyncio.gather(first, *steps, defect, return_exceptions=True)
    assert [type(result).__name__ for result in results] == [
        "NoneType", "bool", "bool", "JournalError", "bool", "KeyError",
    ]  # fmt: skip
    assert states_of(path)[:4] == [State.SENDING] * 3 + [State.PLANNED]


async def test_an_abandoned_step_is_done(path: str) -> None:
    """Cancelling who waits does not take it back, and disturbs nobody else."""
    busy = threading.Event()
    async with JournalThread.at(path) as journal_thread:

        async def ask(chunk: int) -> None:
            await journal_thread.do(sending(chunk))

        first = journal_thread.do(wait_for(busy))
        tasks = [asyncio.create_task(ask(chunk)) for chunk in (0, 1)]
        await asyncio.sleep(0.05)
        tasks[0].cancel()
        busy.set()
        await asyncio.wait(tasks)
        await first
        assert [task.cancelled() for task in tasks] == [True, False]
    assert states_of(path)[:2] == [State.SENDING] * 2


async def test_the_end_waits_for_what_was_asked(path: str) -> None:
    """Nobody waits for the futures, and all is written."""
    async with JournalThread.at(path) as journal_thread:
        for chunk in range(10):
            journal_thread.do(sending(chunk))
    assert states_of(path) == [State.SENDING] * 10


async def test_cancelled_it_ends_its_thread_all_the_same(path: str) -> None:
    """The lock is free afterwards."""

    async def hold() -> None:
        async with JournalThread.at(path) as journal_thread:
            journal_thread.do(sending(0))
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    while states_of(path)[0] is not State.SENDING:  # noqa: ASYNC110 - another thread's doing
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert "journal" not in [thread.name for thread in threading.enumerate()]
    async with JournalThread.at(path):
        pass


async def test_the_lock_is_held_as_long_as_it_is_open(path: str) -> None:
    """A second journal_thread is refused, and leaves the first alone."""
    async with JournalThread.at(path) as journal_thread:
        with pytest.raises(JobRunning):
            async with JournalThread.at(path):
                pass
        await journal_thread.do(sending(0))
    async with JournalThread.at(path):
        pass


def test_what_is_no_journal_gets_no_lock_beside_it(tmp_path: Path) -> None:
    """A misspelt name leaves nothing behind."""

    async def take() -> None:
        async with JournalThread.at(str(tmp_path / "jbo.journal")):
            pass

    with pytest.raises(JournalError, match="there is no journal"):
        asyncio.run(take())
    assert [*tmp_path.iterdir()] == []


async def test_a_step_may_not_be_whole_any_more(path: str) -> None:
    """A journal that is not what was planned is refused before anything is done."""
    journal = Journal.open(path)
    with journal.transaction():
        journal.add_chunks([])
        journal._db.connection.execute("UPDATE content SET message = 'changed'")
    journal.close()
    with pytest.raises(JournalError, match="is damaged"):
        async with JournalThread.at(path):
            pass


def test_a_loop_that_is_gone_is_no_matter(path: str) -> None:
    """The thread ends in peace where nobody waits for its answers."""

    async def make() -> tuple[JournalThread, asyncio.Future[None]]:
        return JournalThread(path, Journal.take), asyncio.get_running_loop().create_future()

    journal_thread, opened = asyncio.run(make())
    journal_thread._asked.put(None)
    journal_thread._work(opened)
    assert not opened.done()


async def test_a_slow_disk_does_not_block_the_loop(path: str) -> None:
    """A commit waits for as long as it takes the loop to go round a hundred times."""
    rounds, enough = 0, threading.Event()

    async def go_round() -> None:
        nonlocal rounds
        while rounds < 100:
            await asyncio.sleep(0)
            rounds += 1
        enough.set()

    def slow(journal: Journal) -> None:
        assert enough.wait(HANG)
        journal.sending(0, 1.0)

    async with JournalThread.at(path) as journal_thread:
        done = journal_thread.do(slow)
        await go_round()
        await done
    assert rounds == 100


LEFT = """
import asyncio, sys
from moveworks_shift_async.jobs.store.names import store_of

async def look():
    async with getattr(store_of(sys.argv[1]), sys.argv[2])():
        loop.call_soon(loop.stop)
        await asyncio.Event().wait()

loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(look())
except RuntimeError as error:
    print(error)
if sys.argv[3] == "closed":
    loop.close()
"""


@pytest.mark.parametrize("loop", ["closed", "open"])
@pytest.mark.parametrize("use", ["running", "reading"])
def test_a_process_whose_loop_is_left_in_the_middle_ends(path: str, use: str, loop: str) -> None:
    """Its thread does not wait for a step that nobody can ask for any more."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LEFT, path, use, loop],
        check=True, stdout=subprocess.PIPE, text=True, timeout=HANG,
    )  # fmt: skip
    assert ended.stdout == "Event loop stopped before Future completed.\n"
    assert states_of(path) == [State.PLANNED] * 10


# --- a full disk ---------------------------------------------------------------------------


LIMITED = """
import asyncio, pathlib, resource, sys
from tests.test_jobs_thread import until_full
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
asyncio.run(until_full(pathlib.Path(sys.argv[1])))
"""


@contextmanager
def small_disk(folder: Path, size: int = 400) -> Iterator[bool]:
    """A file system of so many kB; False if this user may not mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


LONG = "x" * 10_000


async def fill(journal_thread: JournalThread) -> str:
    """Write until the disk is full; what the error says."""
    event = Event(at=1.0, incident=Incident.OUTAGE, seconds=1.0, reason=LONG)
    for _ in range(200):
        try:
            await journal_thread.do(lambda journal: journal.add_event(event))
        except JournalError as error:
            return str(error)
    return "never full"


async def until_full(folder: Path) -> None:
    """The laws of a full disk, in a folder with little room."""
    path, ballast = plan(folder / "job.journal", 10), folder / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    async with JournalThread.at(path) as journal_thread:
        await journal_thread.do(sending(0))
        said = await fill(journal_thread)
        assert "is full or broken" in said, said
        assert "make room, then resume" in said
        # Even a small step may find no room now; whatever happens, it is told and it is true.
        (failed,) = await asyncio.gather(journal_thread.do(sending(1)), return_exceptions=True)
        expected = State.PLANNED if isinstance(failed, JournalError) else State.SENDING
        assert (await journal_thread.do(lambda j: [r.state for r in j.reads.records()]))[
            1
        ] is expected
        ballast.unlink()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, -1))
        await journal_thread.do(sending(2))
        await journal_thread.do(
            lambda j: j.settle(Settlement(chunk=0, state=State.ACCEPTED, at=1.0))
        )
    assert (states_of(path)[0], states_of(path)[2]) == (State.ACCEPTED, State.SENDING)
    verified(path).close()


def test_a_full_disk_is_told_and_damages_nothing(tmp_path: Path) -> None:
    """The step that found no room was not done; with room the same journal_thread goes on."""
    with small_disk(tmp_path) as mounted:
        if mounted:
            asyncio.run(until_full(tmp_path))
        else:
            subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], check=True)


def test_a_file_that_may_not_grow_is_told_and_damages_nothing(tmp_path: Path) -> None:
    """The same with a quota."""
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], check=True)


async def test_a_command_is_read_while_another_process_writes_it(path: str) -> None:
    """Another terminal's word comes through while the journal_thread has the file."""
    async with JournalThread.at(path) as journal_thread:
        other = Journal.open(path)
        with other.transaction():
            other.write("set_command", (Command.PAUSE, 1.0))
        other.close()
        assert await journal_thread.do(lambda journal: journal.reads.command()) is Command.PAUSE
