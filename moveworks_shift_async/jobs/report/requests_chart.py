"""Requests against the rate limit over the last minutes, as parts of an SVG. Pure.

At each moment stands how many requests had ended in the window before it: what the limit counts.
Matplotlib, which draws the report's plot, takes longer than there is between two looks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from attrs import frozen

from ...text import duration, plural
from ..records import Incident
from .account import JobAccount
from .sentences import INCIDENTS, limit_of

#: When requests ended, in seconds since 1970, and how many.
Ended = tuple[float, int]

#: The drawing's box; it is stretched to its place.
WIDTH, HEIGHT = 600, 100
# Seconds that are drawn: at most, and at least.
_MOST, _LEAST = 900.0, 60.0
# Moments: one for each few pixels.
_MOMENTS = 200
# The part of the height at which the limit is drawn.
_LIMIT = 0.88


@frozen(kw_only=True)
class Band:
    """Something made the job wait; in units of the box."""

    kind: str
    left: float
    width: float


@frozen(kw_only=True)
class Chart:
    """Parts of a drawing of `WIDTH` times `HEIGHT`, the origin above."""

    path: str
    #: Where the limit is drawn.
    limit_y: float
    bands: tuple[Band, ...]
    #: Requests that have ended in the window up to now, and how many may.
    used: int
    limit: int
    window: str
    #: How long ago the left edge is.
    since: str
    #: For those who do not see it.
    says: str
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """What made it wait in these minutes, with its name."""
        met = {band.kind for band in self.bands}
        return [(kind.value, INCIDENTS[kind]) for kind in Incident if kind.value in met]


def chart_of(account: JobAccount, ended: Sequence[Ended]) -> Chart:
    """Of the last minutes before the account was read."""
    limit, per = limit_of(account)
    now = account.read_at.timestamp()
    began = now - account.elapsed
    shown = min(max(account.elapsed, _LEAST), _MOST)
    counts = _counts(ended, now, shown, per)
    highest = max(limit, *counts)
    bands = tuple(_bands(account, began, now, shown))
    window = "minute" if per == 60 else duration(per)
    return Chart(
        path=_path(counts, highest),
        limit_y=round(_y(limit, highest), 1),
        bands=bands,
        used=counts[-1],
        limit=limit,
        window=window,
        since=duration(shown),
        says=_says(counts, limit, window, shown, bands),
    )


def _counts(ended: Sequence[Ended], now: float, shown: float, per: float) -> list[int]:
    """Requests that had ended in the window before each moment."""
    times = [at for at, _ in ended]
    sums = [0, *accumulate(count for _, count in ended)]

    def until(moment: float) -> int:
        return sums[bisect_right(times, moment)]

    moments = (now - shown + shown * step / _MOMENTS for step in range(_MOMENTS + 1))
    return [until(moment) - until(moment - per) for moment in moments]


def _path(counts: Sequence[int], highest: int) -> str:
    points = (
        f"L{WIDTH * step / _MOMENTS:g} {_y(count, highest):.1f}"
        for step, count in enumerate(counts)
    )
    return f"M0 {HEIGHT}{''.join(points)}L{WIDTH} {HEIGHT}Z"


def _y(count: int, highest: int) -> float:
    return HEIGHT * (1 - _LIMIT * count / highest)


def _bands(account: JobAccount, began: float, now: float, shown: float) -> Iterator[Band]:
    """What made it wait, also what still does."""
    spans = [
        (event.incident, began + event.after, began + event.after + event.seconds)
        for event in account.events
    ]
    spans += [(run.held_by, run.held_since or now, now) for run in account.at_work if run.held_by]
    for kind, since, until in spans:
        left = max(0.0, 1 - (now - since) / shown)
        right = min(1.0, 1 - (now - until) / shown)
        if right > 0:
            width = max(right - left, 1 / _MOMENTS)
            yield Band(kind=kind.value, left=round(WIDTH * left, 1), width=round(WIDTH * width, 1))


def _says(
    counts: Sequence[int], limit: int, window: str, shown: float, bands: Sequence[Band]
) -> str:
    met = [INCIDENTS[kind] for kind in Incident if any(band.kind == kind.value for band in bands)]
    waits = f" It waited meanwhile: {', '.join(met)}." if met else ""
    return (
        f"{plural(counts[-1], 'request')} in the last {window}, of {limit:,} that the limit allows;"
        f" at most {max(counts):,} in the last {duration(shown)}.{waits}"
    )
