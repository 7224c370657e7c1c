"""Journals for tests: small jobs, and the laws that hold between a journal and its server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from moveworks_shift_async.jobs.records import Header, State
from moveworks_shift_async.jobs.store.rows import pack
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.wire.moveworks import Content

PLANNED_AT = 1_767_225_600.0  # 2026-01-01


def verified(path: str) -> Journal:
    """An open journal that was found whole."""
    journal = Journal.open(path)
    try:
        journal.reads.verify()
    except BaseException:
        journal.close()
        raise
    return journal


def people_of(chunk: int, size: int) -> tuple[str, ...]:
    """Distinct addresses."""
    return tuple(f"p{chunk}.{number}@example.com" for number in range(size))


def header_of(event_id: str | None = None) -> Header:
    """Of a plan that has just begun."""
    return Header(source="people.csv", event_id=event_id, planned_at=PLANNED_AT)


def plan(
    path: Path,
    chunks: int = 3,
    size: int = 2,
    *,
    texts: int = 1,
    event_id: str | None = None,
    lists: Sequence[tuple[str, ...]] | None = None,
) -> str:
    """A planned job; `lists` are its chunks where they are not just any people."""
    lists = lists or [people_of(number, size) for number in range(chunks)]
    header = header_of(event_id)
    journal = Journal.create(str(path), header)
    with journal.transaction():
        for text in range(texts):
            context = {"slots": {"floor": text}} if text else None
            journal.add_content(
                text, Content(event_id=event_id, message=f"text {text}", context=context)
            )
        journal.add_chunks(
            (number, number % texts, len(chunk), pack(chunk)) for number, chunk in enumerate(lists)
        )
        people = sum(map(len, lists))
        journal.complete(evolve(header, people=people, chunks=len(lists), texts=texts))
    journal.close()
    return str(path)


def states_of(path: str) -> list[State]:
    """The state of each chunk that was not divided, in order."""
    with Journal.look(path) as journal:
        return [record.state for record in journal.reads.records()]


@frozen
class Audit:
    """A journal compared with the server's own record. Counts are people."""

    #: Accepted by the journal, and the server never told them.
    lost: int
    #: Told twice or more, outside the chunks that are, or once were, unknown.
    twice: int
    #: Planned or rejected by the journal, and the server told them.
    denied: int
    unknown: int
    planned: int


def audit(path: str, told: Mapping[str, int], spared: frozenset[int] = frozenset()) -> Audit:
    """Compare; `spared` are chunks that were unknown and sent again by somebody's word."""
    found: Counter[str] = Counter()
    with Journal.look(path) as journal:
        states = {record.id: record.state for record in journal.reads.records()}
        for number, addresses in journal.reads.recipients():
            state, times = states[number], [told.get(address, 0) for address in addresses]
            found[state] += len(times)
            if state is State.ACCEPTED:
                found["lost"] += sum(time == 0 for time in times)
            if state is not State.UNKNOWN and number not in spared:
                found["twice"] += sum(time > 1 for time in times)
                found["denied"] += sum(times) if state is not State.ACCEPTED else 0
    return Audit(
        found["lost"], found["twice"], found["denied"], found[State.UNKNOWN], found[State.PLANNED]
    )
