"""Why a run starts nothing now, although it is not at its end. Pure: the time comes in.

One place for all that holds a run: somebody has paused it, the server is away. What it waits for
otherwise (the rate limit, the disk) lets chunks start, and each of them waits for itself.
"""

from __future__ import annotations

from attrs import define, field, frozen

from ...sending.breaker import Breaker
from ...text import duration
from ..records import Event, Held, Incident


@frozen(kw_only=True)
class Hold:
    """Nothing new starts."""

    incident: Incident
    #: When it began, by the clock's own time.
    since: float
    reason: str = ""

    def said(self, now: float) -> str:
        """As a line for people."""
        if self.incident is Incident.PAUSED:
            return "paused from another terminal"
        waited = duration(now - self.since)
        return f"waiting for the server for {waited} so far: {self.reason}"

    def held(self, now: float, wall: float) -> Held:
        """For whoever looks at the job, while it holds; times as in `event`."""
        return Held(by=self.incident, since=wall - (now - self.since), why=self.reason)

    def event(self, now: float, wall: float) -> Event:
        """For the account, once it ends at `now`, which is `wall` in seconds since 1970."""
        lasted = now - self.since
        return Event(at=wall - lasted, incident=self.incident, seconds=lasted, reason=self.reason)


@define(eq=False)
class Holds:
    """What holds one run."""

    breaker: Breaker = field(factory=Breaker, init=False)
    pause: Hold | None = field(default=None, init=False)

    @property
    def outage(self) -> Hold | None:
        """The server is away."""
        if (since := self.breaker.since) is None:
            return None
        return Hold(incident=Incident.OUTAGE, since=since, reason=self.breaker.reason)

    @property
    def all(self) -> list[Hold]:
        """All of them; the first is the one to tell of."""
        return [hold for hold in (self.pause, self.outage) if hold is not None]

    def may_start(self, under_way: int) -> bool:
        """Whether one more chunk may start while so many are under way.

        While the server is away one may, now and then: it is the probe that ends the outage.
        """
        return self.pause is None and self.breaker.may_start(under_way)

    def paused(self, now: float) -> bool:
        """Somebody wants it paused; False: it was already."""
        if self.pause is not None:
            return False
        self.pause = Hold(incident=Incident.PAUSED, since=now)
        return True

    def goes_on(self) -> Hold | None:
        """Somebody wants it to go on; the pause that ends by it, if there was one."""
        ended, self.pause = self.pause, None
        return ended
