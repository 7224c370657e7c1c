"""Counting what all runs of a job have done, now and then: a store reads every chunk for it."""

from __future__ import annotations

from attrs import define, field

from ...clock import Clock
from ..store.ports import RunStore
from .progress import Tally

# Seconds between two counts, and how many times longer than a count that is at least.
_EVERY, _COUNTING = 5.0, 50.0


@define(eq=False, repr=False)
class Counting:
    """When the counts of other processes were looked at last."""

    _store: RunStore
    _tally: Tally
    _clock: Clock
    _next: float = field(default=0.0, init=False)

    @property
    def is_due(self) -> bool:
        """Whether the last count is old enough."""
        return self._clock.now() > self._next

    async def count(self) -> None:
        """Take over what other processes have done as well. Raises `JournalError`."""
        began = self._clock.now()
        if (totals := await self._store.totals()) is not None:
            self._tally.recount(totals)
        now = self._clock.now()
        self._next = now + max(_EVERY, _COUNTING * (now - began))
