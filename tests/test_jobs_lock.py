"""One process at a time works on a journal, however it ends."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moveworks_shift_async.errors import JobRunning, JournalError
from moveworks_shift_async.jobs.lock import Lock, is_free

HOLDER = """
import sys
from moveworks_shift_async.jobs.lock import Lock
lock = Lock.take(sys.argv[1])
print("taken", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(journal: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, journal], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """The name of a journal; the lock does not need the file."""
    return str(tmp_path / "job.journal")


def test_a_second_process_is_refused_at_once(journal: str) -> None:
    """While another has it, and with words that name the journal."""
    with holder(journal), pytest.raises(JobRunning, match=r"another process works on .*journal"):
        Lock.take(journal)


@pytest.mark.parametrize("kill", [True, False])
def test_the_end_of_a_process_frees_it(journal: str, kill: bool) -> None:
    """Killed or ended: nothing is left to remove by hand."""
    with holder(journal) as process:
        if kill:
            process.kill()
        else:
            process.communicate()
        process.wait()
        Lock.take(journal).release()
    assert [file.name for file in Path(journal).parent.iterdir()] == ["job.journal-lock"]


def test_a_holder_refuses_other_processes(journal: str) -> None:
    """The other way round: what this process holds, another cannot take."""
    lock = Lock.take(journal)
    command = [sys.executable, "-c", HOLDER, journal]
    refused = subprocess.run(command, check=False, capture_output=True, input=b"")
    assert b"JobRunning" in refused.stderr
    lock.release()
    taken = subprocess.run(command, check=False, capture_output=True, input=b"")
    assert taken.stdout == b"taken\n"


def test_two_jobs_of_one_process_exclude_each_other(journal: str) -> None:
    """The system's locks belong to a process; this one holds inside it, too."""
    first = Lock.take(journal)
    with pytest.raises(JobRunning):
        Lock.take(journal)
    with pytest.raises(JobRunning):  # a refusal does not let go of it
        Lock.take(journal)
    first.release()
    Lock.take(journal).release()


def test_another_name_of_the_same_file_is_refused_as_well(journal: str) -> None:
    """Else `resume latest.journal` would work beside `run job.journal`."""
    Path(journal).touch()
    link = Path(journal).with_name("latest")
    link.symlink_to("job.journal")
    lock = Lock.take(journal)
    with pytest.raises(JobRunning):
        Lock.take(str(link))
    assert not is_free(str(link))
    lock.release()


def test_who_looks_whether_it_is_free_keeps_nobody_from_it(journal: str) -> None:
    """Somebody who asks for the status all the time must not have a run refused."""
    Lock.take(journal).release()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            is_free(journal)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(200):
            Lock.take(journal).release()
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


def test_its_file_is_for_the_owner_alone(journal: str) -> None:
    """Whoever could open it could stop the job."""
    Lock.take(journal).release()
    assert stat.S_IMODE(Path(f"{journal}-lock").stat().st_mode) == 0o600


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """By the journal that was asked for, with what to do about it."""
    with pytest.raises(JournalError) as caught:
        Lock.take(str(tmp_path / "no" / "job"))
    assert str(caught.value) == (
        f"{tmp_path / 'no' / 'job'} cannot be made: No such file or directory;"
        f" make {tmp_path / 'no'} first"
    )


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_text("not a lock\n" * 99)])
def test_something_else_in_its_place_is_named(journal: str, make: object) -> None:
    """And left as it is."""
    make(Path(f"{journal}-lock"))  # type: ignore[operator]
    with pytest.raises(JournalError, match="-lock cannot be used"):
        Lock.take(journal)
