"""People with their texts -> chunks of one text each, in bounded memory.

Theory of operation. A group that is full is a chunk at once. With many texts most groups wait for
more people; when too many people wait, all of them go into the buckets of a nameless file, by
their text's number, and the groups begin anew. At the end the people of each bucket are
grouped again, so a text never takes more chunks than its people need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field

from ...sending.batcher import CHUNK_SIZE
from .spool import BUCKETS, Buckets

#: Text's number and addresses, at most 500.
Cut = tuple[int, list[str]]

# People that wait in memory for their chunk to fill: about 20 MB.
_WAITING = 200_000


@define(eq=False, repr=False)
class Groups:
    """Takes people in order, gives back chunks."""

    #: In a file that is open for whom it cannot keep in memory.
    _buckets: Buckets = field(converter=Buckets)
    _waiting: int = 0
    _groups: dict[int, list[str]] = field(factory=dict)
    _spilled: bool = False

    def add(self, addresses: Sequence[str], texts: Sequence[int]) -> list[Cut]:
        """Take people, each with the number of her text; the chunks that they fill."""
        full = [*_fill(self._groups, addresses, texts)]
        self._waiting += len(addresses) - CHUNK_SIZE * len(full)
        if self._waiting > _WAITING:
            self._spill()
        return full

    def rest(self) -> Iterator[Cut]:
        """The chunks of everybody who still waits."""
        if not self._spilled:
            yield from self._groups.items()
            return
        self._spill()
        for bucket in range(BUCKETS):
            lines = [line.partition("\t") for line in self._buckets.take(bucket)]
            groups: dict[int, list[str]] = {}
            people, texts = [line[2] for line in lines], [int(line[0]) for line in lines]
            yield from _fill(groups, people, texts)
            yield from groups.items()

    def _spill(self) -> None:
        for text, people in self._groups.items():
            lines = [f"{text}\t{address}" for address in people]
            self._buckets.add(bytes([text % BUCKETS]) * len(lines), lines)
        self._groups.clear()
        self._waiting, self._spilled = 0, True


def _fill(
    groups: dict[int, list[str]], addresses: Sequence[str], texts: Sequence[int]
) -> Iterator[Cut]:
    """Put people into the groups of their texts; a group that is full leaves."""
    for address, text in zip(addresses, texts, strict=True):
        group = groups.setdefault(text, [])
        group.append(address)
        if len(group) == CHUNK_SIZE:
            yield text, groups.pop(text)


def cut(waiting: list[str], addresses: Sequence[str]) -> list[Cut]:
    """The chunks of a job with one text; `waiting` keeps whom the next chunk begins with."""
    waiting += addresses
    whole = len(waiting) - len(waiting) % CHUNK_SIZE
    chunks = [(0, waiting[at : at + CHUNK_SIZE]) for at in range(0, whole, CHUNK_SIZE)]
    del waiting[:whole]
    return chunks
