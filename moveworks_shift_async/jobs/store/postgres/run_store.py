"""`RunStore` on a database: one connection of its own, and one writer."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from attrs import asdict, define, field

from ....clock import awake
from ....errors import JournalError
from ....storage.postgres import Connection, Session
from ...records import Chunk, Command, Event, Held, Settlement, State, Total, Wanted
from ...schedule.schedule import Schedule
from ..ports import Beginning, Begun, Found, Parts
from ..rows import ages_of, chunk_of, held_of
from .account_store import PostgresAccountStore, check_kept, header_of, verify
from .batch import Sending, Settling
from .lease import give_up_dead, others_hold
from .parts import choose_first, chosen_by
from .statements import row, rows, run, set_schedule, value, values
from .writer import Writer

T = TypeVar("T")

#: Seconds for which a run may be silent before others give it up.
LEASE_SECONDS = 60.0
#: A shorter lease ends while a transaction takes its time; after an hour nobody waits for others.
LEAST_LEASE, MOST_LEASE = 2.0, 3600.0
# The part of a lease that is left when a request leaves: to connect takes 10 s at most.
_LEFT = 1 / 3


@define(eq=False, repr=False)
class PostgresRunStore:
    """The runs of this process on one job."""

    _url: str
    _job: int
    #: As the user may read it.
    _name: str
    _lease: float
    _session: Session = field(init=False)
    _writer: Writer = field(init=False)
    #: Chunks that this process knows to be its own.
    _known: dict[str, set[int]] = field(factory=dict, init=False)
    #: The last chunk that was claimed.
    _claimed: int = field(default=-1, init=False)
    #: The runs for the first ones.
    _confined: set[str] = field(factory=set, init=False)
    _event_id: str | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._session = Session(self._url)
        self._writer = Writer(self._session, self._job, self._lease)

    async def open(self) -> None:
        """Connect, and see that the job is whole."""
        await self._session.open()
        try:
            header = await self._session.surely(lambda one: verify(one, self._job, self._name))
        except BaseException:
            self._session.close()
            raise
        self._event_id = header.event_id
        self._writer.start()

    async def close(self) -> None:
        """Write what is left to write, and let others have what is not ended."""
        try:
            await self._writer.close()
        finally:
            self._session.close()

    @property
    def account(self) -> PostgresAccountStore:
        """What became of everybody so far."""
        return PostgresAccountStore(self._url, self._job, self._name, waits=True)

    @property
    def waits_for(self) -> str | None:
        """The database, while it is away."""
        away = self._session.away
        return None if away is None else f"waiting for the database: {away}"

    async def found(self) -> Found:
        """What there is."""
        return await self._session.surely(self._found)

    async def _found(self, connection: Connection) -> Found:
        job = (self._job,)
        return Found(
            header=await header_of(connection, self._job),
            totals=await self._totals(connection),
            may_have_told=await value(connection, "may_have_told", job),
            stray=None,
            left_at=await value(connection, "left_at", job),
            others=bool(await rows(connection, "alive", job)),
        )

    async def begin(self, beginning: Beginning) -> Begun:
        """Begin a run, in one commit."""
        if beginning.first is not None:
            self._confined.add(beginning.run.id)
        return await self._session.surely(partial(self._begin, beginning))

    async def _begin(self, beginning: Beginning, connection: Connection) -> Begun:
        run_, job = beginning.run, (self._job,)
        asked = awake()
        self._writer.told(await value(connection, "now"), asked)
        if not await value(connection, "has_begun", {"job": self._job, "id": run_.id}):
            await self._begin_anew(beginning, connection)
        found = await rows(connection, "recent", (self._job, run_.budget))
        confined = beginning.first is not None
        return Begun(
            totals=await self._totals(connection),
            chosen=await chosen_by(connection, self._job, run_.id) if confined else None,
            isolated=await value(connection, "isolated", job),
            recent=ages_of(found, run_.began_at, run_.per),
            wanted=await self._wanted(connection),
        )

    async def _begin_anew(self, beginning: Beginning, connection: Connection) -> None:
        run_, job = beginning.run, {"job": self._job}
        await give_up_dead(connection, self._job)
        if beginning.unknown == "resend":
            await run(connection, "resend_unknown", (self._job,))
        elif beginning.unknown == "skip":
            await run(connection, "leave_unknown", (run_.began_at, self._job))
        await self._bind(beginning, connection)  # from here on no other run begins
        if beginning.schedule is not None:
            await set_schedule(connection, self._job, beginning.schedule)
        await run(connection, "forget_command", job)
        if await value(connection, "has_planned", job):
            await run(connection, "begin_run", asdict(run_) | job | {"lease": self._lease})
            self._writer.runs.append(run_.id)  # if the commit fails, it is one that nobody has
            if beginning.first is not None:
                await choose_first(connection, self._job, run_.id, beginning.first)

    async def _bind(self, beginning: Beginning, connection: Connection) -> None:
        """The job is this server's and this credential's, unless another run is at work on it."""
        bound = await row(connection, "lock_job", (self._job,))
        check_kept(await header_of(connection, self._job), self._name)
        mine = (beginning.base_url, beginning.identity)
        if bound != mine and await rows(connection, "alive", (self._job,)):
            raise JournalError(
                f"{self._name} is being run for another server or with another credential"
                " (client id or API key); take part in it with the same ones"
            )
        await run(connection, "bind", (*mine, self._job))

    async def claim(self, owner: str, count: int) -> list[Chunk]:
        """The next planned chunks; raises `JournalError` once others have given this run up."""
        found = await self._writer.do(partial(self._claim, owner, count))
        self._known.setdefault(owner, set()).update(chunk.id for chunk in found)
        self._writer.unsent |= {chunk.id: chunk for chunk in found}
        return found

    async def _claim(self, owner: str, count: int, connection: Connection) -> list[Chunk]:
        self._check_lease(owner)
        known = [*self._known.get(owner, ())]
        values = {"job": self._job, "owner": owner, "count": count}
        # Last from the start again: what a run that has just ended leaves may be anywhere.
        for after in (self._claimed, -1):
            if after < 0:
                await self._writer.look_for_dead(connection)
            if owner not in self._confined:
                await run(connection, "claim", values | {"after": after})
            # Also what a commit has claimed whose answer was lost.
            own = values | {"after": after, "known": known}
            if found := await rows(connection, "claimed", own):
                self._claimed = max(self._claimed, found[-1][0])
                return [chunk_of(self._event_id, owner, chunk) for chunk in found]
        return []

    def _check_lease(self, owner: str) -> None:
        if owner in self._writer.lost:
            lost = JournalError(
                f"this run was silent for longer than its lease of {self._lease:g} s, or cut off"
                f" from {self._name}, or another server took over there, so others may have what"
                " it had not sent; go on with: resume"
            )
            lost.passes = True
            raise lost

    async def others_hold(self) -> bool:
        """Whether a claim may find something later: other runs have chunks."""
        return await self._writer.do(lambda one: others_hold(one, self._job, self._writer.runs))

    async def totals(self) -> list[Total]:
        """How all chunks stand, whoever has sent them."""
        return await self._writer.do(self._totals)

    async def _totals(self, connection: Connection) -> list[Total]:
        return await values(connection, Total, "totals", (self._job,))

    async def sending(self, chunk: Chunk, at: float) -> bool:
        """It is committed when this returns, and this run has a third of its lease left.

        Raises `JournalError` once others have given this run up.
        """
        while await self._writer.ask(Sending(chunk, at)):
            if chunk.owner not in self._writer.lost and self._writer.left > _LEFT:
                self._writer.unsent.pop(chunk.id, None)
                return True
        self._check_lease(chunk.owner)
        return False

    async def settle(self, step: Settlement, parts: Parts = ()) -> bool:
        """As `sending`."""
        settled = bool(await self._writer.ask(Settling(step, parts)))
        if step.state is not State.PLANNED:
            self._known.get(step.owner, set()).discard(step.chunk)
        return settled

    def note(self, event: Event) -> None:
        """Something made the job wait."""
        values = asdict(event) | {"job": self._job}
        self._writer.note(lambda one: run(one, "add_event", values))

    def hold(self, owner: str, held: Held | None) -> None:
        """What holds this run."""
        values = held_of(held) | {"job": self._job, "owner": owner}
        self._writer.note(lambda one: run(one, "hold", values))

    async def wanted(self) -> Wanted:
        """What is wanted."""
        return await self._writer.do(self._wanted)

    async def _wanted(self, connection: Connection) -> Wanted:
        found = await row(connection, "wanted", (self._job,))
        if found is None:
            raise JournalError("the job was removed")
        command, *schedule = found
        return Wanted(command=Command(command), schedule=Schedule.kept(*schedule))

    def time(self) -> tuple[float, float] | None:
        """The database's, for every worker; this machine's before it was asked."""
        return self._writer.time()

    def finish(self, owner: str, at: float, how: str) -> None:
        """The run ends."""
        self._writer.note(lambda one: run(one, "end_run", (at, how, self._job, owner)))
