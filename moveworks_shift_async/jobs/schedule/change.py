"""What a plan or a run says of a schedule, in the place of what is kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from ...errors import InvalidInput
from .schedule import Schedule
from .window import Window
from .zones import aware, moment_of

#: `Mon-Fri 08:00-18:00 Europe/Berlin`, several of these, or `always`.
Windows: TypeAlias = str | Sequence[str]
#: `2026-12-01T09:00+01:00`, or without an offset by this machine's zone; a naive datetime as well.
When: TypeAlias = str | datetime
#: What takes away what is kept.
ALWAYS, AT_ONCE, NEVER = "always", "now", "never"


@frozen
class ScheduleChange:
    """Parts of a schedule that replace what is kept; the others stay."""

    parts: Mapping[str, Any] = field(factory=dict)
    #: Moments that were given without a zone, so that this machine's was taken.
    local: tuple[datetime, ...] = ()

    @classmethod
    def of(
        cls, now: datetime, window: Windows | None, at: When | None, not_after: When | None
    ) -> ScheduleChange:
        """None keeps what there is; raises `InvalidInput`."""
        parts: dict[str, Any] = {}
        local: list[datetime] = []
        if window is not None:
            texts = [window] if isinstance(window, str) else [*window]
            parts["windows"] = () if texts == [ALWAYS] else tuple(map(Window.of, texts))
        for name, given, none in (("not_before", at, AT_ONCE), ("not_after", not_after, NEVER)):
            if given is not None:
                parts[name] = None if given == none else _moment(given, now, local)
        return cls(parts, tuple(local))

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.parts)

    def applied(self, kept: Schedule) -> Schedule:
        """The schedule from now on; `InvalidInput` for one by which nothing could ever leave."""
        schedule = evolve(kept, **self.parts)
        first, last = schedule.not_before, schedule.not_after
        if first is not None and last is not None and first >= last:
            raise InvalidInput(
                f"not before {schedule.shown(first)} and not after {schedule.shown(last)}: nothing"
                " could be sent"
            )
        return schedule

    def new(self, now: datetime) -> Schedule:
        """The schedule of a new job; `InvalidInput` if nothing of it could be sent any more."""
        schedule = self.applied(Schedule())
        if schedule.opens(now) is None:
            why = schedule.why_closed(now)
            raise InvalidInput(f"nothing could be sent: {why}")
        return schedule


def _moment(given: When, now: datetime, local: list[datetime]) -> datetime:
    if isinstance(given, datetime):
        at, here = (aware(given, None), True) if given.tzinfo is None else (given, False)
    else:
        at, here = moment_of(given, now)
    if here:
        local.append(at)
    return at
