"""A second kind of store, in memory: what the ports ask for is enough for a job, and no file is.

Many runs may be at work on a job of it at a time; a run is dead once somebody has buried it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from attrs import define, evolve, field, frozen

from moveworks_shift_async.errors import JobRunning, JournalError
from moveworks_shift_async.jobs.left_out import Left, LeftOut
from moveworks_shift_async.jobs.records import (
    Chunk,
    ChunkRecord,
    Command,
    Event,
    Header,
    Held,
    Run,
    Settlement,
    State,
    Total,
    Wanted,
)
from moveworks_shift_async.jobs.store.first import Chosen, First, choose
from moveworks_shift_async.jobs.store.ports import (
    Audience,
    Beginning,
    Begun,
    Found,
    JobState,
    Parts,
    PlanBatch,
    PlannedText,
)
from moveworks_shift_async.jobs.store.rows import held_of
from moveworks_shift_async.wire.moveworks import Content
from moveworks_shift_async.wire.recipients import CheckedRecipients


@define(eq=False)
class Row:
    """A chunk."""

    record: ChunkRecord
    text: int
    people: tuple[str, ...]
    claimed_by: str = ""
    #: Of a part: the planned chunk that it comes from.
    origin: int | None = None


@define(eq=False)
class Kept:
    """A job."""

    header: Header
    planning: bool = True
    texts: dict[int, Content] = field(factory=dict)
    odd: dict[int, str] = field(factory=dict)
    rows: list[Row] = field(factory=list)
    left_out: list[LeftOut] = field(factory=list)
    runs: dict[str, Run] = field(factory=dict)
    events: list[Event] = field(factory=list)
    command: Command = Command.RUN
    dead: set[str] = field(factory=set)
    #: The runs for the first ones.
    confined: set[str] = field(factory=set)
    #: The chunks that a run was given.
    given: defaultdict[str, set[int]] = field(factory=lambda: defaultdict(set))

    @property
    def alive(self) -> frozenset[str]:
        """The runs that may be at work."""
        open_ = {name for name, run in self.runs.items() if run.ended_at is None}
        return frozenset(open_ - self.dead)

    def is_free(self, row: Row) -> bool:
        """No run that may be at work has claimed it."""
        run = self.runs.get(row.claimed_by)
        ended = row.claimed_by in self.dead or (run is not None and run.ended_at is not None)
        return not row.claimed_by or ended

    def records(self) -> list[ChunkRecord]:
        """Every chunk that was not divided."""
        return [row.record for row in self.rows if row.record.state is not State.SPLIT]

    def change(
        self, of: Callable[[ChunkRecord], bool], to: Callable[[ChunkRecord], ChunkRecord]
    ) -> None:
        """Change the records of which this is true."""
        for row in self.rows:
            row.record = to(row.record) if of(row.record) else row.record

    def totals(self) -> list[Total]:
        """How many chunks and people stand where."""
        found: dict[tuple[State, bool], list[ChunkRecord]] = {}
        for row in self.rows:
            found.setdefault((row.record.state, row.record.left_alone), []).append(row.record)
        return [
            Total(
                state=state, left_alone=left, chunks=len(records),
                people=sum(record.people for record in records),
                requests=sum(record.requests for record in records),
                throttled=sum(record.throttled for record in records),
            )
            for (state, left), records in found.items()
        ]  # fmt: skip

    def divide(self, row: Row, parts: Sequence[Sequence[str]]) -> int:
        """Chunks for the parts of one; the number of the first."""
        first, origin = len(self.rows), row.record.id if row.origin is None else row.origin
        for people in parts:
            self.add(row.text, people, resent=row.record.resent)
        for part in self.rows[first:]:
            part.origin = origin
            if row.claimed_by in self.confined:
                part.claimed_by = row.claimed_by
        return first

    def choose(self, first: First, owner: str) -> Chosen:
        """Claim so many people for this run."""
        free = sorted(
            (row for row in self.rows if row.record.state is State.PLANNED and self.is_free(row)),
            key=lambda row: (row.record.id if row.origin is None else row.origin, row.record.id),
        )
        shares = choose(((row.record.id, row.text, row.record.people) for row in free), first)
        for share in shares:
            row = self.rows[share.chunk]
            row.claimed_by = ""
            if share.divides:
                row.record = evolve(row.record, state=State.SPLIT, error=None, reason=None)
                cut = share.people
                row = self.rows[self.divide(row, [row.people[:cut], row.people[cut:]])]
            row.claimed_by = owner
        return Chosen(chunks=len(shares), people=sum(share.people for share in shares))

    def add(self, text: int, people: Sequence[str], *, resent: bool = False) -> None:
        """One more chunk."""
        record = ChunkRecord(
            id=len(self.rows), state=State.PLANNED, people=len(people), requests=0, throttled=0,
            sent_at=None, ended_at=None, error=None, reason=None, left_at=None, resent=resent,
        )  # fmt: skip
        self.rows.append(Row(record, text, tuple(people)))

    def verify(self) -> None:
        """It is whole."""
        if not self.header.complete:
            raise JournalError("the planning was interrupted; nothing was sent: plan it again")


@frozen
class MemoryStore:
    """`Store`."""

    name: str
    jobs: dict[str, Kept] = field(factory=dict)
    scratch: str | None = None

    async def plan(self, header: Header) -> MemoryPlan:
        """Make it."""
        if (job := self.jobs.get(self.name)) is not None:
            if job.planning:
                raise JobRunning("it is just being planned")
            if job.header.complete:
                raise JournalError(f"{self.name} holds a job already")
        self.jobs[self.name] = Kept(evolve(header, key=self.name))
        return MemoryPlan(self)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[MemoryRun]:
        """Whoever lets go of it has died, for all that this kind knows."""
        job = self.job()
        job.verify()
        yield MemoryRun(self)

    @asynccontextmanager
    async def reading(self, *, addresses: bool = True) -> AsyncGenerator[MemoryAccount]:
        """All of it as it is."""
        self.job()
        yield MemoryAccount(self)

    async def ask(self, command: Command, at: float) -> bool:
        """Ask it of all runs."""
        job = self.job()
        if not job.alive or (command is Command.RUN and job.command is not Command.PAUSE):
            return False
        job.command = command
        return True

    async def exists(self) -> bool:
        """Whether there is one."""
        return self.name in self.jobs

    def remove(self) -> None:
        """Forget it."""
        self.jobs.pop(self.name, None)

    def job(self) -> Kept:
        """The job."""
        if self.name not in self.jobs:
            raise JournalError(f"there is no job {self.name}")
        return self.jobs[self.name]


@frozen
class MemoryPlan:
    """`PlanStore`."""

    store: MemoryStore

    async def write(self, batch: PlanBatch) -> None:
        """Keep it."""
        job = self.store.job()
        job.texts |= dict(batch.texts)
        job.odd |= batch.odd
        job.left_out += batch.left_out
        for text, people in batch.chunks:
            job.add(text, people)

    async def complete(self, header: Header) -> Header:
        """It is whole."""
        job = self.store.job()
        job.header = evolve(header, complete=True, key=job.header.key)
        return job.header

    async def discard(self) -> None:
        """Forget it."""
        self.store.remove()

    def close(self) -> None:
        """Let others have it."""
        if self.store.name in self.store.jobs:
            self.store.job().planning = False


@frozen
class MemoryAccount:
    """`AccountStore`."""

    store: MemoryStore

    async def state(self) -> JobState:
        """How everything stands."""
        job = self.store.job()
        return JobState(
            name=self.store.name, header=job.header, records=job.records(), totals=job.totals(),
            runs=[*job.runs.values()], events=[*job.events], command=job.command,
            alive=job.alive, stray=None,
        )  # fmt: skip

    async def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts."""
        job, people = self.store.job(), dict.fromkeys(self.store.job().texts, 0)
        for row in job.rows:
            people[row.text] += len(row.people) * (row.record.state is not State.SPLIT)
        return [(job.texts[number], people[number]) for number in sorted(people)[:count]]

    async def whole_header(self) -> Header:
        """The header."""
        self.store.job().verify()
        return self.store.job().header

    async def planned_texts(self) -> AsyncIterator[Sequence[PlannedText]]:
        """One at a time."""
        job = self.store.job()
        for number, text in sorted(job.texts.items(), key=lambda item: item[0]):
            yield [PlannedText(number=number, content=text, odd=job.odd.get(number))]

    async def audiences(self, texts: Sequence[int]) -> dict[int, Audience]:
        """Those of its chunks."""
        found: dict[int, list[tuple[str, ...]]] = {}
        for row in self.store.job().rows:
            if row.text in texts and row.record.state is not State.SPLIT:
                found.setdefault(row.text, []).append(row.people)
        return {
            text: Audience(people=sum(map(len, parts)), first=parts[0])
            for text, parts in found.items()
        }

    async def verify(self) -> None:
        """It is whole."""
        self.store.job().verify()

    async def recipients(self) -> AsyncIterator[Sequence[tuple[int, tuple[str, ...]]]]:
        """One at a time."""
        for row in self.store.job().rows:
            if row.record.state is not State.SPLIT:
                yield [(row.record.id, row.people)]

    async def left_out(self) -> AsyncIterator[LeftOut]:
        """Those that are no address first, and duplicates last."""
        order = [Left.INVALID, Left.EXCLUDED, Left.DUPLICATE]
        for left in sorted(self.store.job().left_out, key=lambda left: order.index(left.why)):
            yield left


@frozen
class MemoryRun:
    """`RunStore`."""

    store: MemoryStore

    @property
    def account(self) -> MemoryAccount:
        """As of now."""
        return MemoryAccount(self.store)

    @property
    def waits_for(self) -> None:
        """Memory is there."""

    async def found(self) -> Found:
        """What there is."""
        job = self.store.job()
        return Found(
            header=job.header, totals=job.totals(), stray=None,
            may_have_told=any(
                r.resent
                or r.state not in (State.PLANNED, State.SPLIT)
                or (r.state is State.SPLIT and r.error)
                for r in (row.record for row in job.rows)
            ),
            left_at=max((r.left_at for r in job.records() if r.left_at), default=None),
        )  # fmt: skip

    async def begin(self, beginning: Beginning) -> Begun:
        """Begin a run."""
        job, run = self.store.job(), beginning.run
        job.change(
            lambda r: r.state is State.SENDING and r.owner not in job.alive,
            lambda r: evolve(
                r, state=State.UNKNOWN, requests=r.requests + 1, error="OutcomeUnknown"
            ),
        )
        if beginning.unknown == "resend":
            job.change(
                lambda r: r.state is State.UNKNOWN and not r.left_alone,
                lambda r: evolve(r, state=State.PLANNED, resent=True),
            )
        elif beginning.unknown == "skip":
            job.change(
                lambda r: not r.left_alone and (r.state is State.UNKNOWN or r.waits_again),
                lambda r: evolve(r, state=State.UNKNOWN, left_at=run.began_at),
            )
        job.header = evolve(job.header, base_url=beginning.base_url, identity=beginning.identity)
        if not job.alive:
            job.command = Command.RUN
        if beginning.schedule is not None:
            windows, first, last = beginning.schedule.columns
            job.header = evolve(job.header, windows=windows, not_before=first, not_after=last)
        if any(record.state is State.PLANNED for record in job.records()):
            job.runs[run.id] = run
        chosen = None
        if beginning.first is not None:
            job.confined.add(run.id)
            chosen = job.choose(beginning.first, run.id)
        ages = [run.began_at - (r.ended_at or r.sent_at) for r in job.records() if r.sent_at]
        return Begun(
            totals=job.totals(), wanted=await self.wanted(), chosen=chosen,
            isolated=2 * sum(
                row.record.state is State.SPLIT and row.record.error is not None
                for row in job.rows
            ),
            recent=[age for age in ages if abs(age) < run.per],
        )  # fmt: skip

    async def claim(self, owner: str, count: int) -> list[Chunk]:
        """What nobody alive has claimed; this kind knows a claim from the run that made it."""
        job = self.store.job()
        free = [
            row for row in job.rows
            if row.record.state is State.PLANNED
            and (
                row.claimed_by == owner and row.record.id not in job.given[owner]
                if owner in job.confined
                else job.is_free(row)
            )
        ][:count]  # fmt: skip
        for row in free:
            row.claimed_by = owner
            job.given[owner].add(row.record.id)
        return [
            Chunk(id=row.record.id, content=job.texts[row.text], owner=owner,
                  recipients=CheckedRecipients(row.people), resent=row.record.resent)
            for row in free
        ]  # fmt: skip

    async def others_hold(self) -> bool:
        """Whether any chunk is claimed, or on its way, by a run that lives."""
        job = self.store.job()
        return any(
            (row.record.state is State.SENDING and row.record.owner in job.alive)
            or (row.record.state is State.PLANNED and row.claimed_by in job.alive)
            for row in job.rows
        )

    async def totals(self) -> None:
        """As `others_hold`."""

    async def sending(self, chunk: Chunk, at: float) -> bool:
        """Compare, and set."""
        row = self.store.job().rows[chunk.id]
        if row.record.state is not State.PLANNED:
            return False
        row.record = evolve(
            row.record, state=State.SENDING, sent_at=at, ended_at=None, owner=chunk.owner
        )
        return True

    async def settle(self, step: Settlement, parts: Parts = ()) -> bool:
        """Compare, and set."""
        job = self.store.job()
        row = job.rows[step.chunk]
        record, orphan = row.record, row.record.state is State.UNKNOWN
        late = orphan and record.ended_at is None and step.state is not State.UNKNOWN
        if record.owner != step.owner or not (record.state is State.SENDING or late):
            return False
        row.record = evolve(
            record, state=step.state, ended_at=step.at, error=step.error, reason=step.reason,
            requests=record.requests + step.requests - orphan,
            throttled=record.throttled + step.throttled,
        )  # fmt: skip
        if parts:
            job.divide(row, parts)
        return True

    def note(self, event: Event) -> None:
        """Keep it."""
        self.store.job().events.append(event)

    def hold(self, owner: str, held: Held | None) -> None:
        """Keep it."""
        runs = self.store.job().runs
        runs[owner] = evolve(runs[owner], **held_of(held))

    async def wanted(self) -> Wanted:
        """What is wanted."""
        job = self.store.job()
        return Wanted(command=job.command, schedule=job.header.schedule)

    def time(self) -> None:
        """This machine's."""

    def finish(self, owner: str, at: float, how: str) -> None:
        """It ends."""
        runs = self.store.job().runs
        if owner in runs:
            runs[owner] = evolve(runs[owner], ended_at=at, ended=how)


def in_memory() -> MemoryStore:
    """A place without a job."""
    return MemoryStore("memory:job")


async def bury(store: object, owner: str) -> None:
    """Have it known that the process of a run has died."""
    assert isinstance(store, MemoryStore)
    store.job().dead.add(owner)
