"""Journals for the benchmarks: a job of so many chunks, made in a moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from moveworks_shift_async.jobs.records import Header
from moveworks_shift_async.jobs.store.rows import pack
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.wire.moveworks import Content

MESSAGE = "The VPN is down for maintenance tonight from 22:00 to 23:00."


def people_of(chunk: int, size: int) -> list[str]:
    """The addresses of one chunk."""
    return [f"first{chunk}.last{number}@corp.example.com" for number in range(size)]


def plan(path: Path, chunks: int, size: int) -> None:
    """A journal of `chunks` chunks of `size` people each; one that is there is replaced."""
    for file in path.parent.glob(path.name + "*"):
        file.unlink()
    header = Header(source="benchmark", event_id=None, planned_at=time.time())
    journal = Journal.create(str(path), header)
    with journal.transaction():
        journal.add_content(0, Content(event_id=None, message=MESSAGE))
        journal.add_chunks(_rows(chunks, size))
        journal.complete(evolve(header, people=chunks * size, chunks=chunks, texts=1))
    journal.close()


def _rows(chunks: int, size: int) -> Sequence[tuple[int, int, int, bytes]]:
    return [(number, 0, size, pack(people_of(number, size))) for number in range(chunks)]
