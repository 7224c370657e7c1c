"""The account as one page of HTML for people who run no commands.

It holds no addresses; what looks like one in a server's words is covered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ...text import covered, duration, hide_addresses, rate
from ..pages import legible, missing, template
from ..records import Incident, State
from . import sentences as say
from . import ways
from .account import JobAccount, Text
from .live import Live
from .plot import NARROW, WIDE, draw
from .timeline import TimelineEvent, ending_of

# Rows of a table; a page of thousands of lines is read by nobody.
ROWS = 40
# Moments of the plot that are told in numbers as well.
_MOMENTS = 12


def render_page(
    account: JobAccount, *, live: Live | None = None, drawn: Mapping[str, str] | None = None
) -> str:
    """The page; with what only a live page has, if it is one.

    `drawn` are its drawings, which else are made. Raises `ConfigurationError` where the extra
    `report` is not installed.
    """
    page = template("report/page.html", moment=moment)
    drawn = drawings(account) if drawn is None else drawn
    return page.render(account=account, live=live, drawn=drawn, **_words(account))


def drawings(account: JobAccount) -> Mapping[str, str]:
    """The plot in each shape; none of a job that has not begun. Raises as `render_page`."""
    try:
        return {shape.name: draw(account, shape) for shape in (WIDE, NARROW) if account.runs}
    except ModuleNotFoundError as error:
        raise missing(error) from None


def moment(at: datetime) -> str:
    """In UTC, and as the clocks of this machine show it where that is another time."""
    here = at.astimezone()
    if not here.utcoffset():
        return say.moment(at)
    day = "" if here.date() == at.date() else f"{here:%Y-%m-%d} "
    return f"{say.moment(at)} ({day}{here:%H:%M:%S %Z})"


def _words(account: JobAccount) -> Mapping[str, Any]:
    """What the frame says that is not in the account as it is, nor one of its sentences."""
    limits = dict.fromkeys(rate(run.budget, run.per) for run in account.runs)
    idle, apart = (sum(gap.seconds for gap in found) for found in (account.gaps, account.breaks))
    return {
        "say": say,
        "ways": ways,
        "leads": _leads(account),
        "rows": ROWS,
        "texts": [_text(text, account) for text in account.examples],
        "more_texts": account.texts - len(account.examples),
        "totals": _totals(account),
        "limit": ", then ".join(limits),
        "idle": duration(idle) if idle else "",
        "apart": duration(apart) if apart else "",
        "waits": {kind.value: say.waited(account, kind) for kind in Incident},
        "moments": _moments(account),
        "events": [*_events(account), *_endings(account)],
    }


def _leads(account: JobAccount) -> list[str]:
    """Sentences below the headline; some may be empty."""
    parts = (say.others(account), say.ended_early(account), say.told_twice(account),
             say.forgotten(account))  # fmt: skip
    return [*parts, *say.hours(account), *say.waits_for(account), say.time_words(account)]


def _totals(account: JobAccount) -> list[tuple[str, str, int, str]]:
    """The four numbers that add up: class, name, count and what it means."""
    unknown = f"{say.TOLD[State.UNKNOWN]}."
    if account.left_alone:
        unknown += f" {account.left_alone:,} stay so by decision."
    not_sent = f"{say.TOLD[State.PLANNED]}."
    if account.in_flight:
        not_sent += f" {account.in_flight:,} are on their way now."
    return [
        ("accepted", "accepted", account.accepted, "Scheduled by the vendor."),
        ("rejected", "rejected", account.rejected, f"Refused. {say.TOLD[State.REJECTED]}."),
        ("unknown", "unknown", account.unknown, unknown),
        ("unsent", "not sent", account.not_sent, not_sent),
    ]


def _moments(account: JobAccount) -> list[tuple[str, int]]:
    """Some points of the plot, evenly taken, the last one always among them."""
    points = account.timeline
    step = max(1, -(-len(points) // _MOMENTS))
    return [(duration(after), count) for after, count in points[::-1][::step][::-1]]


def _events(account: JobAccount) -> list[dict[str, str]]:
    """What made it wait: one row for all that are equal."""
    equal: dict[tuple[Incident, str], list[TimelineEvent]] = {}
    for event in account.events:
        equal.setdefault((event.incident, event.reason), []).append(event)
    return [_row(events) for events in equal.values()]


def _endings(account: JobAccount) -> Iterator[dict[str, str]]:
    """Why runs ended although somebody was left."""
    for run in account.runs:
        if run.ended_at is None or (why := ending_of(run)) is None:
            continue
        after = duration(max(0.0, run.ended_at - account.runs[0].began_at))
        yield {
            "after": after, "what": "a run ended early", "times": say.times(1), "lasted": "",
            "reason": covered(why),
        }  # fmt: skip


def _row(events: list[TimelineEvent]) -> dict[str, str]:
    names = {
        Incident.THROTTLED: "answer 429: the limit was met",
        Incident.OUTAGE: "outage",
        Incident.PAUSED: "paused",
        Incident.CLOSED: "not to send then",
    }
    first, last = duration(events[0].after), duration(events[-1].after)
    return {
        "after": first if first == last else f"{first} to {last}",
        "what": names[events[0].incident],
        "times": say.times(len(events)),
        "lasted": duration(say.time_in(events)),
        "reason": covered(events[0].reason),
    }


def _text(text: Text, account: JobAccount) -> dict[str, Any]:
    """What some people are told; where each has her own text, addresses in it are hers."""
    context = json.dumps(text.context, indent=2, ensure_ascii=False)
    parts = {"message": text.message, "context": "" if text.context is None else context}
    if account.texts > 1:
        parts = {name: hide_addresses(part) for name, part in parts.items()}
    return {"people": text.people} | {name: legible(part) for name, part in parts.items()}
