"""Why a run starts nothing now, although it is not at its end. Pure: the time comes in.

One place for all that holds a run: somebody has paused it, its schedule lets nothing leave, the
server is away. What it waits for otherwise (the rate limit, the disk) lets chunks start, and each
of them waits for itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import define, field, frozen

from ...sending.breaker import Breaker
from ...text import duration
from ..records import Event, Held, Incident
from ..schedule.schedule import Schedule


@frozen(kw_only=True)
class Hold:
    """Nothing new starts."""

    incident: Incident
    #: When it began, by the clock's own time.
    since: float
    reason: str = ""
    #: When it ends by itself; None: that is not known.
    until: datetime | None = None
    #: When it began, by the wall clock: a machine may have slept since. None: `since` says it.
    began: datetime | None = None
    #: The run does not wait for its end; another one will, or nobody.
    left: bool = False

    def said(self, now: float, wall: datetime) -> str:
        """As a line for people, at the moment that is `wall` for everybody."""
        if self.incident is Incident.PAUSED:
            return "paused from another terminal"
        if self.until is not None:
            left = max(timedelta(), self.until - wall)
            return f"{self.reason}; {duration(left.total_seconds())} to go"
        waited = duration(now - self.since)
        return f"waiting for the server for {waited} so far: {self.reason}"

    def held(self, now: float, wall: float) -> Held:
        """For whoever looks at the job, while it holds; times as in `event`."""
        until = None if self.until is None else self.until.timestamp()
        since = wall - (now - self.since) if self.began is None else self.began.timestamp()
        return Held(by=self.incident, since=since, until=until, why=self.reason)

    def event(self, now: float, wall: float) -> Event:
        """For the account, once it ends at `now`, which is `wall` in seconds since 1970.

        Of one that the run does not wait for, as long as it is to last.
        """
        if self.left and self.until is not None:
            wall = self.until.timestamp()
        lasted = now - self.since if self.began is None else wall - self.began.timestamp()
        return Event(at=wall - lasted, incident=self.incident, seconds=lasted, reason=self.reason)


@frozen(kw_only=True)
class Look:
    """What a look at the time has found."""

    #: The wait that has ended.
    opens: Hold | None = None
    #: Why it waits from now on.
    closes: str | None = None
    #: Why the run is to end.
    over: str | None = None


@define(eq=False)
class Holds:
    """What holds one run."""

    breaker: Breaker = field(factory=Breaker, init=False)
    pause: Hold | None = field(default=None, init=False)
    schedule: Schedule = field(factory=Schedule, init=False)
    #: The run ends: nothing starts any more.
    over: bool = field(default=False, init=False)
    #: The schedule lets nothing leave.
    closed: Hold | None = field(default=None, init=False)

    @property
    def outage(self) -> Hold | None:
        """The server is away."""
        if (since := self.breaker.since) is None:
            return None
        return Hold(incident=Incident.OUTAGE, since=since, reason=self.breaker.reason)

    @property
    def all(self) -> list[Hold]:
        """All of them, the most telling first."""
        return [hold for hold in (self.pause, self.closed, self.outage) if hold is not None]

    @property
    def first(self) -> Hold | None:
        """The one to tell of; None: nothing holds it."""
        return next(iter(self.all), None)

    def may_start(self, under_way: int) -> bool:
        """Whether one more chunk may start while so many are under way.

        While the server is away one may, now and then: it is the probe that ends the outage.
        """
        return self.pause is None and self.closed is None and self.breaker.may_start(under_way)

    def paused(self, now: float) -> bool:
        """Somebody wants it paused; False: it was already."""
        if self.pause is not None:
            return False
        self.pause = Hold(incident=Incident.PAUSED, since=now)
        return True

    def look(self, now: float, wall: datetime, here: datetime, near: float | None) -> Look:
        """What the schedule begins or ends at this moment.

        It is `wall` for everybody, and `here` for this machine, by whose clock events are noted.
        Whoever is not to wait does so for `near` seconds at most; None: for as long as it takes.
        """
        was, why = self.closed, self.schedule.why_closed(wall)
        if why is None:
            self.closed = None
            if was is not None:  # the time does not count as the server's absence
                self.breaker.rested(was.since, now)
            return Look(opens=was)
        until = self.schedule.opens(wall)
        if until is None:
            return Look(over=why)
        since, began = (now, here) if was is None else (was.since, was.began)
        far = near is not None and (until - wall).total_seconds() > near
        self.closed = Hold(
            incident=Incident.CLOSED, since=since, reason=why, until=until, began=began, left=far
        )
        return Look(over=why if far else None, closes=why if was is None else None)

    def goes_on(self) -> Hold | None:
        """Somebody wants it to go on; the pause that ends by it, if there was one."""
        ended, self.pause = self.pause, None
        return ended
