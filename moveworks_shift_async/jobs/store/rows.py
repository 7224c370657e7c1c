"""The rows of a journal <-> values; `ValueError` or `TypeError` for what is damaged."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import sub
from typing import Any, TypeVar

from attrs import fields

from ...wire.moveworks import Content
from ...wire.recipients import CheckedRecipients
from ..records import Chunk, ChunkRecord, Event, Header, Incident, Left, LeftOut, Run, State, Total

T = TypeVar("T")
Row = tuple[Any, ...]

# Seconds. What a killed process left on its way may have been counted by the server as late as its
# answer could have come: the usual bound of a request.
_ANSWER = 60.0
# What a field's annotation stands for.
_KINDS: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
# Seconds since 1970 at the end of the year 9999, behind which Python knows no time.
_LATEST = 253_402_300_800.0
# Level 6 takes a third of the time of planning more and saves a tenth of the file.
_LEVEL = 3


def pack(addresses: Iterable[str]) -> bytes:
    """Addresses as the journal keeps them: 500 of them take about 5 kB."""
    return zlib.compress("\n".join(addresses).encode(), _LEVEL)


def unpack(packed: bytes) -> tuple[str, ...]:
    """The addresses that `pack` took."""
    return tuple(zlib.decompress(packed).decode().split("\n"))


def pack_left_out(rows: Sequence[tuple[int, str, str]]) -> bytes:
    """Entries that are for nobody, as the journal keeps them: a duplicate takes about 12 bytes."""
    lines, reasons, entries = zip(*rows, strict=True)
    # Lines as steps from one to the next: most of them are small numbers that come again.
    steps = [*map(sub, lines, (0, *lines[:-1]))]
    return zlib.compress(json.dumps((steps, reasons, entries)).encode(), _LEVEL)


def left_out_of(row: Row) -> LeftOut:
    """The entries that `pack_left_out` took."""
    why, packed = row
    steps, reasons, entries = json.loads(zlib.decompress(packed))
    return LeftOut(why=Left(why), entries=[*zip(accumulate(steps), reasons, entries, strict=True)])


def header_of(row: Row) -> Header:
    """What the job is."""
    names = ("source", "event_id", "planned_at", "complete", "people", "duplicates", "differing",
             "invalid", "chunks", "texts", "digest", "key", "base_url", "identity", "place",
             "marked")  # fmt: skip
    values = dict(zip(names, row, strict=True))
    flags = {name: bool(values[name]) for name in ("complete", "marked")}
    return _sound(Header(**values | flags))


def chunk_of(event_id: str | None, owner: str, row: Row) -> Chunk:
    """One request of a job, for the run that claims it."""
    number, message, context, packed, resent = row
    return Chunk(
        id=number,
        content=content_of(event_id, message, context),
        recipients=CheckedRecipients(unpack(packed)),
        resent=bool(resent),
        owner=owner,
    )


def content_of(event_id: str | None, message: str, context: str | None) -> Content:
    """What some people are told."""
    found: Mapping[str, Any] | None = None if context is None else json.loads(context)
    return Content(event_id=event_id, message=message, context=found)


def recipients_of(row: Row) -> tuple[int, tuple[str, ...]]:
    """A chunk's number, and whom it is for."""
    return row[0], unpack(row[1])


def record_of(row: Row) -> ChunkRecord:
    """How a chunk stands."""
    names = ("id", "state", "people", "requests", "throttled", "sent_at", "ended_at", "error",
             "reason", "left_at", "resent", "owner")  # fmt: skip
    values = dict(zip(names, row, strict=True))
    made = {"state": State(values["state"]), "resent": bool(values["resent"])}
    return _sound(ChunkRecord(**values | made))


def total_of(row: Row) -> Total:
    """The chunks of one state together."""
    state, left_alone, chunks, people, requests, throttled = row
    return Total(
        state=State(state),
        left_alone=bool(left_alone),
        chunks=chunks,
        people=people,
        requests=requests,
        throttled=throttled,
    )


def run_of(row: Row) -> Run:
    """A process that worked on it."""
    names = ("id", "pid", "host", "began_at", "ended_at", "ended", "budget", "per")
    return _sound(Run(**dict(zip(names, row, strict=True))))


def event_of(row: Row) -> Event:
    """What made it wait."""
    at, incident, seconds, reason = row
    return _sound(Event(at=at, incident=Incident(incident), seconds=seconds, reason=reason))


def ages_of(rows: Iterable[Row], now: float, window: float) -> list[float]:
    """Ages in seconds of the requests that the server may still count.

    Of each comes when it was sent, and when it ended. A slot ends one window after its answer. The
    clock may have been set back since.
    """
    ages = []
    for sent_at, ended_at in rows:
        age = now - (min(now, sent_at + _ANSWER) if ended_at is None else ended_at)
        if abs(age) < window:
            ages.append(max(0.0, age))
    return ages


def _sound(values: T) -> T:
    """The values, if each is what its field is for: SQLite keeps anything in any column."""
    for one in fields(type(values)):  # type: ignore[arg-type]
        kind, _, may_be_none = str(one.type).partition(" | ")
        value = getattr(values, one.name)
        if value is None and may_be_none:
            continue
        if kind in _KINDS and not isinstance(value, _KINDS[kind]):
            raise TypeError(one.name)
        if kind == "float" and not abs(value) < _LATEST:
            raise ValueError(one.name)
    return values
