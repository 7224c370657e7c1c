"""The time by which a job keeps its schedule, and what the schedule says of this moment."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import define

from ...clock import Clock
from ..store.ports import RunStore
from .holds import Holds, Look

# Seconds: a run that is not to wait for windows waits for one that is as near as this.
_NEAR = 60.0


@define(eq=False, repr=False)
class Hours:
    """Reads the time anew whenever it is asked: a machine may have slept, its clock have jumped."""

    _store: RunStore
    _clock: Clock
    _holds: Holds
    #: For a window; without it one that opens later than soon is the end.
    _stays: bool

    def now(self) -> datetime:
        """The store's time, which is one for all workers of a job, or this machine's.

        Where it is known to lie between two, the one at which nothing may leave is meant: nothing
        leaves too early, and nothing too late.
        """
        if (found := self._store.time()) is None:
            return self._clock.utcnow()
        earliest, latest = (datetime.fromtimestamp(time, UTC) for time in found)
        return latest if self._holds.schedule.allows(earliest) else earliest

    def why_not(self) -> str | None:
        """Why nothing may leave at this moment; None: it may."""
        return self._holds.schedule.why_closed(self.now())

    def look(self) -> Look:
        """What begins or ends now."""
        near = None if self._stays else _NEAR
        return self._holds.look(self._clock.now(), self.now(), self._clock.utcnow(), near)

    def next_look(self, usual: float) -> float:
        """Seconds until then: it opens to the moment, and is looked at half as often meanwhile."""
        if (closed := self._holds.closed) is None or closed.until is None:
            return usual
        return min(2 * usual, max(0.001, (closed.until - self.now()).total_seconds()))
