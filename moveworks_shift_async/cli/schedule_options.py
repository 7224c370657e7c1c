"""Options that say when a job may send, and what is said of them before it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import field, frozen

from ..clock import SYSTEM_CLOCK
from ..jobs.schedule.change import ScheduleChange
from ..jobs.schedule.forecast import forecast, said
from ..jobs.schedule.schedule import Schedule
from ..settings import RateLimit
from .shared_options import Decorator, option, options, picked
from .terminal import note

#: `--window`, `--at` and `--not-after`.
schedule_options: Decorator = options(
    option("--window", metavar="WINDOW", multiple=True, allow_from_autoenv=False,
           help="Send only in these hours, like 'Mon-Fri 08:00-18:00 Europe/Berlin', and wait"
                " outside of them; several times for several. It is kept in the job; always takes"
                " away what is kept."),
    option("--at", metavar="TIME", allow_from_autoenv=False,
           help="Not before this time: 22:30, or 2026-12-01T09:00, with +01:00 or Europe/Berlin"
                " behind it where it is not local. Kept as --window; now takes it away."),
    option("--not-after", metavar="TIME", allow_from_autoenv=False,
           help="Send nothing from this time on, and end. Kept as --window; never takes it away."),
)  # fmt: skip


@frozen(kw_only=True)
class ScheduleArguments:
    """What the functions of a job are called with, as the options give it."""

    window: Sequence[str] = field(default=(), converter=tuple)
    at: str | None = None
    not_after: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ScheduleArguments:
        """From the options of a command that has them."""
        return picked(cls, given)

    @property
    def given(self) -> dict[str, Any]:
        """For `Job.plan`, `run` and `resume`; nothing of what was not given."""
        parts = {"window": self.window or None, "at": self.at, "not_after": self.not_after}
        return {name: part for name, part in parts.items() if part is not None}

    def change(self) -> ScheduleChange:
        """As a value; says which zone was taken where none was named. Raises `InvalidInput`."""
        change = ScheduleChange.of(SYSTEM_CLOCK.utcnow(), **self._all())
        for at in change.local:
            note(f"{at:%Y-%m-%d %H:%M} is taken by this machine's zone: {at:%Z (%z)}")
        return change

    def _all(self) -> dict[str, Any]:
        return {"window": None, "at": None, "not_after": None} | self.given


def ends_at(schedule: Schedule, requests: int, limit: RateLimit) -> str:
    """When so many requests will have left if they begin now, at the earliest; empty: at once."""
    now = SYSTEM_CLOCK.utcnow()
    found = forecast(schedule, now, requests, limit.budget, limit.per)
    return said(found, schedule, now) if schedule or found.ends != now else ""


def plain_schedule(schedule: Schedule) -> dict[str, Any]:
    """For JSON; times in UTC."""
    return {
        "windows": [*map(str, schedule.windows)],
        "not_before": plain_time(schedule.not_before),
        "not_after": plain_time(schedule.not_after),
    }


def plain_time(at: datetime | None) -> str | None:
    """For JSON: `2026-12-01T08:00:00+00:00`."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
