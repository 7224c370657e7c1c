"""A job on the axis of time: who was told when, and what made it wait. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from ..records import CUT, DONE, ChunkRecord, Event, Incident, Run, State

# Points of the timeline: more than a plot has pixels' columns for is of no use.
POINTS = 1_000


@frozen(kw_only=True)
class TimelineEvent:
    """Something that made the job wait."""

    incident: Incident
    #: Seconds from the job's begin to its own.
    after: float
    #: Seconds it lasted, or was expected to.
    seconds: float
    reason: str = ""


@frozen(kw_only=True)
class Break:
    """No process was at work between two runs."""

    #: Seconds from the job's begin to the end of the earlier run.
    after: float
    seconds: float


def timeline(records: Sequence[ChunkRecord], began: float) -> tuple[tuple[float, int], ...]:
    """People told by so many seconds after the job's begin: (seconds, people), in order."""
    told = sorted(
        # A clock that was set back must not draw anybody before the begin.
        (max(0.0, record.ended_at - began), record.people)
        for record in records
        if record.state is State.ACCEPTED and record.ended_at is not None
    )
    if not told:
        return ()
    # The last point of each slice of time keeps steps and standstills where they are.
    slices, width, count = dict[int, tuple[float, int]](), told[-1][0] / (POINTS - 2), 0
    for after, people in told:
        count += people
        slices[int(after / width) if width else 0] = (after, count)
    return ((0.0, 0), *slices.values())


def timeline_event(event: Event, began: float | None) -> TimelineEvent:
    """The event, in seconds after the job's begin."""
    after = 0.0 if began is None else max(0.0, event.at - began)
    return TimelineEvent(
        incident=event.incident, after=after, seconds=max(0.0, event.seconds), reason=event.reason
    )


def span(runs: Sequence[Run], records: Sequence[ChunkRecord]) -> tuple[float | None, float | None]:
    """Begin of the first run and end of the last; of one without an end, its last step."""
    if not runs:
        return None, None
    last = runs[-1]
    ended = last.ended_at or max(_steps(records), default=last.began_at)
    return runs[0].began_at, max(last.began_at, ended)


def ending_of(run: Run) -> str | None:
    """Why it ended before everybody was sent to; None: it did not, or was killed."""
    if run.ended == CUT:
        return "it was cut, with what was on its way"
    return None if run.ended == DONE else run.ended


def breaks(runs: Sequence[Run], records: Sequence[ChunkRecord]) -> Iterator[Break]:
    """When no process was at work between two runs."""
    steps = sorted(_steps(records))
    for run, following in pairwise(runs):
        ended = run.ended_at
        if ended is None:  # killed: it was at work until its last step
            place = bisect_left(steps, following.began_at)
            ended = max(run.began_at, steps[place - 1]) if place else run.began_at
        if following.began_at > ended:
            after = max(0.0, ended - runs[0].began_at)
            yield Break(after=after, seconds=following.began_at - ended)


def closed_since(runs: Sequence[Run], at_work: Iterable[Run]) -> list[float]:
    """Since when those at work are not to send, in seconds after the begin of the first run."""
    closed = (run.held_since for run in at_work if run.held_by is Incident.CLOSED)
    return [since - runs[0].began_at for since in closed if since is not None]


def gaps(
    found: Sequence[Break], events: Sequence[TimelineEvent], closed: Iterable[float], until: float
) -> tuple[Break, ...]:
    """When nobody was at work, or nothing was to be sent, up to a moment; none touch each other.

    Since the moments of `closed` nothing is to be sent.
    """
    spans = [(one.after, one.seconds) for one in found]
    spans += [(one.after, one.seconds) for one in events if one.incident is Incident.CLOSED]
    spans += [(since, until - since) for since in closed]
    joined: list[tuple[float, float]] = []
    for begin, seconds in sorted(spans):
        end = min(until, begin + seconds)
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        elif end > begin:
            joined.append((begin, end))
    return tuple(Break(after=begin, seconds=end - begin) for begin, end in joined)


def _steps(records: Sequence[ChunkRecord]) -> Iterator[float]:
    for record in records:
        yield from (at for at in (record.sent_at, record.ended_at) if at is not None)
