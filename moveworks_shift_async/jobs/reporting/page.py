"""The account as one page of HTML for people who run no commands. The only importer of jinja2.

The page is one file: no script, no font, no picture from elsewhere, and its own policy forbids the
browser to fetch any. It holds no addresses; what looks like one in a server's words is covered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from attrs import frozen

from ...errors import ConfigurationError
from ...words import duration, one_line, people, plural
from ..records import Incident
from . import sentences as say
from .account import ErrorKind, JobAccount, Mark
from .plot import NARROW, WIDE, draw

# Rows of a table; a page of thousands of lines is read by nobody.
ROWS = 40
# Moments of the plot that are told in numbers as well.
_MOMENTS = 12
_EXTRA = ("jinja2", "markupsafe", "matplotlib", "numpy")
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")


@frozen(kw_only=True)
class Total:
    """One of the four numbers that add up."""

    kind: str
    name: str
    count: int
    means: str


def render_page(account: JobAccount) -> str:
    """The page. Raises `ConfigurationError` where the extra `report` is not installed."""
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - of the extra `report`

        drawn = {shape.name: draw(account, shape) for shape in (WIDE, NARROW) if account.runs}
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise _missing(error.name) from None
    house = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    house.filters |= {"people": people, "plural": plural, "moment": say.moment}
    text = files(__package__).joinpath("page.html").read_text("utf-8")
    return house.from_string(text).render(account=account, drawn=drawn, **_words(account))


def _missing(name: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"the page needs {name}, which is not installed;"
        ' run: pip install "moveworks-shift-async[report]"'
    )


def _words(account: JobAccount) -> Mapping[str, Any]:
    limits = dict.fromkeys(say.limit_words(run.budget, run.per) for run in account.runs)
    idle = sum(gap.seconds for gap in account.breaks)
    return {
        "headline": say.headline(account),
        "others": say.others(account),
        "told_twice": say.told_twice(account),
        "standing": say.standing_of(account),
        "accepted_means": say.ACCEPTED_MEANS,
        "source": _covered(account.source),
        "totals": _totals(account),
        "time": say.time_words(account),
        "limit": ", then ".join(limits),
        "idle": duration(idle) if idle else "",
        "waits": {kind.value: say.waited(account, kind) for kind in Incident},
        "errors": [_error(kind, running=account.running) for kind in account.errors[:ROWS]],
        "more_errors": max(0, len(account.errors) - ROWS),
        "unknown_ways": say.ways_for_unknown(account),
        "ways_on": say.ways_on(account),
        "moments": _moments(account),
        "marks": [_mark(mark) for mark in account.events[:ROWS]],
        "more_marks": max(0, len(account.events) - ROWS),
    }


def _totals(account: JobAccount) -> list[Total]:
    unknown = "They may have been told or not."
    if account.left_alone:
        unknown += f" {account.left_alone:,} stay so by decision."
    not_sent = "Nobody of them was told yet."
    if account.in_flight:
        not_sent += f" {account.in_flight:,} are on their way now."
    rows = (
        ("accepted", "accepted", account.accepted, "Scheduled by the vendor."),
        ("rejected", "rejected", account.rejected, "Refused. Nobody of them was told."),
        ("unknown", "unknown", account.unknown, unknown),
        ("unsent", "not sent", account.not_sent, not_sent),
    )
    return [
        Total(kind=kind, name=name, count=count, means=means if count else "Nobody.")
        for kind, name, count, means in rows
    ]


def _error(kind: ErrorKind, *, running: bool) -> dict[str, Any]:
    return {
        "kind": "unsent" if kind.state.value == "planned" else kind.state.value,
        "label": say.LABELS[kind.state],
        "name": kind.error,
        "message": _covered(kind.message),
        "people": kind.people,
        "chunks": kind.chunks,
        "means": say.meaning(kind, running=running),
    }


def _moments(account: JobAccount) -> list[tuple[str, int]]:
    """Some points of the plot, evenly taken, the last one always among them."""
    points = account.timeline
    step = max(1, -(-len(points) // _MOMENTS))
    return [(duration(after), count) for after, count in points[::-1][::step][::-1]]


def _mark(mark: Mark) -> dict[str, str]:
    names = {
        Incident.THROTTLED: "answer 429: the limit was met",
        Incident.OUTAGE: "outage",
        Incident.PAUSED: "paused",
    }
    return {
        "after": duration(mark.after),
        "what": names[mark.incident],
        "lasted": duration(mark.seconds),
        "reason": _covered(mark.reason),
    }


def _covered(text: str) -> str:
    """A foreign text without what looks like an address."""
    return _ADDRESS.sub("[address]", one_line(text))
