"""The rows of a journal <-> values; `ValueError` or `TypeError` for what is damaged."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from operator import sub
from typing import Any, TypeVar

from attrs import astuple, fields

from ...wire.moveworks import Content
from ...wire.recipients import CheckedRecipients
from ..left_out import Exclusion, InvalidLine, Left, LeftOut
from ..records import Chunk, Header, Held, Incident, State
from .ports import Audience, PlannedText

T = TypeVar("T")
Row = tuple[Any, ...]

# Seconds. What a killed process left on its way may have been counted by the server as late as its
# answer could have come: the usual bound of a request.
_ANSWER = 60.0
# What a field's annotation stands for, and what is made for it of a column.
_KINDS: Mapping[str, Any] = {"int": (int,), "float": (int, float), "str": (str,)}
_MADE: Mapping[str, Callable[[Any], Any]] = {
    "bool": bool,
    "State": State,
    "Incident": Incident,
    "tuple[Exclusion, ...]": lambda text: _each(Exclusion, json.loads(text)),
    "tuple[InvalidLine, ...]": lambda found: _each(InvalidLine, found),
}
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


def header_values(header: Header) -> dict[str, Any]:
    """The columns of a header: its lists are one of them, as JSON."""
    lists = json.dumps([astuple(one) for one in header.exclusions])
    return {one.name: getattr(header, one.name) for one in fields(Header)} | {"exclusions": lists}


def value_of(kind: type[T], row: Row) -> T:
    """A value of this class from columns in the order of its fields.

    Each is seen to be what its field is for: SQLite keeps anything in any column.
    """
    made: dict[str, Any] = {}
    columns = _columns(kind)  # type: ignore[arg-type]
    for (name, wanted, may_be_none), value in zip(columns, row, strict=True):
        made[name] = None if value is None and may_be_none else _column(wanted, value)
    return kind(**made)


@cache
def _columns(kind: type) -> list[tuple[str, str, bool]]:
    """Name and type of each field, and whether it may be None; once, for there are many rows."""
    parted = ((one.name, str(one.type).partition(" | ")) for one in fields(kind))
    return [(name, wanted, bool(may_be_none)) for name, (wanted, _, may_be_none) in parted]


def _each(kind: type[T], found: Iterable[Row]) -> tuple[T, ...]:
    return tuple(value_of(kind, row) for row in found)


def _column(wanted: str, value: Any) -> Any:
    if wanted in _MADE:
        return _MADE[wanted](value)
    if not isinstance(value, _KINDS[wanted]):
        raise TypeError(wanted)
    if wanted == "float" and not abs(value) < _LATEST:
        raise ValueError(wanted)
    return value


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


def held_of(held: Held | None) -> dict[str, Any]:
    """The columns of a run that say what holds it."""
    columns = {"by": None, "since": None, "until": None, "why": None}
    return {f"held_{name}": getattr(held, name, none) for name, none in columns.items()}


def planned_text_of(event_id: str | None, row: Row) -> PlannedText:
    """A text with its number."""
    number, message, context, odd = row
    if not isinstance(message, str) or not isinstance(odd, str | None):
        raise TypeError("text")
    return PlannedText(number=number, content=content_of(event_id, message, context), odd=odd)


def audience_of(row: Row) -> tuple[int, Audience]:
    """A text's number, and whom it is for."""
    number, people, packed = row
    return number, Audience(people=int(people), first=unpack(packed))


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
