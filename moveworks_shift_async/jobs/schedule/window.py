"""Hours of some days of the week, in a zone. Pure.

A window is open while clocks there show one of its hours, and nothing else counts: an hour that
clocks skip in spring is not there, and one that they show twice in autumn is there twice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from attrs import frozen

from ...errors import InvalidInput
from ...text import one_line
from .zones import edges_of, put_at, zone_of

#: What one looks like, for messages.
EXAMPLE = "Mon-Fri 08:00-18:00 Europe/Berlin"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT = [day[:3] for day in DAYS]
_DAY = 24 * 60
_TIME = re.compile(r"(\d{1,2}):(\d\d)")
# Fewer letters of a day are two days.
_LETTERS = 3


@frozen
class Window:
    """Open from `begins` to `ends` on its days; behind midnight where `ends` is not later."""

    #: 0 is Monday: the days on which it begins.
    days: frozenset[int]
    #: Minutes after midnight.
    begins: int
    #: Minutes after midnight; 1440 is its end.
    ends: int
    #: The name of the time zone.
    zone: str

    @classmethod
    def of(cls, text: str) -> Window:
        """`Mon-Fri 08:00-18:00 Europe/Berlin`, as `str` gives it back; `InvalidInput` else."""
        return _Parsing(" ".join(re.sub(r"\s*([,\-\u2013])\s*", _tight, text).split())).window()

    def __str__(self) -> str:
        return f"{_days(self.days)} {_time(self.begins)}-{_time(self.ends)} {self.zone}"

    def is_open(self, at: datetime) -> bool:
        """Whether clocks there show one of its hours."""
        there = at.astimezone(zone_of(self.zone))
        minute, day = 60 * there.hour + there.minute, there.weekday()
        if self.ends > self.begins:
            return day in self.days and self.begins <= minute < self.ends
        tonight = day in self.days and minute >= self.begins
        return tonight or ((day - 1) % 7 in self.days and minute < self.ends)

    def edges(self, at: datetime, days: int) -> set[datetime]:
        """Every moment at which it may open or close, from `at` for so many days, and some more."""
        zone = zone_of(self.zone)
        found, minutes = set[datetime](), (self.begins, self.ends)
        today = at.astimezone(zone).date()
        for later in range(-1, days + 2):
            # By the calendar there: 24 hours behind an evening in spring is the day after the next.
            found |= edges_of(zone, today + timedelta(days=later), minutes)
            begin = at + timedelta(days=later)
            if (put := put_at(zone, begin, begin + timedelta(days=1))) is not None:
                found.add(put)
        return found


def _tight(found: re.Match[str]) -> str:
    return found[1].replace("\u2013", "-")


@frozen
class _Parsing:
    """A window's text, whose parts are judged where they stand."""

    text: str

    def window(self) -> Window:
        words = self.text.split()
        at = next((n for n, word in enumerate(words) if word[:1].isdigit()), None)
        if at is None:
            self._fail(self.text, "it names no hours")
        begins, ends = self._hours(words[at])
        zone = words[at + 1 :]
        if not zone:
            self._fail("", "the time zone is missing")
        if len(zone) > 1:
            self._fail(" ".join(zone[1:]), "nothing comes after the zone; another window is another"
                       " --window")  # fmt: skip
        return Window(self._days(" ".join(words[:at])), begins, ends, self._zone(zone[0]))

    def _fail(self, part: str, why: str) -> NoReturn:
        """Show the part in its place."""
        text = one_line(self.text)
        shown = text.replace(part, f"[{part}]", 1) if part else f"{text} []"
        raise InvalidInput(f'window "{one_line(shown)}": {why}; one looks like "{EXAMPLE}"')

    def _days(self, text: str) -> frozenset[int]:
        if not text:
            return frozenset(range(7))
        found = set[int]()
        for part in text.split(","):
            first, dash, last = part.partition("-")
            begin = self._day(first, part)
            end = self._day(last, part) if dash else begin
            found |= {day % 7 for day in range(begin, end + 1 + 7 * (end < begin))}
        return frozenset(found)

    def _day(self, name: str, part: str) -> int:
        whole = [day.lower() for day in DAYS]
        found = [day for day in whole if len(name) >= _LETTERS and day.startswith(name.lower())]
        if not found:
            self._fail(name or part, f"days are {', '.join(_SHORT)}")
        return whole.index(found[0])

    def _hours(self, text: str) -> tuple[int, int]:
        first, dash, last = text.partition("-")
        if not dash or not last:
            self._fail(text, "hours have a begin and an end")
        if "," in text:
            self._fail(text, "one window has one begin and one end; give another --window")
        begins, ends = self._minute(first), self._minute(last)
        if begins == _DAY:
            self._fail(first, "no day begins at its end; take 00:00")
        if begins == ends:
            self._fail(text, "it is never open; all day is 00:00-24:00")
        return begins, ends

    def _minute(self, text: str) -> int:
        found = _TIME.fullmatch(text)
        minute = 60 * int(found[1]) + int(found[2]) if found and int(found[2]) < 60 else _DAY + 1
        if minute > _DAY:
            self._fail(text, "a time is written 08:00, from 00:00 to 24:00")
        return minute

    def _zone(self, name: str) -> str:
        try:
            zone_of(name)
        except InvalidInput as error:
            self._fail(name, str(error))
        return name


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(days: frozenset[int]) -> str:
    """Runs of three and more as a range."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{_SHORT[run[0]]}-{_SHORT[run[-1]]}" if len(run) >= 3 else ",".join(_SHORT[n] for n in run)
        for run in runs
    )


def open_at(windows: tuple[Window, ...], at: datetime) -> bool:
    """Whether any of them is open, or there is none."""
    return not windows or any(window.is_open(at) for window in windows)


# A week, and another one for an hour of a Sunday that clocks skip; most changes come sooner.
_SOON, _LONGEST = 3, 15


def changes_at(windows: tuple[Window, ...], at: datetime) -> datetime | None:
    """When it is first not as it is at this moment: open or closed; None: it stays so."""
    now = open_at(windows, at)
    for days in (_SOON, _LONGEST):
        edges = set[datetime]().union(*(window.edges(at, days) for window in windows))
        until = at + timedelta(days=days)
        for edge in sorted(edge for edge in edges if at < edge <= until):
            if open_at(windows, edge) is not now:
                return edge.astimezone(UTC)
    return None
