"""When a job may send, as one value. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from attrs import frozen

from .window import Window, changes_at, open_at
from .zones import zone_of

#: Between the windows of a schedule, as it is kept.
_BETWEEN = "; "


@frozen(kw_only=True)
class Schedule:
    """Something may leave in any of its windows, from a first moment on, and before a last one."""

    #: None of them: always.
    windows: tuple[Window, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None

    @classmethod
    def kept(cls, windows: str, not_before: float | None, not_after: float | None) -> Schedule:
        """As a job keeps it: windows as text, times as seconds since 1970."""
        return _kept(windows, not_before, not_after)

    @property
    def columns(self) -> tuple[str, float | None, float | None]:
        """For `kept`; the text is empty without windows."""
        times = (self.not_before, self.not_after)
        first, last = (None if at is None else at.timestamp() for at in times)
        return _BETWEEN.join(map(str, self.windows)), first, last

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.windows or self.not_before or self.not_after)

    def is_over(self, at: datetime) -> bool:
        """Nothing may leave any more."""
        return self.not_after is not None and at >= self.not_after

    def allows(self, at: datetime) -> bool:
        """Whether something may leave at this moment."""
        early = self.not_before is not None and at < self.not_before
        return not (early or self.is_over(at)) and open_at(self.windows, at)

    def opens(self, at: datetime) -> datetime | None:
        """The first moment from this one on at which something may leave; None: there is none."""
        first = at if self.not_before is None else max(at, self.not_before)
        if not open_at(self.windows, first):
            opens = changes_at(self.windows, first)
            assert opens is not None  # noqa: S101 - every window opens within two weeks
            first = opens
        return None if self.is_over(first) else first

    def closes(self, at: datetime) -> datetime | None:
        """The first moment after this one, at which something may leave, at which nothing may."""
        ends = changes_at(self.windows, at) if self.windows else None
        return min((end for end in (ends, self.not_after) if end is not None), default=None)

    def why_closed(self, at: datetime) -> str | None:
        """Until when nothing may leave, and why; None: something may."""
        if self.allows(at):
            return None
        opens = self.opens(at)
        if self.is_over(at):
            assert self.not_after is not None  # noqa: S101 - for the type checker
            return f"nothing is sent after {self.shown(self.not_after)}"
        if opens is None:
            return "no window opens any more"
        early = self.not_before is not None and at < self.not_before
        why = "as it is not to begin before" if early else f"outside of {self.columns[0]}"
        return f"waiting until {self.shown(opens)}, {why}"

    def shown(self, at: datetime) -> str:
        """As clocks show it where the first window is, or in UTC: `Tue 2026-12-01 09:00 CET`."""
        zone = zone_of(self.windows[0].zone) if self.windows else UTC
        there = at.astimezone(zone)
        seconds = ":%S" if there.second else ""
        return f"{there:%a %Y-%m-%d %H:%M}{there.strftime(seconds)} {there:%Z}"

    def lines(self) -> list[tuple[str, str]]:
        """What it says, as names and texts."""
        found = [("window", str(window)) for window in self.windows]
        for name, at in (("not before", self.not_before), ("not after", self.not_after)):
            if at is not None:
                found.append((name, self.shown(at)))
        return found


@lru_cache(maxsize=64)
def _kept(windows: str, not_before: float | None, not_after: float | None) -> Schedule:
    parts = windows.split(_BETWEEN) if windows else []
    return Schedule(
        windows=tuple(map(Window.of, parts)),
        not_before=None if not_before is None else datetime.fromtimestamp(not_before, UTC),
        not_after=None if not_after is None else datetime.fromtimestamp(not_after, UTC),
    )
