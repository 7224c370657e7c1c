"""Recipients -> cleaned, de-duplicated chunks. Pure: it takes entries, and never waits.

An address is trimmed. Two addresses that differ only in case are one person: the first spelling
is the one that is sent. Order is kept. Every entry fed in ends in exactly one place: in a chunk,
in `duplicates`, or in `invalid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

from attrs import define, field

from ..addresses import address_fault, person, surely_addresses
from ..models import InvalidRecipient
from ..wire.recipients import MAX_RECIPIENTS, CheckedRecipients

# People in a request: as many as the vendor takes, for the rate is scarce.
CHUNK_SIZE = MAX_RECIPIENTS
# Entries taken at once, if nothing is odd about any of them: six times as fast as one by one. Where
# one in a thousand is odd, one part in ten is slow. Of few there is nothing to gain.
_PART, _FEW = 100, 5


@define(eq=False)
class Batcher:
    """Collects recipients and gives back a chunk whenever one is full."""

    size: int = CHUNK_SIZE
    #: Entries seen again, by address without case.
    duplicates: int = 0
    invalid: list[InvalidRecipient] = field(factory=list, repr=False)
    #: Entries fed in so far.
    taken: int = 0
    _pending: list[str] = field(factory=list, repr=False)
    _seen: set[str] = field(factory=set, repr=False)

    def feed(self, entry: object) -> CheckedRecipients | None:
        """Take one entry; return the chunk that it completes, if any."""
        position, self.taken = self.taken, self.taken + 1
        address = str.strip(entry) if isinstance(entry, str) else entry
        fault = address_fault(address)
        if fault is not None:
            self.invalid.append(
                InvalidRecipient(position=position, text=_shown(entry), reason=fault)
            )
            return None
        return self._add(str(address))

    @property
    def room(self) -> int:
        """So many entries complete no more than one chunk."""
        return self.size - len(self._pending)

    def take(self, entries: Sequence[object]) -> CheckedRecipients | None:
        """Take at most `room` entries; return the chunk that they complete, if any."""
        found = None
        for start in range(0, len(entries), _PART):
            part = entries[start : start + _PART]
            if not self._take_all(part):
                for entry in part:
                    found = self.feed(entry) or found
        return found or (None if self.room else self.flush())

    def _take_all(self, entries: Sequence[object]) -> bool:
        """Take them at once, if all are addresses of people who have not come before."""
        if len(entries) < _FEW or {*map(type, entries)} != {str}:
            return False
        addresses = [*map(str.strip, cast("Sequence[str]", entries))]
        people = {*map(person, addresses)}
        is_new = len(people) == len(addresses) and self._seen.isdisjoint(people)
        if not (is_new and surely_addresses(addresses)):
            return False
        self.taken += len(entries)
        self._seen |= people
        self._pending += addresses
        return True

    def flush(self) -> CheckedRecipients | None:
        """Return what is left as a last chunk, if anything is."""
        chunk, self._pending = CheckedRecipients(self._pending), []
        return chunk or None

    def _add(self, address: str) -> CheckedRecipients | None:
        key = person(address)
        if key in self._seen:
            self.duplicates += 1
            return None
        self._seen.add(key)
        self._pending.append(address)
        return self.flush() if len(self._pending) >= self.size else None


def _shown(entry: object) -> str:
    if isinstance(entry, str):
        return entry
    try:
        return repr(entry)[:80]
    except Exception:  # a number of more digits than Python writes, or a class of the caller's
        return f"<{type(entry).__name__}>"


def chunks(batcher: Batcher, entries: Iterable[object]) -> Iterator[CheckedRecipients]:
    """Feed all `entries` and yield the chunks, the last one included."""
    source = iter(entries)
    while some := [*islice(source, batcher.room)]:
        if (chunk := batcher.take(some)) is not None:
            yield chunk
    if (last := batcher.flush()) is not None:
        yield last
