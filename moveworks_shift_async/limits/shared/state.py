"""One budget for several processes: the arithmetic of a gate, and who holds which slot. Pure.

Theory of operation. A `SharedState` is what all processes know together: the window with its rate,
the processes that share it, and whose each request in flight is. One process at a time has the
state open, changes it and puts it back; `as_json` and `restored` make it plain values and back.

Turns. Whoever opens the state first could take every free slot, and the others would wait for
ever. So while several wait, the one that was served longest ago has the turn, for its part of what
is free. The others let it go first, but not for long: the next may take a free slot after one
`Pace.grace`, the one after it after two. A process that does not come for its turn costs no more.

The dead. A process that ended without giving its slots back may have told the server anything. Its
requests count as answered at the moment it was found dead: one window later the slots are free.
"""

from __future__ import annotations

import math
from typing import Any

from attrs import asdict, define, field, frozen

from ..adaptive_window import AdaptiveWindow
from ..priority import TIMES_PASSED_OVER
from ..window import Quota, Slot

# A turn is at least this part of the budget, 4 of 120: each change of turn may cost a grace.
LEAST_TURN = 30


@frozen
class Pace:
    """How quickly processes come for a slot: as a file lets them, unless said otherwise."""

    #: Seconds that a free slot is left to the process whose turn it is. Its timer rings at the same
    #: moment as ours; a busy event loop of its own is what we wait for.
    grace: float = 0.002
    #: Seconds after which a process that says it waits, but does not come to look, has no turn. It
    #: comes four times in that time when all is well (`step.POLL`).
    attentive: float = 1.0


@define
class Member:
    """A process that shares the budget."""

    #: As its store tells it from others; see `Store.identity`.
    identity: str
    #: When it had the state open last.
    seen: float
    #: Calls of it that wait for a slot.
    waiting: int = 0
    #: The priority of the first of them, 0 the most urgent; all alike where nobody says.
    urgency: int = 0
    #: Slots that went to others more urgent while it waited.
    passed: int = 0
    #: When it used up its last turn. 0: never.
    served: float = 0.0
    #: Slots left of its turn.
    turn: int = 0
    #: Since when it leaves a free slot to others.
    yields: float | None = None
    #: How much news of it the state has, where it brings them by their number.
    heard: int = 0


@define
class SharedState:
    """What the processes know together. Times are seconds of a clock that all of them read."""

    #: What the times count from; see `Store.epoch`.
    epoch: str
    #: Stands for base URL and credential, which cannot be read from it.
    organisation: str
    window: AdaptiveWindow
    members: dict[int, Member] = field(factory=dict)
    #: Whose each request in flight is: slot to member.
    owners: dict[int, int] = field(factory=dict)
    last_member: int = 0
    pace: Pace = field(factory=Pace)

    @classmethod
    def of(cls, epoch: str, organisation: str, quota: Quota, pace: Pace) -> SharedState:
        """One that nobody shares yet."""
        window = AdaptiveWindow.of(quota.budget, quota.per, quota.max_in_flight)
        return cls(epoch, organisation, window, pace=pace)

    def enter(self, identity: str, now: float) -> int:
        """A process comes in; its number."""
        self.last_member += 1
        self.members[self.last_member] = Member(identity, now)
        return self.last_member

    def number_of(self, identity: str) -> int | None:
        """The number of the process, if it is in: nobody else has had it meanwhile."""
        found = (number for number, one in self.members.items() if one.identity == identity)
        return next(found, None)

    def follow(self, now: float) -> None:
        """Move every moment if the clock was set back; before anything else is asked."""
        back = self.window.follow(now)
        for member in self.members.values() if back else ():
            member.seen -= back
            member.served -= back
            member.yields = None

    def hold(self, slot: Slot, number: int, now: float) -> None:
        """This process has a request of the slot in flight, whatever was forgotten of it."""
        self.window.hold(slot, now)
        self.owners[slot.id] = number

    def leave(self, number: int, now: float) -> None:
        """A process goes, or was found dead; what it has in flight counts as answered now."""
        self.members.pop(number, None)
        for taken in [slot for slot, owner in self.owners.items() if owner == number]:
            del self.owners[taken]
            self.window.lost(Slot(taken, now), now)

    def wait(self, number: int, max_in_flight: int, now: float) -> float:
        """Seconds until this process may start one more; infinite while only an answer can tell."""
        member, wait = self.members[number], self.window.wait(now)
        if wait > 0 or self._in_flight(number) >= max_in_flight:
            member.yields = None
            if member.turn:  # it has had what was free; the rest of its turn lapses
                member.turn, member.served = 0, now
            return wait or math.inf
        before = self.rank(number, now)
        if not before:
            return 0.0
        if member.yields is None:
            member.yields = now
        return max(0.0, member.yields + before * self.pace.grace - now)

    def rank(self, number: int, now: float) -> int:
        """How many others that wait have their turn before this process.

        The more urgent first, unless they were before it too often; then who was served longest
        ago.
        """
        own = self._turn_of(number)
        return sum(self._turn_of(other) < own for other, _ in self._rivals(number, now))

    def _turn_of(self, number: int) -> tuple[bool, int, float, int]:
        member = self.members[number]
        in_turn = member.passed < TIMES_PASSED_OVER
        return in_turn, member.urgency if in_turn else 0, member.served, number

    def start(self, number: int, now: float) -> Slot:
        """This process takes a slot. Only when `wait` has said 0."""
        member = self.members[number]
        if member.turn <= 0:
            budget = self.window.quota.budget
            free = budget - self.window.window.used
            part = free // (1 + len(self._rivals(number, now)))
            member.turn = max(1, part, budget // LEAST_TURN)
        for _, rival in self._rivals(number, now):
            rival.passed += rival.urgency > member.urgency
        member.turn -= 1
        member.yields, member.passed = None, 0
        if not member.turn:
            member.served = now
        slot = self.window.start(now)
        self.owners[slot.id] = number
        return slot

    def end(self, slot: Slot) -> None:
        """The request of the slot is in flight no more."""
        self.owners.pop(slot.id, None)

    def as_json(self) -> dict[str, Any]:
        """Everything, as numbers, text, lists and dicts, for JSON."""
        return {
            "epoch": self.epoch,
            "organisation": self.organisation,
            "quota": [self.window.quota.budget, self.window.quota.per],
            "window": self.window.state(),
            "members": [[number, asdict(member)] for number, member in self.members.items()],
            "owners": list(self.owners.items()),
            "last_member": self.last_member,
        }

    @classmethod
    def restored(cls, state: dict[str, Any], pace: Pace) -> SharedState:
        """The one whose `state` this was."""
        budget, per = state["quota"]
        return cls(
            state["epoch"],
            state["organisation"],
            AdaptiveWindow.restored(Quota(budget, per, budget), state["window"]),
            {number: Member(**member) for number, member in state["members"]},
            dict(state["owners"]),
            state["last_member"],
            pace,
        )

    def _in_flight(self, number: int) -> int:
        return sum(owner == number for owner in self.owners.values())

    def _rivals(self, number: int, now: float) -> list[tuple[int, Member]]:
        """The others that wait and come to look."""
        return [
            (other, member)
            for other, member in self.members.items()
            if other != number and member.waiting and now - member.seen < self.pace.attentive
        ]
