"""`RunStore` on a journal that this process has, through the thread that has it."""

from __future__ import annotations

from functools import partial

from attrs import define, field

from ...records import Chunk, Event, Held, Settlement, State, Stray, Wanted
from ..first import Chosen, First, Share, choose
from ..ports import Beginning, Begun, Found, Parts
from ..rows import held_of
from .account_store import SqliteAccountStore
from .journal import Journal
from .thread import JournalThread


@define(eq=False, repr=False)
class SqliteRunStore:
    """Nobody else has the file, so what this process has claimed stands in memory alone."""

    _thread: JournalThread
    #: The last chunk that was claimed.
    _claimed: int = field(default=-1, init=False)
    #: The runs for the first ones.
    _confined: set[str] = field(factory=set, init=False)

    @property
    def account(self) -> SqliteAccountStore:
        """What became of everybody so far."""
        return SqliteAccountStore(self._thread.do)

    @property
    def waits_for(self) -> None:
        """A disk answers, or is an error."""

    async def found(self) -> Found:
        """What there is."""
        return await self._thread.do(_found)

    async def begin(self, beginning: Beginning) -> Begun:
        """Begin a run, in one commit."""
        begun = await self._thread.do(partial(_begin, beginning))
        if begun.chosen is not None:
            self._confined.add(beginning.run.id)
        return begun

    async def claim(self, owner: str, count: int) -> list[Chunk]:
        """The next planned chunks."""
        while True:
            after, chosen = self._claimed, owner in self._confined
            found = await self._thread.do(partial(_claim, after, count, owner, chosen))
            if after == self._claimed:  # else they were claimed by another meanwhile
                self._claimed = found[-1].id if found else after
                return found

    async def others_hold(self) -> bool:
        """Nobody else has the file."""
        return False

    async def totals(self) -> None:
        """Nobody else has it."""

    async def sending(self, chunk: Chunk, at: float) -> bool:
        """It is on the disk when this returns."""
        return await self._thread.do(lambda journal: journal.sending(chunk.id, at, chunk.owner))

    async def settle(self, step: Settlement, parts: Parts = ()) -> bool:
        """As `sending`."""
        return await self._thread.do(lambda journal: journal.settle(step, parts))

    def note(self, event: Event) -> None:
        """Something made the job wait."""
        self._thread.note(lambda journal: journal.add_event(event))

    def hold(self, owner: str, held: Held | None) -> None:
        """What holds this run."""
        values = held_of(held) | {"owner": owner}
        self._thread.note(lambda journal: journal.write("hold", values))

    async def wanted(self) -> Wanted:
        """What another terminal wants."""
        return await self._thread.do(lambda journal: journal.reads.wanted())

    def time(self) -> None:
        """This machine's: nobody else runs it."""

    def finish(self, owner: str, at: float, how: str) -> None:
        """The run ends."""
        self._thread.note(lambda journal: journal.write("end_run", (at, how, owner)))


def _claim(after: int, count: int, owner: str, chosen: bool, journal: Journal) -> list[Chunk]:
    return journal.reads.claim(after, count, owner, chosen=chosen)


def _found(journal: Journal) -> Found:
    return Found(
        header=journal.reads.header(),
        totals=journal.reads.totals(),
        may_have_told=bool(journal.reads.value("may_have_told")),
        stray=journal.identity.strayed(),
        left_at=journal.reads.value("left_at"),
    )


def _begin(beginning: Beginning, journal: Journal) -> Begun:
    stray = beginning.stray
    if journal.identity.strayed() is not stray:  # another file was put there since it was looked at
        raise journal.identity.moved()
    _decide_unknown(beginning, journal)
    journal.belong(beginning.base_url, beginning.identity)
    # A command to an earlier run is none to this one, whatever the clock says.
    journal.write("forget_command", (journal.commanded_at,))
    run, first = beginning.run, beginning.first
    recent = journal.reads.recent(run.began_at, run.per, run.budget)
    chosen = None if first is None else _choose(first, run.id, journal)
    totals = journal.reads.totals()
    if beginning.schedule is not None:
        journal.write("set_schedule", beginning.schedule.columns)
    if any(total.state is State.PLANNED for total in totals):
        journal.begin_run(run)
    return Begun(
        totals=totals,
        chosen=chosen,
        isolated=journal.reads.value("isolated"),
        recent=recent,
        wanted=journal.reads.wanted(),
    )


def _choose(first: First, owner: str, journal: Journal) -> Chosen:
    """Claim so many people for this run; a chunk that holds more is divided."""
    shares = choose(journal.reads.free(), first)
    for share in shares:
        journal.write("take", (owner, _part(share, journal) if share.divides else share.chunk))
    return Chosen(chunks=len(shares), people=sum(share.people for share in shares))


def _part(share: Share, journal: Journal) -> int:
    """Divide a chunk; the part that is taken."""
    people = journal.reads.addresses(share.chunk)
    journal.write("divide", (share.chunk,))
    return journal.split(share.chunk, [people[: share.people], people[share.people :]])


def _decide_unknown(beginning: Beginning, journal: Journal) -> None:
    """Who is unknown from now on, and what becomes of them."""
    stray = beginning.stray
    if beginning.unknown is not None or stray not in (None, Stray.COPY):
        journal.orphans()
    if stray is not None:
        if stray is not Stray.COPY:
            journal.doubt()
        journal.identity.adopt()
    if beginning.unknown == "resend":
        journal.write("resend_unknown")
    elif beginning.unknown == "skip":
        journal.write("leave_unknown", (beginning.run.began_at,))
