"""One process at a time works on a journal, however it ends."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moveworks_shift_async.errors import JobRunning, JournalError
from moveworks_shift_async.jobs.store.sqlite.lock import Lock, is_free, marked

HOLDER = """
import sys
from moveworks_shift_async.jobs.store.sqlite.lock import Lock
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
    """A file; the lock does not look into it."""
    (tmp_path / "job.journal").touch()
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
    assert [file.name for file in Path(journal).parent.iterdir()] == ["job.journal"]


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
    link = Path(journal).with_name("latest")
    link.symlink_to("job.journal")
    lock = Lock.take(journal)
    with pytest.raises(JobRunning):
        Lock.take(str(link))
    assert not is_free(str(link))
    lock.release()


def test_who_looks_whether_it_is_free_keeps_nobody_from_it(journal: str) -> None:
    """Somebody who asks for the status all the time must not have a run refused."""
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


def test_a_hard_link_is_the_same_file(journal: str) -> None:
    """By whatever name, in whatever folder."""
    (Path(journal).parent / "other").mkdir()
    link = Path(journal).parent / "other" / "name"
    link.hardlink_to(journal)
    lock = Lock.take(journal)
    with pytest.raises(JobRunning):
        Lock.take(str(link))
    assert not is_free(str(link))
    lock.release()
    assert is_free(str(link))
    with holder(journal):
        assert not is_free(str(link))
        with pytest.raises(JobRunning):
            Lock.take(str(link))


def test_nothing_lies_beside_it(journal: str) -> None:
    """What is not there can neither be removed nor lead elsewhere."""
    lock = Lock.take(journal)
    assert [file.name for file in Path(journal).parent.iterdir()] == ["job.journal"]
    lock.release()


def test_it_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    """And never over a file that is there."""
    lock = Lock.take(str(tmp_path / "new"), new=True)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    with pytest.raises(JournalError, match="cannot be made: File exists"):
        Lock.take(str(tmp_path / "new"), new=True)
    lock.release()


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.rename(f"{path}2")])
def test_a_file_that_left_its_place_is_noticed(journal: str, change: object) -> None:
    """Also where another one stands there now; and nobody removes that one."""
    lock = Lock.take(journal)
    lock.check_place()
    change(Path(journal))  # type: ignore[operator]
    with pytest.raises(JournalError, match="was moved, renamed, replaced or deleted"):
        lock.check_place()
    Path(journal).write_text("another")
    with pytest.raises(JournalError, match="was moved, renamed, replaced or deleted"):
        lock.check_place()
    lock.remove()
    assert Path(journal).read_text() == "another"


def test_a_mark_stays_with_the_file(journal: str, tmp_path: Path) -> None:
    """Renamed it has it still; a copy has none; what is written over it keeps it."""
    lock = Lock.take(journal)
    if not lock.mark("a 1"):
        pytest.skip("this disk knows no such notes")
    lock.release()
    shutil.copyfile(journal, tmp_path / "copy")
    assert (marked(journal), marked(str(tmp_path / "copy"))) == (("a 1", "a 1"), ("", ""))
    shutil.copyfile(tmp_path / "copy", journal)
    Path(journal).rename(tmp_path / "renamed")
    assert (marked(journal), marked(str(tmp_path / "renamed"))) == (("", ""), ("a 1", "a 1"))


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """By the journal that was asked for, with what to do about it."""
    with pytest.raises(JournalError) as caught:
        Lock.take(str(tmp_path / "no" / "job"), new=True)
    assert str(caught.value) == (
        f"{tmp_path / 'no' / 'job'} cannot be made: No such file or directory;"
        f" make {tmp_path / 'no'} first"
    )


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """To open a FIFO would wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    for other in (tmp_path / "fifo", Path("/dev/null"), tmp_path):
        with pytest.raises(JournalError, match="is no regular file"):
            Lock.take(str(other))
        assert not is_free(str(other))


def test_a_disk_that_knows_no_locks_is_named(journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no run begins there."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("moveworks_shift_async.jobs.store.sqlite.lock._take", refuse)
    with pytest.raises(JournalError, match="cannot be locked: No locks available"):
        Lock.take(journal)
