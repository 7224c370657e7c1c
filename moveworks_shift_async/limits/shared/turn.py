"""What a process brings to the state of a gate in a database, and takes from it. Pure.

A turn is one transaction. A commit whose answer was lost may count or not, so the next turn brings
the same again: the state knows how much news it has heard of each process. Slots that the state
says are ours and that nobody here has are given back; those that we have and that it forgot, as it
took us for dead or was failed over, it holds again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf

from attrs import define, field

from ..window import Slot
from .join import remove_dead
from .state import SharedState
from .store import Place

#: A change of the state at a time of its clock.
News = Callable[[SharedState, float], None]


@define(eq=False)
class Turn:
    """One process's turn. `take` fills in what came of it."""

    #: The process in the state.
    number: int
    max_in_flight: int
    #: How much news the process has brought before, and what it brings now.
    told: int
    news: Sequence[News]
    #: Slots that this process has, those granted before included.
    mine: Collection[Slot]
    #: Calls of each priority that wait for a slot, the most urgent first.
    waiting: Sequence[int]
    granted: list[Slot] = field(factory=list, init=False)
    #: Seconds until a slot may be had; infinite while only an answer can tell, or nobody waits.
    wait: float = field(default=inf, init=False)

    def take(self, state: SharedState, place: Place) -> None:
        """Change the state."""
        now = place.now()
        state.members[self.number].seen = now
        remove_dead(state, place)
        self._tell(state, now)
        self._agree(state, now)
        self._grant(state, now)

    def _tell(self, state: SharedState, now: float) -> None:
        member = state.members[self.number]
        for change in self.news[max(0, member.heard - self.told) :]:
            change(state, now)
        member.heard = self.told + len(self.news)

    def _agree(self, state: SharedState, now: float) -> None:
        """Let the state hold the slots that are this process's, and no others for it."""
        mine = {slot.id for slot in self.mine}
        for taken in [slot for slot, owner in state.owners.items() if owner == self.number]:
            if taken not in mine:
                state.window.unused(Slot(taken, now), now)
                state.end(Slot(taken, now))
        for slot in self.mine:
            state.hold(slot, self.number, now)

    def _grant(self, state: SharedState, now: float) -> None:
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
