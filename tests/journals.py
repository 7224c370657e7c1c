"""Journals as a job leaves them, made through the journal's own face, for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import evolve

from moveworks_shift_async.clock import SYSTEM_CLOCK, Clock
from moveworks_shift_async.jobs.left_out import Left
from moveworks_shift_async.jobs.records import Event, Header, Incident, Run, Settlement, State
from moveworks_shift_async.jobs.report import report_files
from moveworks_shift_async.jobs.report.account import JobAccount, account_of, read_state
from moveworks_shift_async.jobs.store.rows import pack, pack_left_out
from moveworks_shift_async.jobs.store.sqlite.account_store import SqliteAccountStore
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.wire.moveworks import Content

T = TypeVar("T")

#: 2026-05-14 09:00:00 UTC.
BEGAN = 1_778_749_200.0
EVENT = "5f2a7c1e-8d94-4b7a-9c55-0f2b6a1d3e47"
HEADER = Header(source="people.csv", event_id=EVENT, planned_at=BEGAN - 300)


def planned(path: Path, chunks: int, size: int = 500, **more: Any) -> Journal:
    """A journal of so many chunks of so many people each."""
    journal = Journal.create(str(path), HEADER)
    with journal.transaction():
        journal.add_content(0, Content(event_id=EVENT, message="Hello"))
        journal.add_chunks((n, 0, size, pack(addresses(n, size))) for n in range(chunks))
        for why in Left:
            lines = range(more.get(f"{why}s", more.get(why, 0)))
            rows = [(line, "nobody", "nobody") for line in lines]
            if rows:
                journal.write("add_left_out", (why, pack_left_out(rows)))
        people = chunks * size
        journal.complete(evolve(HEADER, people=people, chunks=chunks, texts=1, **more))
    journal.close()
    return Journal.open(str(path))


def addresses(chunk: int, size: int) -> list[str]:
    """Whom a chunk is for."""
    return [f"ann.example.{chunk * size + n}@example.com" for n in range(size)]


def begin(journal: Journal, at: float, budget: int = 120, per: float = 60.0) -> str:
    """A process begins to work; the name of its run."""
    run = Run(id=f"run {len(journal.reads.runs())}", pid=4711, host="vendor", began_at=at,
              ended_at=None, ended=None, budget=budget, per=per)  # fmt: skip
    journal.begin_run(run)
    return run.id


def send(
    journal: Journal,
    chunks: Iterable[int],
    when: Callable[[int], float],
    state: State = State.ACCEPTED,
    **step: Any,
) -> None:
    """One request for each chunk, that ended at `when(chunk)`."""
    for chunk in chunks:
        journal.sending(chunk, when(chunk) - 0.4)
        journal.settle(Settlement(chunk=chunk, state=state, at=when(chunk), requests=1, **step))


def paced(chunk: int, budget: int = 120, per: float = 60.0, began: float = BEGAN) -> float:
    """When a chunk ends that is sent as soon as the limit allows."""
    window, place = divmod(chunk, budget)
    return began + window * (per + 0.5) + 0.4 + place * 0.06


def finished(path: Path) -> Journal:
    """60,000 people; all but 500 were accepted."""
    journal = planned(path, 120, duplicates=312, differing=4, invalid=17)
    with journal.transaction():
        run = begin(journal, BEGAN, budget=30)
        send(journal, (n for n in range(120) if n != 77), lambda n: paced(n, 30))
        send(journal, [77], lambda n: paced(n, 30), State.REJECTED, error="BadRequest",
             reason="BAD_REQUEST: One or more fields have an incorrect data-type")  # fmt: skip
        journal.write("end_run", (BEGAN + 186, "finished", run))
    return journal


def troubled(path: Path) -> Journal:
    """Two runs with a night between, 429s, an outage, a pause, and many unknown."""
    journal = planned(path, 1200, duplicates=1, invalid=2)
    end = "the connection was reset before an answer came"
    night = BEGAN + 15 * 3600
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, range(400), paced)
        send(journal, range(400, 403), lambda n: paced(n) + 9, State.UNKNOWN,
             error="OutcomeUnknown", reason=end)  # fmt: skip
        send(journal, range(403, 410), lambda n: paced(n) + 12, State.UNKNOWN,
             error="ServerFailed", reason="502 Bad Gateway")  # fmt: skip
        for at in (121.0, 121.2, 182.0):
            journal.add_event(Event(at=BEGAN + at, incident=Incident.THROTTLED, seconds=60))
        journal.add_event(Event(at=BEGAN + 215, incident=Incident.OUTAGE, seconds=95,
                                reason="no connection: Name or service not known"))  # fmt: skip
        send(journal, range(410, 620), lambda n: paced(n - 410, began=BEGAN + 312))
        journal.write("end_run", (BEGAN + 400, "stopped: SIGTERM", run))
        run = begin(journal, night, budget=60)
        send(journal, range(620, 1000), lambda n: paced(n - 620, 60, began=night))
        journal.add_event(Event(at=night + 130, incident=Incident.PAUSED, seconds=45))
        send(journal, [1000], lambda n: night + 380, State.REJECTED, error="BadRequest",
             reason="INVALID_VALUE: anna@example.com is no recipient")  # fmt: skip
        journal.write("end_run", (night + 390, "stopped: the server answers 502", run))
    return journal


def halfway(path: Path) -> Journal:
    """A run that is on in this process, with three requests on their way."""
    journal = planned(path, 600)
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, range(240), paced)
        for chunk in (240, 241, 242):
            journal.sending(chunk, BEGAN + 121, run)
    journal.close()
    return Journal.take(str(path))


def store_of(journal: Journal) -> SqliteAccountStore:
    """An open journal as whoever accounts for it sees it, read in the loop's own thread."""

    async def ask(step: Callable[[Journal], T]) -> T:
        return step(journal)

    return SqliteAccountStore(ask)


def read_account(journal: Journal, *, clock: Clock = SYSTEM_CLOCK) -> JobAccount:
    """The account of an open journal, read in this thread, where it is: nothing waits."""
    with pytest.raises(StopIteration) as ended:
        read_state(store_of(journal)).send(None)
    state, texts = ended.value.value
    return account_of(state, texts, clock)


def write_report(journal: Journal, csv: str | None, page: str | None) -> JobAccount:
    """Its account as files; in a loop of its own, also where another one runs."""
    with ThreadPoolExecutor(1) as thread:
        writing = report_files.write_report(store_of(journal), csv, page)
        return thread.submit(asyncio.run, writing).result()
