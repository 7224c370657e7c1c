"""One budget for several processes: the arithmetic of a gate, and who holds which slot. Pure.

Theory of operation. A `SharedState` is what all processes know together: the window with its rate,
the processes that share it, and whose each request in flight is. One process at a time has the
state open, changes it and puts it back; `as_json` and `restored` make it plain values and back.

Turns. Whoever opens the state first could take every free slot, and the others would wait for
ever. So while several wait, the one that was served longest ago has the turn, for its part of what
is free. The others let it go first, but not for long: the next may take a free slot after one
`GRACE`, the one after it after two. A process that does not come for its turn costs no more than
that.

The dead. A process that ended without giving its slots back may have told the server anything. Its
requests count as answered at the moment it was found dead: one window later the slots are free.
"""

from __future__ import annotations

import math
from typing import Any

from attrs import asdict, define, field

from ..adaptive_window import AdaptiveWindow
from ..window import Quota, Slot

# A turn is at least this part of the budget, 4 of 120: each change of turn may cost a `GRACE`.
LEAST_TURN = 30
# Seconds that a free slot is left to the process whose turn it is. Its timer rings at the same
# moment as ours; a busy event loop of its own is what we wait for.
GRACE = 0.002
# Seconds after which a process that says it waits, but does not come to look, has no turn. It
# comes four times in that time when all is well (`step.POLL`).
ATTENTIVE = 1.0


@define
class Member:
    """A process that shares the budget."""

    #: As its store tells it from others; see `Store.identity`.
    identity: str
    #: When it had the state open last.
    seen: float
    #: Calls of it that wait for a slot.
    waiting: int = 0
    #: When it used up its last turn. 0: never.
    served: float = 0.0
    #: Slots left of its turn.
    turn: int = 0
    #: Since when it leaves a free slot to others.
    yields: float | None = None


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

    @classmethod
    def of(cls, epoch: str, organisation: str, budget: int, per: float) -> SharedState:
        """One that nobody shares yet."""
        return cls(epoch, organisation, AdaptiveWindow.of(budget, per, budget))

    def enter(self, identity: str, now: float) -> int:
        """A process comes in; its number."""
        self.last_member += 1
        self.members[self.last_member] = Member(identity, now)
        return self.last_member

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
        before = sum(
            (one.served, other) < (member.served, number)
            for other, one in self._rivals(number, now)
        )
        if not before:
            return 0.0
        if member.yields is None:
            member.yields = now
        return max(0.0, member.yields + before * GRACE - now)

    def start(self, number: int, now: float) -> Slot:
        """This process takes a slot. Only when `wait` has said 0."""
        member = self.members[number]
        if member.turn <= 0:
            budget = self.window.quota.budget
            free = budget - self.window.window.used
            part = free // (1 + len(self._rivals(number, now)))
            member.turn = max(1, part, budget // LEAST_TURN)
        member.turn -= 1
        member.yields = None
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
    def restored(cls, state: dict[str, Any]) -> SharedState:
        """The one whose `state` this was."""
        budget, per = state["quota"]
        return cls(
            state["epoch"],
            state["organisation"],
            AdaptiveWindow.restored(Quota(budget, per, budget), state["window"]),
            {number: Member(**member) for number, member in state["members"]},
            dict(state["owners"]),
            state["last_member"],
        )

    def _in_flight(self, number: int) -> int:
        return sum(owner == number for owner in self.owners.values())

    def _rivals(self, number: int, now: float) -> list[tuple[int, Member]]:
        """The others that wait and come to look."""
        return [
            (other, member)
            for other, member in self.members.items()
            if other != number and member.waiting and now - member.seen < ATTENTIVE
        ]
