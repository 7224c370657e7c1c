"""What a process brings to the state of a gate in a database, and takes from it. Pure.

A turn is done in one transaction, and again if the answer to its commit was lost: it is the same
when it is done twice. Slots that the state says are ours and that nobody here has are given back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf

from attrs import define, field

from ...clock import awake
from ..window import Slot
from .join import remove_dead
from .state import SharedState
from .store import Place

#: A change of the state at a time of its clock. Done twice, it is the same as once.
News = Callable[[SharedState, float], None]


@define(eq=False)
class Turn:
    """One process's turn. `take` fills in what came of it."""

    identity: str
    #: The process in the state, as of its last turn.
    number: int
    max_in_flight: int
    news: Sequence[News]
    #: Slots that this process has, those granted before included.
    mine: Collection[int]
    #: Calls of each priority that wait for a slot, the most urgent first.
    waiting: Sequence[int]
    #: When it began, as `clock.awake` says.
    began: float = field(factory=awake, init=False)
    granted: list[Slot] = field(factory=list, init=False)
    #: Seconds until a slot may be had; infinite while only an answer can tell, or nobody waits.
    wait: float = field(default=inf, init=False)

    def take(self, state: SharedState, place: Place) -> None:
        """Change the state."""
        now = place.now()
        if self.number in state.members:
            state.members[self.number].seen = now
        else:  # new, or it was taken for dead
            self.number = state.enter(self.identity, now)
        remove_dead(state, place)
        for change in self.news:
            change(state, now)
        self._give_back(state, now)
        self._grant(state, now)

    def _give_back(self, state: SharedState, now: float) -> None:
        forgotten = [
            slot for slot, owner in state.owners.items()
            if owner == self.number and slot not in self.mine
        ]  # fmt: skip
        for slot in forgotten:
            state.window.unused(Slot(slot, now), now)
            state.end(Slot(slot, now))

    def _grant(self, state: SharedState, now: float) -> None:
        self.granted.clear()
        left = [*self.waiting]
        while self._ask(state, left, now) <= 0:
            self.granted.append(state.start(self.number, now))
            first = next(place for place, count in enumerate(left) if count)
            left[first] -= 1
        if self.wait < inf:
            rank = state.rank(self.number, now)
            self.wait = max(self.wait, state.window.least_wait(now, rank))

    def _ask(self, state: SharedState, left: Sequence[int], now: float) -> float:
        member = state.members[self.number]
        member.waiting = sum(left)
        member.urgency = next((place for place, count in enumerate(left) if count), len(left))
        self.wait = state.wait(self.number, self.max_in_flight, now) if member.waiting else inf
        return self.wait
