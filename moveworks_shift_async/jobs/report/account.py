"""What became of everybody in a job, as values. Addresses are neither read nor held here.

A chunk that is `sending` counts as not sent while a process may be at work on it. Once that
process is surely gone, its request may have arrived: it counts as unknown, as `resume` will say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from attrs import field, frozen

from ...clock import SYSTEM_CLOCK, Clock
from ...errors import JournalError
from ...wire.moveworks import Content
from ..left_out import Exclusion
from ..records import ChunkRecord, Command, Header, Run, State, Stray
from ..schedule.schedule import Schedule
from ..store.ports import TEXTS, AccountStore, JobState
from ..store.standing import standing
from ..threads import in_thread
from .timeline import (
    Break,
    TimelineEvent,
    breaks,
    closed_since,
    ending_of,
    gaps,
    span,
    timeline,
    timeline_event,
)

# Texts that an account shows where there are more than it shows all of: the first, for examples.
_EXAMPLES = 3
# What an account says as its journal does.
_OF_HEADER = ("source", "event_id", "complete", "excluded", "exclusions", "duplicates", "differing",
              "invalid", "texts")  # fmt: skip


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
    #: False: it is being planned, or that was interrupted; nothing was ever sent.
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
    #: Not told, for they are on one of the lists in `exclusions`; they are none of `people`.
    excluded: int = 0
    #: The lists of people who are not to be told, each with whom it excludes.
    exclusions: tuple[Exclusion, ...] = ()
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
    #: When the texts and addresses were removed; None: they are there.
    forgotten_at: datetime | None = None
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
    #: Why the last run, or the one that returned this, ended before everybody was sent to; None:
    #: it did not, or is on, or was killed.
    ending: str | None = None
    #: Those of them that may be at work now.
    at_work: tuple[Run, ...] = field(repr=False)
    #: When it may send.
    schedule: Schedule = field(factory=Schedule, repr=False)
    #: Why nothing of what is left may be sent now, and until when; None: it may, or none is left.
    closed: str | None = None
    #: When it may; None: it may now, nothing is left, or it may not any more.
    opens_at: datetime | None = None
    #: All texts of a job that has few, else the first of them.
    examples: tuple[Text, ...] = field(repr=False)

    @property
    def begun(self) -> bool:
        """A process has worked on it."""
        return bool(self.runs)

    @property
    def forgotten(self) -> bool:
        """Only the numbers are left."""
        return self.forgotten_at is not None

    @property
    def entries(self) -> int:
        """Entries of the source: each is one of the people, or left out for one reason."""
        return self.people + self.excluded + self.duplicates + self.invalid

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
        """Seconds of `elapsed` in which a process was at work, and might send."""
        return max(0.0, self.elapsed - sum(gap.seconds for gap in self.gaps))

    @property
    def gaps(self) -> tuple[Break, ...]:
        """When no process was at work, or nothing was to be sent."""
        return gaps(self.breaks, self.events, closed_since(self.runs, self.at_work), self.elapsed)


async def read_account(store: AccountStore, *, clock: Clock = SYSTEM_CLOCK) -> JobAccount:
    """The account as of now. Raises `JournalError` if it does not add up."""
    state, texts = await read_state(store)
    return await in_thread(partial(account_of, state, texts, clock))


async def read_state(store: AccountStore) -> tuple[JobState, list[tuple[Content, int]]]:
    """What `account_of` takes."""
    state = await store.state()
    return state, await store.texts(TEXTS if state.header.texts <= TEXTS else _EXAMPLES)


def account_of(
    state: JobState, texts: Sequence[tuple[Content, int]], clock: Clock = SYSTEM_CLOCK
) -> JobAccount:
    """The account of this state, with some texts as examples; raises as `read_account`."""
    header, records, left = state.header, [*standing(state)], _chunks_left(state)
    read_at = clock.utcnow()
    now = read_at if state.now is None else _moment(state.now)
    return JobAccount(
        journal=state.name,
        read_at=read_at,
        planned_at=_moment(header.planned_at),
        forgotten_at=None if header.forgotten_at is None else _moment(header.forgotten_at),
        **{name: getattr(header, name) for name in _OF_HEADER},
        **_people(state.name, header, records),
        **_times(state, records),
        chunks=len(records),
        chunks_left=left,
        requests=sum(total.requests for total in state.totals),
        throttled=sum(total.throttled for total in state.totals),
        finished=header.complete and not left,
        **_hours(header.schedule, now, left),
        stray=state.stray if left else None,
        errors=_errors(records),
        failures=tuple(filter(_failed, records)),
        examples=tuple(
            Text(message=text.message, context=text.context, people=people)
            for text, people in texts
        ),
    )


def _chunks_left(state: JobState) -> int:
    waiting = (State.PLANNED, State.SENDING) if state.alive else (State.PLANNED,)
    return sum(total.chunks for total in state.totals if total.state in waiting)


def _hours(schedule: Schedule, now: datetime, left: int) -> dict[str, Any]:
    closed = schedule.why_closed(now) if left else None
    opens = None if closed is None else schedule.opens(now)
    return {"schedule": schedule, "closed": closed, "opens_at": opens}


def _times(state: JobState, records: Sequence[ChunkRecord]) -> dict[str, Any]:
    began, ended = span(state.runs, records)
    return {
        "running": bool(state.alive),
        "paused": bool(state.alive) and state.command is Command.PAUSE,
        "runs": tuple(state.runs),
        "ending": None if state.alive or not state.runs else ending_of(state.runs[-1]),
        "at_work": tuple(run for run in state.runs if run.id in state.alive),
        "began_at": None if began is None else _moment(began),
        "ended_at": None if ended is None or state.alive else _moment(ended),
        "timeline": timeline(records, began or 0.0),
        "events": tuple(timeline_event(event, began) for event in state.events),
        "breaks": tuple(breaks(state.runs, records)),
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


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
