"""How far a send is, and what it waits for, as values. Pure: the counts and the gate come in."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime

from attrs import define, field, frozen

from ...limits.window import GateSnapshot
from ...settings import RateLimit
from ...text import duration, people, plural
from ..records import Settlement, State, Total
from ..store.first import Chosen
from .stop_if import RunCounts

# Seconds over which the rate of now is counted: the vendor's own window.
_MINUTE = 60.0


@frozen(kw_only=True)
class JobProgress:
    """One moment of a send. Counts are people unless said otherwise."""

    total: int
    told: int
    rejected: int
    unknown: int
    #: HTTP requests made.
    requests: int
    #: Answers 429 among them.
    throttled: int
    #: Those that ended in the last minute.
    last_minute: int
    #: Requests a minute that the rate limit lets through now.
    allowed_a_minute: float
    #: Nobody is left to wait for; some may not have been sent to.
    finished: bool
    #: Seconds since this run began.
    elapsed: float
    #: Seconds; None where nothing tells.
    left: float | None
    #: What it is waiting for.
    why: str
    #: Of a run for the first ones: how many people will be `done` when it ends; None: `total`.
    goal: int | None = None
    #: Until when, where that is known, in seconds since 1970: a window opens then.
    waits_until: float | None = None

    @property
    def done(self) -> int:
        """People whose requests have ended."""
        return self.told + self.rejected + self.unknown

    @property
    def expected(self) -> int:
        """How many people will be `done` when this run ends."""
        return self.total if self.goal is None else self.goal

    def counts(self) -> str:
        """`told 1,000, rejected 0, unknown 0; 2 requests, 2 in the last minute`, and the limit."""
        return (
            f"told {self.told:,}, rejected {self.rejected:,}, unknown {self.unknown:,};"
            f" {plural(self.requests, 'request')}, {self.last_minute} in the last minute,"
            f" from now on at most {self.allowed_a_minute:.0f} a minute"
        )

    def confined(self) -> str:
        """How many people a run for the first ones is still for; empty for others."""
        if self.goal is None:
            return ""
        if self.goal == self.done:
            return "nobody is left for this run: others have all who are planned"
        return f"sending to exactly {self.goal - self.done:,} of {people(self.total)} in this run"

    def time_left(self) -> str:
        """`12 s left`, or nothing."""
        if self.left is None or self.finished:
            return ""
        return f"{duration(math.ceil(self.left))} left"


@define(eq=False)
class Tally:
    """The counts of a job while it runs."""

    total: int
    #: People by state.
    people: dict[State, int]
    #: Requests that are still to be made.
    to_send: int
    requests: int
    throttled: int
    #: When this run began, by the clock's own time.
    began: float
    #: Ends of requests that could not be written down.
    unwritten: int = 0
    #: Chunks that have ended in this run.
    ended: int = 0
    #: People whom a run for the first ones has still to send to; None: it is for all.
    _mine: int | None = None
    #: What this run alone has met: people by state, requests, and answers 429.
    _met: Counter[State | str] = field(factory=Counter)
    #: Tries of this run that have ended, whatever they met.
    _tries: int = 0
    _recent: deque[tuple[float, int]] = field(factory=deque, repr=False)
    #: When a call was last seen to wait for the gate.
    _gate_bound: float = -math.inf

    @classmethod
    def of(cls, totals: Sequence[Total], now: float) -> Tally:
        """Of a run that begins with these."""
        tally = cls(total=0, people={}, to_send=0, requests=0, throttled=0, began=now)
        tally.recount(totals)
        return tally

    def recount(self, totals: Sequence[Total]) -> None:
        """How the job stands now, whoever has sent it."""
        whole = [total for total in totals if total.state is not State.SPLIT]
        self.total = sum(total.people for total in whole)
        self.people = {state: sum(t.people for t in whole if t.state is state) for state in State}
        waiting = (State.PLANNED, State.SENDING)
        if self._mine is None:
            self.to_send = sum(total.chunks for total in whole if total.state in waiting)
        self.requests = sum(total.requests for total in totals)
        self.throttled = sum(total.throttled for total in totals)

    def confine(self, chosen: Chosen) -> None:
        """The run is for these alone."""
        self.to_send, self._mine = chosen.chunks, chosen.people

    def add(self, step: Settlement, people: int, now: float) -> None:
        """A request has ended."""
        self._tries += 1
        self._met.update(requests=step.requests, throttled=step.throttled)
        self.requests += step.requests
        self.throttled += step.throttled
        self._recent.append((now, step.requests))
        if step.state is State.SPLIT:
            self.to_send += 1
        elif step.state is not State.PLANNED:
            self.people[step.state] = self.people.get(step.state, 0) + people
            self._met[step.state] += people
            self._leave(people)
            self.ended += 1

    def lose(self, people: int) -> None:
        """Another run has a chunk of this one."""
        self._leave(people)

    def _leave(self, people: int) -> None:
        self.to_send -= 1
        if self._mine is not None:
            self._mine -= people

    @property
    def done(self) -> int:
        """People whose requests have ended, in all runs."""
        ended = (State.ACCEPTED, State.REJECTED, State.UNKNOWN)
        return sum(self.people.get(state, 0) for state in ended)

    def met(self) -> RunCounts:
        """What this run alone has met so far."""
        return RunCounts(
            accepted=self._met[State.ACCEPTED],
            rejected=self._met[State.REJECTED],
            unknown=self._met[State.UNKNOWN],
            left=self.total - self.done if self._mine is None else self._mine,
            ended=self.ended,
            requests=self._met["requests"],
            throttled=self._met["throttled"],
        )

    def last_minute(self, now: float) -> int:
        """Requests of this run that ended in the last minute."""
        while self._recent and self._recent[0][0] < now - _MINUTE:
            self._recent.popleft()
        return sum(count for _, count in self._recent)

    def progress(
        self,
        gate: GateSnapshot,
        limit: RateLimit,
        now: float,
        waits_for: str | None,
        *,
        under_way: int = 0,
        until: datetime | None = None,
    ) -> JobProgress:
        """This moment; `waits_for` wins over what the gate says.

        `under_way` are the chunks that were begun and whose end is not written yet: they hold a
        slot, or wait for one.
        """
        to_start = self.to_send - under_way + gate.waiting
        left = None if waits_for else time_left(self.to_send, to_start, gate, self._pace(gate, now))
        return JobProgress(
            total=self.total,
            told=self.people.get(State.ACCEPTED, 0),
            rejected=self.people.get(State.REJECTED, 0),
            unknown=self.people.get(State.UNKNOWN, 0),
            requests=self.requests,
            throttled=self.throttled,
            last_minute=self.last_minute(now),
            allowed_a_minute=allowed(gate, limit),
            finished=self.to_send <= 0,
            elapsed=now - self.began,
            left=left,
            why="" if self.to_send <= 0 else waits_for or why(gate, self._tries),
            goal=None if self._mine is None else self.done + self._mine,
            waits_until=None if until is None else until.timestamp(),
        )

    def _pace(self, gate: GateSnapshot, now: float) -> float | None:
        """Requests a second that have ended since the gate bound last; None: it does, or none."""
        if binds(gate):
            self._gate_bound = now
        since = max(self.began, self._gate_bound, now - _MINUTE)
        ended = sum(count for time, count in self._recent if time > since)
        return ended / (now - since) if ended else None


def allowed(gate: GateSnapshot, limit: RateLimit) -> float:
    """Requests a minute that the gate lets through."""
    return min(gate.rate, gate.budget / limit.per) * 60


def binds(gate: GateSnapshot) -> bool:
    """Whether it makes a call wait. Where slots are free, a burst only goes out bit by bit."""
    free = gate.mode == "burst" and gate.used < gate.budget
    return gate.paused_for > 0 or (gate.waiting > 0 and not free)


def time_left(to_send: int, to_start: int, gate: GateSnapshot, pace: float | None) -> float | None:
    """Seconds until the last request will have left; None where nothing tells.

    The gate tells while it binds; `to_start` requests have no slot of it yet. Else answers are
    what is waited for: `pace` of them come a second, or nobody knows.
    """
    least = gate.seconds_for(to_start)
    if binds(gate):
        return least or None
    return max(least or 0.0, to_send / pace) if pace else None


def why(gate: GateSnapshot, tries: int) -> str:
    """What the next request waits for, after so many tries."""
    if gate.paused_for > 0:
        return f"the server answered 429: going on in {duration(math.ceil(gate.paused_for))}"
    if gate.waiting and gate.mode != "burst" and gate.why:
        return f"{gate.mode} at {gate.rate * 60:.0f} requests a minute: {gate.why}"
    if binds(gate) and 0 < gate.next_in < math.inf:
        return f"waiting {math.ceil(gate.next_in)} s for the rate limit"
    if gate.in_flight:
        return f"waiting for answers: {gate.in_flight} in flight"
    return "waiting to try again after a failure" if tries else "starting"
