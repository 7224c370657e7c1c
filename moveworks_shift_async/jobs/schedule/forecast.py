"""When so many requests will have left, and when their messages will have been shown. Pure.

The requests of a rate window leave at once, as early as a window of the schedule allows it; the
next ones follow a rate window later, or where the schedule opens again. Nothing is assumed of
answers, refusals or waits: no run is quicker.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import frozen

from ...text import plural
from .schedule import Schedule

# A job that takes longer is nobody's plan.
_LONGEST = timedelta(days=730)


@frozen
class Spell:
    """Bursts of one opening of the schedule, a rate window apart."""

    first: datetime
    last: datetime
    bursts: int


@frozen(kw_only=True)
class Forecast:
    """What a job will do, by its schedule."""

    spells: tuple[Spell, ...]
    #: Requests that cannot leave in time; or, without a last moment, within two years.
    late: int

    @property
    def begins(self) -> datetime | None:
        """When the first request leaves; None: none does."""
        return self.spells[0].first if self.spells else None

    @property
    def ends(self) -> datetime | None:
        """When the last of those that can leave does."""
        return self.spells[-1].last if self.spells else None

    def shown(self, messages: float, paces: Mapping[str, float]) -> dict[str, datetime]:
        """When each platform has shown so many, at its pace in messages a minute.

        The vendor delivers what it has, whatever the schedule says, so this may lie outside of it.
        """
        bursts = sum(spell.bursts for spell in self.spells)
        if not bursts:
            return {}
        each = messages / bursts
        return {name: self._shown(each, bursts, 60 / pace) for name, pace in paces.items()}

    def _shown(self, each: float, left: int, seconds: float) -> datetime:
        """What comes from a moment on cannot be shown before it: the latest such bound is it."""
        ends = self.spells[0].first
        for spell in self.spells:
            whole = spell.first + timedelta(seconds=each * left * seconds)
            left -= spell.bursts - 1
            rest = spell.last + timedelta(seconds=each * left * seconds)
            left -= 1
            ends = max(ends, whole, rest)
        return ends


def forecast(schedule: Schedule, now: datetime, requests: int, budget: int, per: float) -> Forecast:
    """Of so many requests from `now` on, `budget` in `per` seconds."""
    at, left, spells = now, -(-requests // budget), list[Spell]()
    while left and (opens := schedule.opens(at)) is not None:
        if spells and opens - spells[0].first > _LONGEST:
            break
        closes = schedule.closes(opens)
        fit = left
        if closes is not None:
            fit = min(left, max(1, -(-(closes - opens) // timedelta(seconds=per))))
        spells.append(Spell(opens, opens + timedelta(seconds=(fit - 1) * per), fit))
        left, at = left - fit, opens + timedelta(seconds=fit * per)
    sent = (-(-requests // budget) - left) * budget
    return Forecast(spells=tuple(spells), late=max(0, requests - sent))


def said(found: Forecast, schedule: Schedule, now: datetime) -> str:
    """A forecast in words: when it begins, when it ends, and what is not done in time."""
    if found.begins is None or found.ends is None:
        return f"nothing can be sent: {schedule.why_closed(now)}"
    begins = "" if found.begins == now else f"begins {schedule.shown(found.begins)}, "
    late = f"; {plural(found.late, 'request')} not in time" if found.late else ""
    return f"{begins}ends at the earliest {schedule.shown(found.ends)}{late}"
