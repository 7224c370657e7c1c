"""Accepted people over time against the limit, as SVG for a page. The only importer of matplotlib.

Colours are placeholders that the page's CSS gives a value to, so one drawing serves light and
dark. Texts stay texts, in the page's own type. Time in which nobody was at work is cut to a small
gap: else a job that went on after a night would be two lines at the edges.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ...text import duration, people
from ..records import Incident
from .account import JobAccount
from .sentences import INCIDENTS, waited

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholders, and the custom properties of the page that they become.
_MUTED, _LINE = "#010102", "#010103"
_ACCEPTED, _LIMIT, _REJECTED, _UNKNOWN, _IDLE = (
    "#010104", "#010105", "#010106", "#010107", "#010108"
)  # fmt: skip
_PROPERTIES: Mapping[str, str] = {
    _MUTED: "muted", _LINE: "line", _ACCEPTED: "accepted", _LIMIT: "limit",
    _REJECTED: "rejected", _UNKNOWN: "unknown", _IDLE: "idle",
}  # fmt: skip
_COLOURS = {
    Incident.THROTTLED: _UNKNOWN,
    Incident.OUTAGE: _REJECTED,
    Incident.PAUSED: _LIMIT,
    Incident.CLOSED: _IDLE,
}
# Moments that are tried for a tick: a few dozen, but where clocks were set far back and forth.
_TRIED = 10_000
# Seconds between two ticks of the axis of time, as people divide it.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
# A cut gap's width, as a part of the time of work; gaps shorter than that are not cut.
_GAP = 0.05
# Events of one kind: more lie on one another.
_MOST_EVENTS = 400
# Corners of the limit's steps; where there are more, a plain line looks the same.
_STAIRS = 300


@frozen(kw_only=True)
class Shape:
    """One drawing's measures in pixels of the page."""

    name: str
    width: int
    height: int
    ticks: int
    #: Font size.
    size: float


WIDE = Shape(name="wide", width=1000, height=400, ticks=8, size=13.5)
NARROW = Shape(name="narrow", width=340, height=320, ticks=4, size=12.5)


def draw(account: JobAccount, shape: Shape) -> str:
    """The drawing as an `<svg>` element without sizes of its own."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and of the extra `report`

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": shape.name,
        "font.size": shape.size,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    target = io.StringIO()
    with mpl.rc_context(settings):
        figure = _figure(account, shape)
        nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    return _embedded(target.getvalue(), shape, description(account))


def description(account: JobAccount) -> str:
    """What the drawing shows, for those who do not see it."""
    waits = [f"{INCIDENTS[kind]} {words}" for kind in Incident if (words := waited(account, kind))]
    met = f" On the way: {'; '.join(waits)}." if waits else ""
    return (
        f"A line rises to {account.accepted:,} of {people(account.people)} within"
        f" {duration(account.elapsed)}; a dashed stair shows how far the limit alone would have"
        f" let it rise.{met}"
    )


def _figure(account: JobAccount, shape: Shape) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    kinds = [kind for kind in Incident if any(event.incident is kind for event in account.events)]
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, hspace=0.02)
    figure = Figure(figsize=(shape.width / 72, shape.height / 72), dpi=72, layout=layout)
    below = max(len(kinds), 0.01) * shape.size * 1.7
    plot, waits = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [shape.height - below, below]}
    )
    time = _Time(account)
    _curves(plot, account, time)
    _waits(waits, account, time, kinds)
    _axes(plot, waits, account, time, shape)
    return figure


class _Time:
    """The axis of time, with long gaps cut."""

    def __init__(self, account: JobAccount) -> None:
        self.end = max(account.elapsed, *(after for after, _ in account.timeline or [(0.0, 0)]))
        worked = max(self.end - sum(gap.seconds for gap in account.gaps), 1e-3)
        self.width = worked * _GAP
        self.gaps = [gap for gap in account.gaps if gap.seconds > self.width]
        self.right = max(self(self.end), 1e-3)

    def __call__(self, after: float) -> float:
        """Where a moment stands."""
        cut = 0.0
        for gap in self.gaps:
            inside = min(max(after - gap.after, 0.0), gap.seconds)
            cut += inside * (1 - self.width / gap.seconds)
        return after - cut

    def ticks(self, count: int) -> Iterator[float]:
        """Moments to name, not in a gap and not close to one another."""
        step = next((s for s in _STEPS if self.right / s <= count), None)
        step = step or 86400 * math.ceil(self.right / 86400 / count)
        last, number = -math.inf, 0
        for _ in range(_TRIED):
            after = float(number * step)
            if after > self.end:
                return
            number += 1
            ends = [g.after + g.seconds for g in self.gaps if g.after < after < g.after + g.seconds]
            if ends:  # which may be years away
                number = max(number, math.ceil(max(ends) / step))
            elif self(after) - last > self.right / count / 2:
                last = self(after)
                yield after


def allowance(account: JobAccount) -> list[tuple[float, float]]:
    """How many people the rate limit alone would have let a job tell by when.

    Corners of a stair: (seconds since the begin, people from then on). A run may start its whole
    budget at once, and again each window. What was accepted can touch the stair but not pass it,
    but for runs that follow one another within a window.
    """
    each = account.people / max(1, account.chunks)
    told, free_at = 0.0, 0.0
    corners = [(0.0, 0.0)]
    for run, (begin, end) in zip(account.runs, _spans(account), strict=True):
        free_at = max(begin, free_at)
        while free_at <= end and told < account.people:
            told = min(float(account.people), told + run.budget * each)
            corners.append((free_at, told))
            free_at += run.per
    return corners


def _spans(account: JobAccount) -> Iterator[tuple[float, float]]:
    """Begin and end of each run, in seconds since the begin of the first."""
    if not account.runs:
        return
    first = account.runs[0].began_at
    begins = [max(0.0, run.began_at - first) for run in account.runs]
    ends = {gap.after + gap.seconds: gap.after for gap in account.breaks}
    for begin, following in zip(begins, [*begins[1:], account.elapsed], strict=True):
        near = (end for back, end in ends.items() if abs(back - following) < 1e-3)
        yield begin, next(near, following)


def _curves(plot: Axes, account: JobAccount, time: _Time) -> None:
    limit = allowance(account)
    style = "steps-post" if len(limit) <= _STAIRS else "default"
    limit.append((time.end, limit[-1][1]))
    plot.plot([time(after) for after, _ in limit], [count for _, count in limit], color=_LIMIT,
              linewidth=1.5, linestyle=(0, (5, 3)), drawstyle=style, gid="limit")  # fmt: skip
    told = [*account.timeline, (time.end, account.accepted)] if account.timeline else [(0.0, 0)]
    x, y = [time(after) for after, _ in told], [count for _, count in told]
    plot.fill_between(x, y, step="post", color=_ACCEPTED, alpha=0.14, linewidth=0)
    plot.plot(x, y, color=_ACCEPTED, linewidth=2.6, drawstyle="steps-post", gid="accepted")
    plot.axhline(account.people, color=_MUTED, linewidth=0.8)
    for gap in time.gaps:
        span = (time(gap.after), time(gap.after + gap.seconds))
        plot.axvspan(*span, color=_IDLE, alpha=0.22, linewidth=0, gid="idle")


def _waits(waits: Axes, account: JobAccount, time: _Time, kinds: list[Incident]) -> None:
    """What made the job wait, a line for each kind."""
    for row, kind in enumerate(kinds):
        events = [event for event in account.events if event.incident is kind]
        spans = [(time(event.after), time(min(event.after + event.seconds, time.end)))
                 for event in events[:: math.ceil(len(events) / _MOST_EVENTS)]]  # fmt: skip
        bars = [(left, max(right - left, time.right / 250)) for left, right in spans]
        waits.broken_barh(bars, (row - 0.3, 0.6), color=_COLOURS[kind], linewidth=0, gid=kind.value)
    waits.set_ylim(max(len(kinds), 1) - 0.5, -0.5)
    waits.set_yticks(range(len(kinds)), [INCIDENTS[kind] for kind in kinds])


def _axes(plot: Axes, waits: Axes, account: JobAccount, time: _Time, shape: Shape) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    plot.set_xlim(0, time.right)
    plot.set_ylim(0, max(account.people, 1) * 1.04)
    nice = MaxNLocator(5, integer=True).tick_values(0, account.people)
    counts = [count for count in nice if 0 <= count < account.people * 0.94]
    plot.set_yticks([*counts, account.people], [*map(_count, counts), _count(account.people)])
    plot.grid(axis="y", color=_LINE, linewidth=1)
    plot.set_axisbelow(True)
    ticks = [*time.ticks(shape.ticks)]
    waits.set_xticks([time(after) for after in ticks], [_after(after) for after in ticks])
    plot.tick_params(axis="x", length=0, labelbottom=False)
    for axes in (plot, waits):
        axes.tick_params(colors=_MUTED, labelcolor=_MUTED)
        axes.tick_params(axis="y", length=0)
        for spine in axes.spines.values():
            spine.set_color(_LINE)
        axes.spines["left"].set_visible(False)


def _count(count: float) -> str:
    return f"{count / 1e6:g} M" if count >= 1e6 else f"{count:,.0f}"


def _after(after: float) -> str:
    return duration(after).replace(" 00 min", "") if after else "0"


def _embedded(drawn: str, shape: Shape, says: str) -> str:
    """As a part of a page: no prologue, no style or size of its own, no name used twice."""
    svg = drawn[drawn.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>|\s*<style.*?</style>", "", svg, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    names = f"{shape.name}-title {shape.name}-desc"
    head = (
        f'<svg {box[0] if box else ""} role="img" aria-labelledby="{names}"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink">\n'
        f'<title id="{shape.name}-title">Accepted people over time</title>\n'
        f'<desc id="{shape.name}-desc">{escape(says)}</desc'
    )
    rest = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{shape.name}-", rest)
    rest = re.sub(r"font(-family)?: ([^;\"']*?)'[^;\"]*", r"font\1: \2inherit", rest)
    for colour, name in _PROPERTIES.items():
        rest = rest.replace(colour, f"var(--{name})")
    return f"{head}>{rest}"
