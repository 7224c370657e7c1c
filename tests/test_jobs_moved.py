"""A journal that is moved, copied, linked, restored or torn: nobody is told twice by it.

The law of all these tests: whatever lies in the file, whoever the server was asked to tell is told
once, or stands in a chunk that the journal calls unknown, unless the user said otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.errors import JobRunning, JobStopped, JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.records import State, Stray
from moveworks_shift_async.jobs.report.lines import account_lines
from moveworks_shift_async.jobs.report.ways import ways_for_unknown
from moveworks_shift_async.jobs.run.progress import JobProgress
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.jobs.store.sqlite.memory import remember, remembered
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import state_directory

from .planned import Audit, audit, plan, states_of

IN_FLIGHT, CHUNKS, SIZE = 4, 60, 2
CLEAN = Audit(lost=0, twice=0, denied=0, unknown=0, planned=0)
OPEN = RateLimit(requests=100_000, per=1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A planned job in a folder of its own."""
    (tmp_path / "jobs").mkdir()
    return Path(plan(tmp_path / "jobs" / "job.journal", CHUNKS, SIZE))


def client_of(sandbox: Sandbox) -> MoveworksClient:
    """A client of that sandbox."""
    return MoveworksClient(
        ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=OPEN, max_in_flight=IN_FLIGHT
    )


async def resume(path: Path, sandbox: Sandbox, **options: object) -> None:
    """Go on with a client of its own."""
    async with client_of(sandbox) as client:
        await Job(path).resume(client, **options)  # type: ignore[arg-type]


async def until(true: Callable[[], bool]) -> None:
    """Wait for what the server sees."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - it is another process, or the server
            await asyncio.sleep(0.002)


async def partly(path: Path, sandbox: Sandbox, chunks: int = 10) -> None:
    """Run it until so many more chunks were accepted, and end in good order."""
    sandbox.latency = 0.01
    before, job = sandbox.stats().accepted, Job(path)
    async with client_of(sandbox) as client:
        running = asyncio.create_task(job.resume(client))
        await until(lambda: sandbox.stats().accepted >= before + chunks)
        job.drain()
        await running


CHILD = """
import asyncio, sys
from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.jobs.job import Job

async def main(path, url, key):
    limit = RateLimit(requests=100_000, per=1.0)
    async with MoveworksClient(
        ApiKey(key), base_url=url, rate_limit=limit, max_in_flight=4
    ) as client:
        await Job(path).resume(client)

asyncio.run(main(*sys.argv[1:]))
"""


async def killed(path: Path, sandbox: Sandbox, chunks: int = 10) -> None:
    """The same in a process that is killed."""
    sandbox.latency = 0.02
    before = sandbox.stats().accepted
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(path), sandbox.url, sandbox.api_key
    )
    try:
        await until(lambda: sandbox.stats().accepted >= before + chunks)
    finally:
        process.kill()
        await process.wait()


def content(path: Path) -> bytes:
    """All of a file."""
    return path.read_bytes()


def audited(path: Path, sandbox: Sandbox) -> Audit:
    """The journal beside the server's own record."""
    return audit(str(path), sandbox.received().people)


def truthful(found: Audit, unknown: int) -> bool:
    """Nobody lost, told twice or denied; at most so many people unknown."""
    return (found.lost, found.twice, found.denied) == (0, 0, 0) and found.unknown <= unknown


# --- after a kill --------------------------------------------------------------------------


def renamed(path: Path) -> Path:
    """The main file alone, to another name."""
    return path.rename(path.with_name("renamed"))


def carried(path: Path) -> Path:
    """The main file alone, to another folder."""
    return path.rename(path.parent.parent / "carried.journal")


def folder_renamed(path: Path) -> Path:
    """All that lies there."""
    return path.parent.rename(path.parent.with_name("elsewhere")) / path.name


@pytest.mark.parametrize("move", [renamed, carried, folder_renamed])
async def test_a_killed_job_is_moved_and_goes_on(
    path: Path, sandbox: Sandbox, move: Callable[[Path], Path]
) -> None:
    """The main file alone says whatever left this machine, and it is still the same file."""
    await killed(path, sandbox)
    there = move(path)
    await resume(there, sandbox)
    assert truthful(audited(there, sandbox), IN_FLIGHT * SIZE)
    assert State.PLANNED not in states_of(str(there))


async def test_a_copy_of_a_killed_job_needs_the_users_word(path: Path, sandbox: Sandbox) -> None:
    """The first file may have gone on; if the user says that it has not, nobody is told twice."""
    await killed(path, sandbox)
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    before, asked = content(copy), sandbox.stats().requests
    with pytest.raises(JournalError, match=r"is a copy, or was moved .* --moved"):
        await resume(copy, sandbox)
    assert (content(copy), sandbox.stats().requests) == (before, asked)
    account = await Job(copy).account()
    assert account.people == account.accepted + account.unknown
    assert not account.finished
    (way,) = ways_for_unknown(account)
    assert way.command.endswith("/copy --moved")
    assert "the journal is a copy" in "\n".join(account_lines(account))
    await resume(copy, sandbox, moved=True)
    assert truthful(audited(copy, sandbox), IN_FLIGHT * SIZE)
    await resume(copy, sandbox)  # now this file is the job's


# --- while it runs -------------------------------------------------------------------------


async def test_the_main_file_alone_says_at_any_moment_what_has_left(
    path: Path, sandbox: Sandbox
) -> None:
    """Copies of it, made while it is written: no one of them calls anybody not sent who was."""
    sandbox.latency, chance = 0.01, random.Random(5)  # noqa: S311 - repeatable
    copies: list[tuple[Path, set[str]]] = []
    async with client_of(sandbox) as client:
        running = asyncio.create_task(Job(path).run(client))
        while not running.done():
            told = set(sandbox.received().people)
            copy = path.with_name(f"copy{len(copies)}")
            shutil.copyfile(path, copy)
            copies.append((copy, told))
            await asyncio.sleep(chance.uniform(0.0, 0.01))
        await running
    assert audited(path, sandbox) == CLEAN
    seen = 0
    for copy, told in copies:
        with Journal.look(str(copy)) as journal:
            if journal.identity.strayed() is Stray.TORN:
                continue
            states = {record.id: record.state for record in journal.reads.records()}
            for number, people in journal.reads.recipients():
                assert states[number] is not State.PLANNED or not told.intersection(people)
        seen += 1
    assert seen > 0


def replaced(path: Path) -> None:
    """Another file stands in its place."""
    shutil.copyfile(path, path.with_name("other"))
    path.with_name("other").rename(path)


@pytest.mark.parametrize("change", [renamed, carried, folder_renamed, Path.unlink, replaced])
async def test_a_running_job_whose_file_is_not_in_its_place_stops(
    path: Path, sandbox: Sandbox, change: Callable[[Path], Path | None]
) -> None:
    """With what to do; nothing more is sent, and the file itself goes on where it is."""
    sandbox.latency = 0.01
    async with client_of(sandbox) as client:
        running = asyncio.create_task(Job(path).run(client))
        await until(lambda: sandbox.stats().accepted >= 8)
        there = change(path)
        with pytest.raises(JobStopped, match="was moved, renamed, replaced or deleted"):
            await running
    assert sandbox.stats().accepted < CHUNKS
    if there is not None:
        await resume(there, sandbox)
        assert truthful(audited(there, sandbox), IN_FLIGHT * SIZE)
    elif change is replaced:
        with pytest.raises(JournalError, match="--moved"):
            await resume(path, sandbox)


async def test_an_older_copy_put_over_it_while_it_runs_stops_it(
    path: Path, sandbox: Sandbox
) -> None:
    """The file is the same, and says less than was done."""
    await partly(path, sandbox)
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    async with client_of(sandbox) as client:
        running = asyncio.create_task(Job(path).resume(client))
        told = sandbox.stats().accepted
        await until(lambda: sandbox.stats().accepted >= told + 8)
        shutil.copyfile(backup, path)
        (ended,) = await asyncio.gather(running, return_exceptions=True)
    # What is met first depends on how far the copying is. A commit under way may also write all of
    # its pages over the copy's: then nothing is missing, and the job goes on.
    seen = r"replaced or deleted|is damaged|no journal|full or broken"
    if isinstance(ended, JobStopped):
        assert re.search(seen, str(ended))
    else:
        assert not isinstance(ended, BaseException)
        assert truthful(audited(path, sandbox), CHUNKS * SIZE)
    assert max(sandbox.received().people.values()) == 1


async def test_a_relative_path_is_where_the_run_began(
    path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program changes its directory while the job runs."""
    monkeypatch.chdir(path.parent)
    sandbox.latency = 0.01
    async with client_of(sandbox) as client:
        job = Job(path.name)
        running = asyncio.create_task(job.run(client))
        await until(lambda: sandbox.stats().accepted >= 8)
        monkeypatch.chdir("/")
        job.drain()
        account = await running
    assert (account.stray, account.unknown) == (None, 0)
    assert account.accepted + account.not_sent == account.people


# --- copies that are put back --------------------------------------------------------------


@pytest.fixture
def keeps_marks(path: Path) -> None:
    """Skips where the disk cannot keep a note on a file."""
    with Journal.look(str(path)):
        pass
    try:
        os.setxattr(path, "user.test", b"1")
    except (OSError, AttributeError):
        pytest.skip("this disk keeps no marks")


def undo_what_was_cut(path: Path) -> None:
    """Let SQLite take back a commit that a kill has cut; else it would go into the older copy."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()


@pytest.mark.usefixtures("keeps_marks")
@pytest.mark.parametrize("end", [partly, killed])
async def test_an_older_copy_that_is_written_over_it_is_known(
    path: Path, sandbox: Sandbox, end: Callable[..., object]
) -> None:
    """It is the same file with less in it; by the user's word all that may have left is unknown."""
    await partly(path, sandbox)
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    await end(path, sandbox)  # type: ignore[misc]
    undo_what_was_cut(path)
    shutil.copyfile(backup, path)
    asked = sandbox.stats().requests
    with pytest.raises(JournalError, match=r"is an older copy .* --moved"):
        await resume(path, sandbox)
    account = await Job(path).account()
    assert (account.not_sent, account.unknown) == (0, account.people - account.accepted)
    (way,) = ways_for_unknown(account)
    assert way.command.endswith(" --moved")
    await resume(path, sandbox, moved=True)
    assert sandbox.stats().requests == asked
    assert truthful(audited(path, sandbox), CHUNKS * SIZE)
    await resume(path, sandbox)
    assert max(sandbox.received().people.values()) == 1


@pytest.mark.usefixtures("keeps_marks")
async def test_an_older_copy_that_comes_while_a_run_begins_is_known(
    path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the file was looked at, and before the run stands in it."""
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    await partly(path, sandbox)
    undo_what_was_cut(path)
    identity, told = MoveworksClient.identity, sandbox.stats().people

    def replaced_meanwhile(client: MoveworksClient, salt: str) -> str:
        shutil.copyfile(backup, path)
        return identity(client, salt)

    monkeypatch.setattr(MoveworksClient, "identity", replaced_meanwhile)
    with pytest.raises(JournalError):
        await resume(path, sandbox)
    assert sandbox.stats().people == told


@pytest.mark.usefixtures("keeps_marks")
async def test_a_plan_put_back_over_the_job_that_was_made_of_it_is_known(
    path: Path, sandbox: Sandbox
) -> None:
    """A backup from before the first run; else all would be told twice."""
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    await partly(path, sandbox)
    shutil.copyfile(backup, path)
    async with client_of(sandbox) as client:
        with pytest.raises(JournalError, match="is an older copy"):
            await Job(path).run(client)
        with pytest.raises(JournalError, match="has begun already"):
            await Job(path).run(client, moved=True)
    assert max(sandbox.received().people.values()) == 1


@pytest.mark.usefixtures("keeps_marks")
def test_the_note_on_a_file_never_says_more_than_the_file(path: Path) -> None:
    """A process may be killed before or in its first commit: the file is no older copy then."""

    def begin(journal: Journal) -> None:
        journal.orphans()
        journal.belong("https://a.test", "somebody")

    for commits in (False, True, False):
        journal = Journal.take(str(path))
        with contextlib.suppress(ZeroDivisionError), journal.transaction():
            begin(journal)
            if not commits:
                raise ZeroDivisionError
        if commits:
            with journal.transaction():
                journal.sending(0, 1.0)
        journal.close()
        with Journal.look(str(path)) as looked:
            assert looked.identity.strayed() is None


@pytest.mark.usefixtures("keeps_marks")
async def test_a_file_that_was_given_the_same_number_is_another_one(
    path: Path, sandbox: Sandbox
) -> None:
    """Disks use the numbers of removed files again, often at once."""
    await partly(path, sandbox)
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    os.removexattr(path, "user.moveworks_shift.journal")  # as a new file of the same number
    with pytest.raises(JournalError, match=r"is a copy, or was moved .* --moved"):
        await resume(path, sandbox)
    assert max(sandbox.received().people.values()) == 1


def over_it(backup: Path, path: Path) -> None:
    """`cp -a`: what stands on the file comes back with what stands in it."""
    shutil.copy2(backup, path)


def anew(backup: Path, path: Path) -> None:
    """`tar --xattrs`: the file is removed first, and the disk may give the new one its number."""
    path.unlink()
    shutil.copy2(backup, path)


@pytest.mark.parametrize("restore", [over_it, anew])
async def test_a_backup_that_brings_its_own_mark_is_known(
    path: Path, sandbox: Sandbox, restore: Callable[[Path, Path], None]
) -> None:
    """What was written last is remembered apart from the file as well."""
    await partly(path, sandbox)
    backup = path.with_name("backup")
    shutil.copy2(path, backup)
    await partly(path, sandbox)
    restore(backup, path)
    with pytest.raises(JournalError, match=r"is an older copy|is a copy, or was moved"):
        await resume(path, sandbox)
    assert max(sandbox.received().people.values()) == 1


async def test_a_disk_without_marks_knows_an_older_copy(
    path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a system that has none."""
    monkeypatch.delattr(os, "setxattr", raising=False)
    monkeypatch.delattr(os, "getxattr", raising=False)
    await partly(path, sandbox)
    backup = path.with_name("backup")
    shutil.copyfile(path, backup)
    await partly(path, sandbox)
    shutil.copyfile(backup, path)
    with pytest.raises(JournalError, match="is an older copy"):
        await resume(path, sandbox)


@pytest.mark.usefixtures("keeps_marks")
async def test_after_an_older_copy_a_newer_one_is_older_still(path: Path, sandbox: Sandbox) -> None:
    """The wrong backup was restored and gone on with; the right one does not know all either."""
    backups = [path.with_name("first"), path.with_name("second")]
    for backup, chunks in zip(backups, (5, 38), strict=True):
        await partly(path, sandbox, chunks)
        shutil.copyfile(path, backup)
    await partly(path, sandbox, 5)
    shutil.copyfile(backups[0], path)
    await resume(path, sandbox, moved=True)
    shutil.copyfile(backups[1], path)
    with pytest.raises(JournalError, match=r"is an older copy .* --moved"):
        await resume(path, sandbox)
    assert max(sandbox.received().people.values()) == 1


async def test_another_job_in_the_same_place_is_not_taken_for_it(
    path: Path, sandbox: Sandbox
) -> None:
    """What is remembered of a place is another job's by now, so this file is a copy."""
    await partly(path, sandbox)
    with Journal.look(str(path)) as journal:
        place = journal.reads.header().place
    assert place is not None
    remember(place, "another 7")
    with pytest.raises(JournalError, match="is a copy, or was moved"):
        await resume(path, sandbox)


async def test_where_nothing_can_be_remembered_a_job_runs_all_the_same(
    path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without a home, or with a full one."""
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/state")
    await partly(path, sandbox)
    await resume(path, sandbox)
    assert audited(path, sandbox) == CLEAN


async def test_what_is_remembered_holds_a_count_and_nobody(path: Path, sandbox: Sandbox) -> None:
    """For its owner alone."""
    await resume(path, sandbox)
    with Journal.look(str(path)) as journal:
        header = journal.reads.header()
    assert header.place is not None
    assert remembered(header.place) == f"{header.key} {2 * CHUNKS}"
    (file,) = state_directory().glob(f"**/journal-{header.place.replace(':', '-')}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_an_older_copy_that_is_moved_into_its_place_is_a_copy(
    path: Path, sandbox: Sandbox
) -> None:
    """Another file, so it needs the user's word."""
    await partly(path, sandbox)
    shutil.copyfile(path, path.with_name("backup"))
    await killed(path, sandbox)
    path.with_name("backup").rename(path)
    with pytest.raises(JournalError, match=r"is a copy, or was moved .* --moved"):
        await resume(path, sandbox)
    assert max(sandbox.received().people.values()) == 1


async def test_a_plan_that_never_began_is_carried_anywhere(path: Path, sandbox: Sandbox) -> None:
    """It is made here and run there."""
    copy = path.parent.parent / "there"
    shutil.copyfile(path, copy)
    async with client_of(sandbox) as client:
        await Job(copy).run(client)
    assert audited(copy, sandbox) == CLEAN


async def test_the_account_of_a_copy_can_be_had(path: Path, sandbox: Sandbox) -> None:
    """Who looks at a backup needs nobody's word."""
    await partly(path, sandbox)
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    account = await Job(copy).account()
    assert account.accepted == (await Job(path).account()).accepted > 0


# --- two names of one file -----------------------------------------------------------------


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to])
async def test_two_names_of_one_file_are_one_job(
    path: Path, sandbox: Sandbox, link: Callable[[Path, Path], None]
) -> None:
    """While it runs by one, the other can be looked at and stopped, and not run."""
    other, answering, stopping = path.parent.parent / "other", asyncio.Event(), asyncio.Event()
    link(other, path)
    serve = sandbox._listener.handler

    async def late(request: web.BaseRequest) -> web.StreamResponse:
        await answering.wait()
        return await serve(request)

    def watch(progress: JobProgress) -> None:
        if progress.why.startswith("stopping"):
            stopping.set()

    sandbox._listener.handler = late
    async with client_of(sandbox) as client:
        running = asyncio.create_task(Job(path).run(client, on_progress=watch))
        await until(lambda: State.SENDING in states_of(str(path)))
        with pytest.raises(JobRunning):
            await resume(other, sandbox)
        assert (await Job(other).account()).running
        await Job(other).stop()
        await stopping.wait()
        answering.set()
        await running
    assert sandbox.stats().accepted <= IN_FLIGHT
    await resume(other, sandbox)
    assert audited(path, sandbox) == CLEAN


# --- pages of two moments ------------------------------------------------------------------

CUT_IN_A_COMMIT = """
import os, sys
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
journal = Journal.take(sys.argv[1])
db = journal._db.connection
db.execute("PRAGMA cache_size = 5")
db.execute("BEGIN IMMEDIATE")
for chunk in range(600):
    db.execute("UPDATE chunk SET state = 'accepted', reason = ? WHERE id = ?", ("x" * 50, chunk))
os._exit(9)
"""


def cut_in_a_commit(path: Path) -> None:
    """A process is killed when half of its pages are written."""
    subprocess.run([sys.executable, "-c", CUT_IN_A_COMMIT, str(path)], check=False)
    assert path.with_name(f"{path.name}-journal").stat().st_size


async def test_a_commit_that_was_cut_is_undone(tmp_path: Path, sandbox: Sandbox) -> None:
    """By whoever looks first, from what lies beside the file."""
    path = Path(plan(tmp_path / "job.journal", 600, 1))
    before = content(path)
    cut_in_a_commit(path)
    assert content(path) != before
    account = await Job(path).account()
    assert (account.not_sent, account.accepted) == (600, 0)
    await resume(path, sandbox)
    assert audited(path, sandbox) == CLEAN
    assert os.listdir(tmp_path) == ["job.journal"]


async def test_half_a_commit_is_known_for_what_it_is(tmp_path: Path, sandbox: Sandbox) -> None:
    """Without what lay beside it, the pages are of two moments, and nothing of them is believed."""
    path = Path(plan(tmp_path / "job.journal", 600, 1))
    cut_in_a_commit(path)
    path.with_name("job.journal-journal").unlink()
    with pytest.raises(JournalError, match=r"parts of different moments|is damaged"):
        await resume(path, sandbox)
    assert sandbox.stats().requests == 0


async def look(path: Path, sandbox: Sandbox) -> None:
    """`status`, which changes nothing."""
    await Job(path).account()


@pytest.mark.parametrize("use", [look, resume])
async def test_what_an_earlier_kill_left_beside_it_undoes_nothing_later(
    tmp_path: Path, sandbox: Sandbox, use: Callable[[Path, Sandbox], Awaitable[None]]
) -> None:
    """Killed in a commit, moved away, gone on with there, and moved back to what was left."""
    path = Path(plan(tmp_path / "job.journal", 600, 1))
    cut_in_a_commit(path)
    left = path.with_name("job.journal-journal")
    beside = left.read_bytes()
    await partly(path, sandbox)  # which undoes it, as it undoes itself where it was moved to
    left.write_bytes(beside)
    before = content(path)
    with pytest.raises(JournalError, match=r"job.journal-journal lies beside .* move it elsewhere"):
        await use(path, sandbox)
    assert (content(path), left.read_bytes()) == (before, beside)
    left.unlink()
    await resume(path, sandbox)
    assert audited(path, sandbox) == CLEAN


async def test_what_another_job_left_is_not_put_into_this_one(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """Its file was moved away, and this plan was moved to where it lay; or is made there."""
    path = Path(plan(tmp_path / "job.journal", 600, 1))
    cut_in_a_commit(path)
    away = renamed(path)
    with pytest.raises(JournalError, match="lies beside"):
        plan(path, 600, 1)
    shutil.move(plan(tmp_path / "other", 600, 1), path)
    before = content(path)
    with pytest.raises(JournalError, match=r"job.journal-journal lies beside .* move it elsewhere"):
        await resume(path, sandbox)
    assert content(path) == before
    shutil.move(away, path)
    assert (await Job(path).account()).not_sent == 600


async def test_pages_of_two_moments_are_gone_on_with_by_the_users_word(
    path: Path, sandbox: Sandbox
) -> None:
    """All that may have left is unknown then; nobody is told twice."""
    before = content(path)
    await partly(path, sandbox)
    after = content(path)
    with Journal.look(str(path)) as journal:
        page = journal._db.connection.execute("PRAGMA page_size").fetchone()[0]
        (root,) = journal._db.connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'job'"
        ).fetchone()
    mixed = bytearray(before + after[len(before) :])
    mixed[(root - 1) * page : root * page] = after[(root - 1) * page : root * page]
    with path.open("r+b") as file:
        file.write(mixed)
    with pytest.raises(JournalError, match=r"parts of different moments.* --moved"):
        await resume(path, sandbox)
    await resume(path, sandbox, moved=True)
    assert truthful(audited(path, sandbox), CHUNKS * SIZE)
    assert max(sandbox.received().people.values()) == 1
    await resume(path, sandbox)  # said once, it holds
    assert (await Job(path).account()).stray is None


async def test_a_journal_that_is_removed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """Neither a file nor a note of it, whether it was run or not, and twice is no error."""
    state = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    job = Job(plan(tmp_path / "j"))
    async with client_of(sandbox) as client:
        await job.run(client)
    assert [*state.glob("*/journal-*")]
    for _ in range(2):
        job.remove()
        assert [*state.glob("*/journal-*")] == []
        assert os.listdir(tmp_path) == ["state"]
