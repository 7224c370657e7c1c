"""A second place for the state of a shared gate: memory, with a clock of its own.

What `limits.shared.store.Store` asks for is enough: no file, no process's number, and no time of
this machine is needed. A member lives as long as it is heard of.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

from attrs import define, field

from moveworks_shift_async.clock import Clock
from moveworks_shift_async.errors import ConfigurationError
from moveworks_shift_async.limits.shared.gate import SharedGate
from moveworks_shift_async.limits.shared.state import Pace
from moveworks_shift_async.limits.shared.store import Busy

# Seconds that its clock is ahead of the machine's.
AHEAD = 1e6
# Seconds of silence after which a member is dead.
LEASE = 3600.0


@define(eq=False)
class Row:
    """What all members change in turn."""

    text: str = ""
    taken: bool = False
    members: int = 0


_rows: dict[Hashable, Row] = {}


@define(eq=False)
class MemoryStore:
    """One member's way to the row."""

    place: str
    _clock: Clock
    kind: str = "row"
    pace: Pace = field(factory=Pace)
    _row: Row = field(init=False)
    _number: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._row = _rows.setdefault(self.place, Row())
        self._row.members += 1
        self._number = self._row.members

    def begin(self, patience: float) -> str:
        """Take the row, if nobody has it."""
        if self._row.taken:
            raise Busy(f"somebody has held {self.place}")
        self._row.taken = True
        return self._row.text

    def commit(self, text: str) -> None:
        """Write it and let go."""
        self._row.text, self._row.taken = text, False

    def rollback(self) -> None:
        """Let go."""
        self._row.taken = False

    def close(self) -> None:
        """Nothing is open."""

    def now(self) -> float:
        """Its own clock."""
        return self._clock.now() + AHEAD

    def epoch(self) -> str:
        """It never begins anew."""
        return "memory"

    def identity(self) -> str:
        """The number of this member."""
        return str(self._number)

    def alive(self, identity: str, silent: float) -> bool:
        """Nobody sees whether a member lives; its silence tells."""
        return silent < LEASE

    def damaged(self) -> ConfigurationError:
        """Nobody else writes to it."""
        return ConfigurationError(f"{self.place} is no gate")


def memory_gate(place: str, clock: Clock) -> SharedGate:
    """A gate whose state is in memory, shared by all that name this place."""
    return SharedGate(f"the gate row {place}", partial(MemoryStore, place, clock), clock)
