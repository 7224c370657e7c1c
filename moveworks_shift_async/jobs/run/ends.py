"""The ends of requests, written down: at once, or at the end of the run where the disk was full."""

from __future__ import annotations

from attrs import define, field

from ...errors import JournalError
from ..records import Settlement
from ..store.ports import Parts, RunStore


@define(eq=False, repr=False)
class Ends:
    """Of one run."""

    _store: RunStore
    #: What the disk did not take, with the halves of a list that was divided.
    _unwritten: list[tuple[Settlement, Parts]] = field(factory=list, init=False)

    async def settle(self, step: Settlement, parts: Parts) -> bool:
        """It is on the disk when this returns; False: the chunk is another run's by now.

        Raises `JournalError`, and keeps it for `write_rest`.
        """
        try:
            return await self._store.settle(step, parts)
        except JournalError:
            self._unwritten.append((step, parts))
            raise

    async def write_rest(self) -> int:
        """There may be room by now; how many stay `sending` for want of it."""
        lost = 0
        for step, parts in self._unwritten:
            try:
                await self._store.settle(step, parts)
            except JournalError:
                lost += 1
        return lost
