"""Time zones by name, and moments as people write them. Pure."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from ...errors import InvalidInput
from ...text import install, one_line

#: What a moment looks like, for messages.
EXAMPLE = "2026-12-01T09:00, with +01:00 or Europe/Berlin behind it where it is not local"
# A day and an hour, with an offset or a zone behind it; or the hour alone.
_MOMENT = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d)[T ])?(?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?)"
    r"(?:(?P<offset>Z|[+-]\d\d:?\d\d)|\s*\[?(?P<zone>[A-Za-z][\w+\-/]*)\]?)?"
)
# Years that a schedule is good for: a moment before them is a slip of the finger, and behind them
# Python's calendar ends.
_FIRST_YEAR, _LAST_YEAR = 2000, 9000


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone of that name; `InvalidInput` says what is near it, or what is not installed."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    known = available_timezones()
    if not known:
        raise InvalidInput(
            f"this machine knows no time zones, so not {one_line(name)} either; run:"
            f" {install('tzdata')}"
        )
    # People write a city, or another case.
    names = {one.lower(): one for one in known} | {
        one.rpartition("/")[2].lower(): one for one in sorted(known) if "/" in one
    }
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    meant = f", perhaps {names[near[0]]}" if near else "; one looks like Europe/Berlin"
    raise InvalidInput(f"no time zone is called {one_line(name)}{meant}")


def moment_of(text: str, now: datetime) -> tuple[datetime, bool]:
    """The moment, and whether it is by this machine's own zone, as none was named.

    An hour alone is the next time that a clock there shows it. `InvalidInput` for what is none, and
    for one that clocks there skip or show twice.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(f'"{one_line(text)}" is no time; one is 22:30, or {EXAMPLE}')
    zone = _zone(found["offset"], found["zone"])
    if found["day"] is not None:
        return _at(_naive(found["day"], found["time"], text), zone, text), zone is None
    clock = _shown(now, zone)
    shown = _naive(str(clock.date()), found["time"], text)
    if shown <= clock:
        shown += timedelta(days=1)
    return _at(shown, zone, text), zone is None


def _zone(offset: str | None, name: str | None) -> tzinfo | None:
    if name is not None:
        return zone_of(name)
    return None if offset is None else datetime.strptime(offset, "%z").tzinfo


def _naive(day: str, hour: str, text: str) -> datetime:
    with suppress(ValueError):
        moment = datetime.fromisoformat(f"{day}T{hour}")
        if _FIRST_YEAR <= moment.year < _LAST_YEAR:
            return moment
    raise InvalidInput(f'"{one_line(text)}" is no time that there will be; one is {EXAMPLE}')


def _at(shown: datetime, zone: tzinfo | None, text: str) -> datetime:
    """The moment at which a clock there shows this."""
    first, second = (aware(shown.replace(fold=fold), zone) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset() and _shown(first, zone) == shown:
        return first
    said = f'"{one_line(text)}"'
    if _shown(first, zone) != shown:
        raise InvalidInput(
            f"{said}: no clock there shows it, for they are put forward then; take an hour more"
        )
    offsets = " or ".join(f"{shown:%Y-%m-%dT%H:%M}{at:%z}" for at in (first, second))
    raise InvalidInput(f"{said}: clocks there show it twice, as they are put back; say {offsets}")


def aware(shown: datetime, zone: tzinfo | None) -> datetime:
    """The moment at which clocks there show this; None: the clocks of this machine."""
    there = shown.astimezone() if zone is None else shown.replace(tzinfo=zone)
    return there.astimezone(UTC).astimezone(zone)  # what is skipped has moved by this


def _shown(at: datetime, zone: tzinfo | None) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def edges_of(zone: tzinfo, day: date, minutes: tuple[int, ...]) -> set[datetime]:
    """Moments at which clocks there show, on this day, so many minutes after midnight.

    Where clocks are put forward or back there are two of each, and of an hour that is skipped they
    lie on both sides of it.
    """
    midnight = datetime.combine(day, time())
    shown = [midnight + timedelta(minutes=minute) for minute in minutes]
    return {at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for at in shown for fold in (0, 1)}


def put_at(zone: tzinfo, begin: datetime, end: datetime) -> datetime | None:
    """The moment between these at which clocks there are put forward or back; None: they are not.

    Accurate to a second, which rules of zones do not divide. It takes one of two within a day.
    """
    low, high = int(begin.timestamp()), int(end.timestamp())
    before = begin.astimezone(zone).utcoffset()
    if before == end.astimezone(zone).utcoffset():
        return None
    while high - low > 1:
        middle = (low + high) // 2
        same = datetime.fromtimestamp(middle, zone).utcoffset() == before
        low, high = (middle, high) if same else (low, middle)
    return datetime.fromtimestamp(high, UTC)
