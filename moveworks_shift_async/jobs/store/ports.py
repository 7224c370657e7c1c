"""What a job asks of the place where it is kept: async, made of values, by who asks.

::

    Store         one job by its name: it leads to the others
    PlanStore     the planner: chunks in, a whole plan at the end
    RunStore      one process that runs the job
    AccountStore  whoever wants to know what became of everybody

Theory of operation. A run has an identity, by which it owns chunks. A chunk is claimed by one
owner; it is `sending`, for that owner, before the first byte of its request leaves; its end is
settled by the same owner. Whoever begins a run turns what dead owners left `sending` into unknown;
how a store knows that an owner is dead (a lock, a lease that ran out) is its own matter. A late
answer of such an owner may still make that better, and nothing else may. Whoever has lost a chunk
to another hears `False`, and goes on with the next one. `JournalError` is for a store that cannot
be used.

What is true of every kind stands in `tests/contracts/test_stores.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from attrs import field, frozen

from ...wire.moveworks import Content
from ..left_out import LeftOut
from ..records import (
    Chunk,
    ChunkRecord,
    Command,
    Event,
    Header,
    Held,
    Run,
    Settlement,
    Stray,
    Total,
    Wanted,
)
from ..schedule.schedule import Schedule
from .first import Chosen, First

#: What to do with those whose outcome is not known.
OnLeftUnknown = Literal["report", "resend", "skip"]
#: Texts that an account shows at most.
TEXTS = 10
#: Addresses of a chunk that is divided.
Parts = Sequence[tuple[str, ...]]


@frozen(kw_only=True)
class PlanBatch:
    """A part of a plan."""

    #: Texts that come for the first time, by their numbers.
    texts: Sequence[tuple[int, Content]] = field(default=(), repr=False)
    #: Of these texts, what is odd about a column's value in them.
    odd: Mapping[int, str] = field(factory=dict, repr=False)
    #: Number of the first of these chunks; the others follow it.
    first: int = 0
    #: Text's number and addresses of each chunk.
    chunks: Sequence[tuple[int, Sequence[str]]] = field(default=(), repr=False)
    left_out: Sequence[LeftOut] = field(default=(), repr=False)


@frozen(kw_only=True)
class PlannedText:
    """What some people are to be told."""

    number: int
    content: Content = field(repr=False)
    #: What is odd about a column's value in it; None: nothing.
    odd: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Audience:
    """Whom a text is for."""

    people: int
    #: Those of its first chunk.
    first: Sequence[str] = field(repr=False)


@frozen(kw_only=True)
class Found:
    """What a process finds before it begins a run."""

    header: Header
    totals: Sequence[Total]
    #: Somebody was told, refused, or may have been.
    may_have_told: bool
    #: Why this may not be what the job was last run from.
    stray: Stray | None
    #: When the user said last that the unknown shall stay so; None: never.
    left_at: float | None
    #: Other runs are at work on it.
    others: bool = False


@frozen(kw_only=True)
class Beginning:
    """How a run begins."""

    run: Run
    base_url: str
    #: A digest of what stays the same of the credential.
    identity: str
    #: As `Found` said, and by the user's word this is the newest all the same.
    stray: Stray | None
    #: None: nobody was told, so nobody is unknown.
    unknown: OnLeftUnknown | None
    #: Whom it is for; None: for all who are planned.
    first: First | None = None
    #: When it may send from now on; None: as it is kept.
    schedule: Schedule | None = None


@frozen(kw_only=True)
class Begun:
    """What a run begins with."""

    totals: Sequence[Total]
    #: Chunks that splitting has added.
    isolated: int
    #: Ages in seconds of the requests that the server may still count.
    recent: Sequence[float]
    wanted: Wanted
    #: Of a run for the first ones; None: it is for all who are planned.
    chosen: Chosen | None = None


@frozen(kw_only=True)
class JobState:
    """A job as of one moment, without its addresses."""

    name: str
    header: Header
    #: Every chunk that was not divided, in order.
    records: Sequence[ChunkRecord]
    totals: Sequence[Total]
    runs: Sequence[Run]
    events: Sequence[Event]
    command: Command
    #: The runs that may be at work.
    alive: frozenset[str]
    #: The workers of a fleet have it, and go on with it also where no run is at work just now.
    submitted: bool = False
    #: Why it may say less than was done; None while a run is at work.
    stray: Stray | None
    #: The time by which its schedule is, in seconds since 1970; None: this machine's.
    now: float | None = field(default=None, eq=False)


class PlanStore(Protocol):
    """A job while it is planned: nobody else has it. It ends with `discard`, or with `close`."""

    async def write(self, batch: PlanBatch) -> None:
        """Keep a part of the plan; one after the other."""

    async def complete(self, header: Header) -> Header:
        """The plan is whole: fix its numbers, and return them as they are kept."""

    async def discard(self) -> None:
        """Leave nothing behind, whatever was written."""

    def close(self) -> None:
        """Let others have it. Never waits: nothing may come between a whole plan and its end."""


class AccountStore(Protocol):
    """A job as of one moment."""

    async def state(self) -> JobState:
        """How everything stands."""

    async def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts of the job, each with how many people it is for."""

    async def whole_header(self) -> Header:
        """The header; `JournalError` if the plan is not whole, or its texts were removed."""

    def planned_texts(self) -> AsyncIterator[Sequence[PlannedText]]:
        """Every text in the order of their numbers, some at a time."""

    async def audiences(self, texts: Sequence[int]) -> Mapping[int, Audience]:
        """Whom each of these texts is for; not among them: one for nobody."""

    async def verify(self) -> None:
        """Raise `JournalError` if the plan is not whole, or not what was planned."""

    def recipients(self) -> AsyncIterator[Sequence[tuple[int, tuple[str, ...]]]]:
        """Whom each chunk is for, in the order of the state's records; some chunks at a time."""

    def left_out(self) -> AsyncIterator[LeftOut]:
        """The entries that are for nobody: no addresses, then excluded ones, then duplicates."""


class RunStore(Protocol):
    """A job that this process runs."""

    @property
    def account(self) -> AccountStore:
        """What became of everybody so far."""

    @property
    def waits_for(self) -> str | None:
        """Why its steps take longer than they should; None: they do not."""

    async def found(self) -> Found:
        """What there is; nothing is changed."""

    async def begin(self, beginning: Beginning) -> Begun:
        """Begin a run, or change nothing if it raises.

        What dead runs left `sending` is unknown; then the unknown are treated as was asked. A job
        with nothing to send gets no run. A command to an earlier run is forgotten. What a run for
        the first ones is to send is chosen, and claimed at once, so that it is exactly so many.
        """

    async def claim(self, owner: str, count: int) -> list[Chunk]:
        """The next planned chunks that no living run has claimed; none: there are no more now.

        A chunk stays claimed until it has ended, or its owner's run has. A run for the first ones
        is given what `begin` has chosen, and the parts of it, and nothing else.
        """

    async def others_hold(self) -> bool:
        """Whether other runs have chunks, so that a later `claim` may find what none does now."""

    async def totals(self) -> Sequence[Total] | None:
        """How all chunks stand now; None: no other process has a part in it."""

    async def sending(self, chunk: Chunk, at: float) -> bool:
        """A request of this chunk may leave once this returns True; False: it is another's."""

    async def settle(self, step: Settlement, parts: Parts = ()) -> bool:
        """A request has ended; its chunk is divided into these parts, if there are any.

        False: it was not its owner's to settle any more, and nothing was changed.
        """

    def note(self, event: Event) -> None:
        """Something made the job wait. Never waits or raises: a lost note is no reason to stop."""

    def hold(self, owner: str, held: Held | None) -> None:
        """What holds this run from now on, for whoever looks; None: nothing. As `note`."""

    async def wanted(self) -> Wanted:
        """What somebody elsewhere wants of this run."""

    def time(self) -> tuple[float, float] | None:
        """The time by which its schedule is, in seconds since 1970; None: this machine's.

        Where a job has workers on many machines, it is one for all of them. From another machine it
        is not known better than to lie between two.
        """

    def finish(self, owner: str, at: float, how: str) -> None:
        """The run ends. As `note`; all is kept when the store is let go of."""


class Store(Protocol):
    """Where one job is kept. Its methods raise `JournalError`."""

    @property
    def name(self) -> str:
        """As the user gave it."""

    @property
    def scratch(self) -> str | None:
        """A folder for what a plan cannot hold in memory; None: the system's own."""

    async def plan(self, header: Header) -> PlanStore:
        """A new job; one whose planning broke off is replaced, nothing else is."""

    def running(self) -> AbstractAsyncContextManager[RunStore]:
        """Take the job to run it; verified first. Raises `JobRunning` where one may run it."""

    def reading(self, *, addresses: bool = True) -> AbstractAsyncContextManager[AccountStore]:
        """Look at it, and leave it as it is.

        Without `addresses` it takes a small part of the time, and gives its state and at most
        `TEXTS` texts.
        """

    async def exists(self) -> bool:
        """Whether a job of this name is there, whole or not; what cannot be looked at raises."""

    def remove(self) -> None:
        """Leave nothing of it, also not what is remembered of it; no error if that cannot be."""

    async def ask(self, command: Command, at: float) -> bool:
        """Ask this of the runs; False: none is at work, or none is paused that is to go on."""
