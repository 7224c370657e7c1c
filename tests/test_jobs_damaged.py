"""A damaged journal is called damaged: no error of Python's, no word of what stands in it."""

from __future__ import annotations

import random
import sqlite3
import traceback
from pathlib import Path
from typing import Any

import pytest

from moveworks_shift_async.cli import main
from moveworks_shift_async.errors import JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.store.sqlite.journal import Journal

from . import journals
from .journals import BEGAN, begin, planned, send
from .planned import verified


def begun(path: Path) -> Path:
    """A job of three chunks, one of them sent."""
    journal = planned(path, 3, size=3)
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, [0], lambda _: BEGAN + 1)
        journal.write("end_run", (BEGAN + 2, "stopped", run))
    journal.close()
    return path


async def told_of(path: Path) -> None:
    """All that can be asked of a journal without a server."""
    job = Job(path)
    await job.account()
    await job.chunks()
    await job.invalid()
    verified(str(path)).close()


@pytest.mark.parametrize("seed", range(60))
async def test_noise_in_it_is_damage_or_does_no_harm(tmp_path: Path, seed: int) -> None:
    """Whatever bytes are changed: an answer or a `JournalError`, and not a word of a message."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    path = begun(tmp_path / "job.journal")
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 4, 40))):
        at = chance.randrange(len(content))
        content[at] = chance.randrange(256)
    path.write_bytes(content)
    try:
        await told_of(path)
    except JournalError as error:
        said = "".join(traceback.format_exception(error))
        assert "Hello" not in said
        assert "example.com" not in said


CHANGES = {
    "a time that is text": "UPDATE chunk SET sent_at = 'soon'",
    "a time beyond all years": "UPDATE chunk SET ended_at = 1e300 WHERE id = 0",
    "a begin that is no number": "UPDATE run SET began_at = 9e999",
    "a count that is text": "UPDATE chunk SET requests = 'many' WHERE id = 0",
    "a reason that is none": "UPDATE chunk SET reason = x'ff' WHERE id = 0",
    "an event that is never": "INSERT INTO event VALUES (1e300, 'outage', 1, '')",
    "a plan made never": "UPDATE job SET planned_at = -1e300",
    "a view in place of a table": "ALTER TABLE event RENAME TO other",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("command", ["status", "report", "pause", "resume", "run"])
def test_a_command_says_that_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, change: str, command: str
) -> None:
    """Exit code 2 and one line; nothing went out, and it says so."""
    path = begun(tmp_path / "job.journal")
    db = sqlite3.connect(path)
    db.execute(CHANGES[change])
    db.commit()
    db.close()
    monkeypatch.setenv("MOVEWORKS_API_KEY", "key")
    monkeypatch.setenv("MOVEWORKS_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MOVEWORKS_GATE", "none")
    code = main.run([command, str(path)])
    said = capsys.readouterr().err
    assert "unexpected" not in said
    assert "Traceback" not in said
    assert code == 2
    assert said.startswith("Error: ")
    assert len(said.splitlines()) == 1


def test_the_helper_makes_a_sound_journal(tmp_path: Path) -> None:
    """Else the tests above would show nothing."""
    with Journal.look(str(begun(tmp_path / "job.journal"))) as journal:
        assert len([*journal.reads.records()]) == 3
    assert journals.HEADER.complete is False
