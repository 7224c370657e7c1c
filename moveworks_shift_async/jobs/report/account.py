"""What became of everybody in a job, as values. Addresses are neither read nor held here.

A chunk that is `sending` counts as not sent while a process may be at work on it. Once that
process is surely gone, its request may have arrived: it counts as unknown, as `resume` will say.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from attrs import evolve, field, frozen

from ...clock import SYSTEM_CLOCK, Clock
from ...errors import JournalError
from ..records import ChunkRecord, Command, Event, Header, Incident, Run, State, Stray
from ..store.sqlite.journal import Journal
from ..store.sqlite.lock import is_free

# Texts that an account shows: all of so many, else the first of them, for examples.
_SHOWN, _EXAMPLES = 10, 3
# Points of the timeline: more than a plot has pixels' columns for is of no use.
POINTS = 1_000
# What makes unknown whom a file calls not sent, by why it may not be what the job was run from.
_DOUBTS = {
    Stray.COPY: "the journal is a copy; the request may have been made from the other file since",
    Stray.OLDER: "the journal is an older copy; the request may have been made since",
    Stray.TORN: "the journal is torn; the request may have been made since",
}
_ORPHANED = "the process ended while the request was on its way"


@frozen(kw_only=True)
class ErrorKind:
    """What went wrong in one way."""

    #: Of the chunks it happened to: rejected, unknown, or planned where nobody was told.
    state: State
    #: The name of the error's class; empty where none is known.
    error: str
    #: The error's message; it holds no addresses and no texts.
    message: str
    people: int
    chunks: int


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


@frozen(kw_only=True)
class Text:
    """What some people are told."""

    message: str = field(repr=False)
    context: Mapping[str, Any] | None = field(repr=False)
    people: int


@frozen(kw_only=True)
class JobAccount:
    """What became of everybody. Counts are people unless said otherwise.

    `accepted + rejected + unknown + not_sent == people`, always.
    """

    #: The journal's path, as it was given.
    journal: str
    source: str
    #: None: the legacy endpoint.
    event_id: str | None
    #: False: its planning was interrupted, and nothing was ever sent.
    complete: bool
    planned_at: datetime
    #: When the journal was read.
    read_at: datetime
    people: int
    #: Scheduled by the vendor, which says nothing about who has read it.
    accepted: int
    rejected: int
    #: Told or not told; `left_alone` of them stay so by the user's word.
    unknown: int
    left_alone: int
    #: Sent to again by the user's word after an unknown outcome: perhaps told twice.
    resent: int
    #: Nobody of them was told; `in_flight` of them are being told just now.
    not_sent: int
    in_flight: int
    duplicates: int
    #: Duplicates that had another text than the one that is sent.
    differing: int
    invalid: int
    #: Different messages with their contexts.
    texts: int
    chunks: int
    #: Chunks that wait to be sent.
    chunks_left: int
    #: HTTP requests, and the answers 429 among them.
    requests: int
    throttled: int
    #: Begin of the first run; None before it.
    began_at: datetime | None
    #: End of the last run; None before it and while it is on.
    ended_at: datetime | None
    #: A process may be at work on it now.
    running: bool
    #: That process sends nothing until a `resume`.
    paused: bool
    #: Nothing is left to send. Unknown chunks may still wait for a decision.
    finished: bool
    #: Why those whom the file calls not sent are unknown here; None: they are not.
    stray: Stray | None = None
    #: The most people first.
    errors: tuple[ErrorKind, ...] = field(repr=False)
    #: Chunks that were rejected, are unknown, or came back unsent with an error; in order.
    failures: tuple[ChunkRecord, ...] = field(repr=False)
    #: (seconds since the begin, people accepted until then), at most `POINTS` of them.
    timeline: tuple[tuple[float, int], ...] = field(repr=False)
    events: tuple[TimelineEvent, ...] = field(repr=False)
    breaks: tuple[Break, ...] = field(repr=False)
    runs: tuple[Run, ...] = field(repr=False)
    #: All texts of a job that has few, else the first of them.
    examples: tuple[Text, ...] = field(repr=False)

    @property
    def undecided(self) -> int:
        """People unknown for whom the user has not said what to do."""
        return self.unknown - self.left_alone

    @property
    def elapsed(self) -> float:
        """Seconds from the begin to the end, or to now; 0 before the begin."""
        if self.began_at is None:
            return 0.0
        return max(0.0, ((self.ended_at or self.read_at) - self.began_at).total_seconds())

    @property
    def working(self) -> float:
        """Seconds of `elapsed` in which a process was at work."""
        return max(0.0, self.elapsed - sum(gap.seconds for gap in self.breaks))


def read_account(journal: Journal, *, clock: Clock = SYSTEM_CLOCK) -> JobAccount:
    """The account as of now. Raises `JournalError` if it does not add up."""
    with journal.snapshot():
        header, runs, events = journal.header(), journal.runs(), journal.events()
        totals, command = journal.totals(), journal.command()
        texts = journal.texts(_SHOWN if header.texts <= _SHOWN else _EXAMPLES)
        records = [*standing(journal)]
    times = _times(journal.path, runs, events, records)
    waiting = (State.PLANNED, State.SENDING) if times["running"] else (State.PLANNED,)
    left = sum(row[2] for row in totals if row[0] in waiting)
    return JobAccount(
        journal=journal.path,
        read_at=clock.utcnow(),
        **_plan(header),
        **_people(journal.path, header, records),
        **times,
        paused=times["running"] and command is Command.PAUSE,
        chunks=len(records),
        chunks_left=left,
        requests=sum(row[4] for row in totals),
        throttled=sum(row[5] for row in totals),
        finished=header.complete and not left,
        stray=journal.strayed() if left and not times["running"] else None,
        errors=_errors(records),
        failures=tuple(filter(_failed, records)),
        runs=tuple(runs),
        examples=tuple(
            Text(message=text.message, context=text.context, people=people)
            for text, people in texts
        ),
    )


def standing(journal: Journal) -> Iterator[ChunkRecord]:
    """Every chunk as it stands for the account, in order.

    What waits to be sent again is as unknown as it was: a job that stops before it gets there must
    not call its people not sent. Nor may a file that may say less than what was done.
    """
    runs = journal.runs()
    idle = not _may_run(journal.path, runs)
    gone = idle and bool(runs)
    stray = journal.strayed() if idle else None
    for record in journal.records():
        if gone and record.state is State.SENDING:
            yield evolve(record, state=State.UNKNOWN, error="OutcomeUnknown", reason=_ORPHANED)
        elif record.waits_again:
            yield evolve(record, state=State.UNKNOWN)
        elif stray is not None and record.state is State.PLANNED:
            reason = _DOUBTS[stray]
            yield evolve(record, state=State.UNKNOWN, error="JournalError", reason=reason)
        else:
            yield record


def _may_run(path: str, runs: Sequence[Run]) -> bool:
    """Whether a process may be at work: a run has no end, and its lock is not free."""
    return bool(runs) and runs[-1].ended_at is None and not is_free(path)


def _plan(header: Header) -> dict[str, Any]:
    return {
        "source": header.source,
        "event_id": header.event_id,
        "complete": header.complete,
        "planned_at": _moment(header.planned_at),
        "duplicates": header.duplicates,
        "differing": header.differing,
        "invalid": header.invalid,
        "texts": header.texts,
    }


def _times(
    path: str, runs: Sequence[Run], events: Sequence[Event], records: Sequence[ChunkRecord]
) -> dict[str, Any]:
    running = _may_run(path, runs)
    began, ended = _span(runs, records)
    return {
        "running": running,
        "began_at": None if began is None else _moment(began),
        "ended_at": None if ended is None or running else _moment(ended),
        "timeline": _timeline(records, began or 0.0),
        "events": tuple(_mark(event, began) for event in events),
        "breaks": tuple(_breaks(runs, records)),
    }


def _people(path: str, header: Header, records: Sequence[ChunkRecord]) -> dict[str, Any]:
    found: Counter[State] = Counter()
    for record in records:
        found[record.state] += record.people
    everybody = found.total()
    if header.complete and everybody != header.people:
        raise JournalError(
            f"{path} is damaged: its chunks hold {everybody} people, its plan {header.people}."
            " Restore a copy of it"
        )
    unknown = [record for record in records if record.state is State.UNKNOWN]
    return {
        "people": everybody,
        "accepted": found[State.ACCEPTED],
        "rejected": found[State.REJECTED],
        "unknown": found[State.UNKNOWN],
        "left_alone": sum(record.people for record in unknown if record.left_alone),
        "resent": sum(record.people for record in records if record.resent),
        "not_sent": found[State.PLANNED] + found[State.SENDING],
        "in_flight": found[State.SENDING],
    }


def _failed(record: ChunkRecord) -> bool:
    met = record.state is State.PLANNED and record.error is not None
    return met or record.state in (State.REJECTED, State.UNKNOWN)


def _errors(records: Sequence[ChunkRecord]) -> tuple[ErrorKind, ...]:
    people: Counter[tuple[State, str, str]] = Counter()
    chunks: Counter[tuple[State, str, str]] = Counter()
    for record in filter(_failed, records):
        kind = (record.state, record.error or "", record.reason or "")
        people[kind] += record.people
        chunks[kind] += 1
    return tuple(
        ErrorKind(state=kind[0], error=kind[1], message=kind[2], people=count, chunks=chunks[kind])
        for kind, count in people.most_common()
    )


def _timeline(records: Sequence[ChunkRecord], began: float) -> tuple[tuple[float, int], ...]:
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


def _mark(event: Event, began: float | None) -> TimelineEvent:
    after = 0.0 if began is None else max(0.0, event.at - began)
    return TimelineEvent(
        incident=event.incident, after=after, seconds=max(0.0, event.seconds), reason=event.reason
    )


def _span(runs: Sequence[Run], records: Sequence[ChunkRecord]) -> tuple[float | None, float | None]:
    """Begin of the first run and end of the last; of one without an end, its last step."""
    if not runs:
        return None, None
    last = runs[-1]
    ended = last.ended_at or max(_steps(records), default=last.began_at)
    return runs[0].began_at, max(last.began_at, ended)


def _breaks(runs: Sequence[Run], records: Sequence[ChunkRecord]) -> Iterator[Break]:
    steps = sorted(_steps(records))
    for run, following in pairwise(runs):
        ended = run.ended_at
        if ended is None:  # killed: it was at work until its last step
            place = bisect_left(steps, following.began_at)
            ended = max(run.began_at, steps[place - 1]) if place else run.began_at
        if following.began_at > ended:
            after = max(0.0, ended - runs[0].began_at)
            yield Break(after=after, seconds=following.began_at - ended)


def _steps(records: Sequence[ChunkRecord]) -> Iterator[float]:
    for record in records:
        yield from (at for at in (record.sent_at, record.ended_at) if at is not None)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
