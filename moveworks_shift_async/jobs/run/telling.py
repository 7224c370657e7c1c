"""What holds a run, for whoever looks at the job: while it does, and once it is over."""

from __future__ import annotations

from attrs import define, field

from ...clock import Clock
from ..store.ports import RunStore
from .holds import Hold, Holds


@define(eq=False, repr=False)
class Telling:
    """Writes it down beside the run, and among the events of the job. Never waits or raises."""

    _store: RunStore
    _owner: str
    _clock: Clock
    _holds: Holds
    #: What the store was told last.
    _told: Hold | None = field(default=None, init=False)

    def tell(self) -> None:
        """Let others see what holds this run now."""
        hold = self._holds.first
        if hold != self._told:
            self._told = hold
            held = None if hold is None else hold.held(self._clock.now(), self._wall())
            self._store.hold(self._owner, held)

    def note(self, ended: Hold) -> None:
        """It does not hold it any more, or the run ends."""
        self._store.note(ended.event(self._clock.now(), self._wall()))

    def _wall(self) -> float:
        return self._clock.utcnow().timestamp()
