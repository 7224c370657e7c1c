"""The ends of requests, written down: at once, or at the end of the run where the disk was full."""

from __future__ import annotations

from attrs import define, field

from ...call import Call
from ...clock import Clock
from ...errors import JournalError, MoveworksError
from ..records import Chunk, Settlement
from ..store.ports import Parts, RunStore
from .settlement import settlement_of


@define(eq=False, repr=False)
class Ends:
    """Of one run."""

    _store: RunStore
    _clock: Clock
    #: Requests that isolating may still add.
    _isolate: int
    #: What the disk did not take, with the halves of a list that was divided.
    _unwritten: list[tuple[Settlement, Parts]] = field(factory=list, init=False)

    async def settle(
        self, chunk: Chunk, call: Call, error: MoveworksError | None, *, met_nothing: bool
    ) -> Settlement | None:
        """What became of it, once that is on the disk; None: the chunk is another run's by now.

        Raises `JournalError`, and keeps it for `write_rest`.
        """
        step, parts = settlement_of(
            chunk,
            error,
            self._clock.utcnow().timestamp(),
            met_nothing=met_nothing,
            requests=call.requests,
            throttled=call.throttled,
            isolate=self._isolate,
        )
        self._isolate -= len(parts)
        try:
            settled = await self._store.settle(step, parts)
        except JournalError:
            self._unwritten.append((step, parts))
            raise
        return step if settled else None

    async def write_rest(self) -> int:
        """There may be room by now; how many stay `sending` for want of it."""
        lost = 0
        for step, parts in self._unwritten:
            try:
                await self._store.settle(step, parts)
            except JournalError:
                lost += 1
        return lost
