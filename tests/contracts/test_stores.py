"""What every store of a job keeps.

A second kind needs files in a folder of its own, `moveworks_shift_async/jobs/store/KIND/`, that
implement the protocols of `jobs/store/ports.py`; one line in `jobs/store/names.py`, which knows its
names from others; and one line in `KINDS` below. Nothing else of the package knows which kinds
there are, so all of this, and the tests of jobs as well, must hold for it:

- what is planned is what is read back, and a plan that is not whole is never run;
- `claim` gives each chunk to one owner;
- `sending` is kept before it returns True, and is False for what is another's or not planned;
- `settle` is its owner's alone; what was orphaned its owner alone may make better, and once;
- `begin` makes unknown what dead owners left, and nothing of a living one;
- commands reach a run that is at work, and no later one;
- a run for the first ones has exactly so many people to itself, and no more of them than it tells;
- the counts add up to the people who were planned, whatever happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve, frozen

from moveworks_shift_async.clock import SYSTEM_CLOCK
from moveworks_shift_async.errors import JobRunning, JournalError
from moveworks_shift_async.jobs.left_out import Exclusion, InvalidLine, Left, LeftOut
from moveworks_shift_async.jobs.records import (
    Chunk,
    ChunkRecord,
    Command,
    Event,
    Header,
    Held,
    Incident,
    Run,
    Settlement,
    State,
)
from moveworks_shift_async.jobs.schedule.schedule import Schedule
from moveworks_shift_async.jobs.store.first import Chosen, First
from moveworks_shift_async.jobs.store.names import store_of
from moveworks_shift_async.jobs.store.ports import (
    TEXTS,
    Audience,
    Beginning,
    Begun,
    JobState,
    OnLeftUnknown,
    PlanBatch,
    PlannedText,
    RunStore,
    Store,
)
from moveworks_shift_async.jobs.store.postgres.store import PostgresStore
from moveworks_shift_async.jobs.store.sqlite.job_store import SqliteStore
from moveworks_shift_async.wire.moveworks import Content

from . import memory_store

PLANNED_AT = 1_767_225_600.0  # 2026-01-01
NOW = PLANNED_AT + 60
SIZE = 3


def _a_file(request: pytest.FixtureRequest) -> Store:
    return store_of(str(request.getfixturevalue("tmp_path") / "job"))


def _in_postgres(request: pytest.FixtureRequest) -> Store:
    return store_of(f"{request.getfixturevalue('postgres')}#{uuid4()}")


def _in_memory(_: pytest.FixtureRequest) -> Store:
    return memory_store.in_memory()


async def _known_by_its_lease(store: Store, owner: str) -> None:
    """Nothing: whoever lets go of the job ends its lease."""


async def _known_by_its_lock(store: Store, owner: str) -> None:
    """Nothing: the lock of a process that ended is free."""


@frozen
class Kind:
    """A kind of store."""

    type: type
    #: Where no job is yet.
    make: Callable[[pytest.FixtureRequest], Store]
    #: Have it known that the process of a run has died.
    bury: Callable[[Store, str], Awaitable[None]]


KINDS = {
    "sqlite": Kind(SqliteStore, _a_file, _known_by_its_lock),
    "postgres": Kind(PostgresStore, _in_postgres, _known_by_its_lease),
    "memory": Kind(memory_store.MemoryStore, _in_memory, memory_store.bury),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind."""
    return KINDS[request.param]


@pytest.fixture
def store(kind: Kind, request: pytest.FixtureRequest) -> Store:
    """A place without a job."""
    return kind.make(request)


def header_of(chunks: int = 0, **more: Any) -> Header:
    """Of a plan of so many chunks."""
    plan: dict[str, Any] = {"people": chunks * SIZE, "chunks": chunks, "texts": min(chunks, 2)}
    return Header(source="people.csv", event_id=None, planned_at=PLANNED_AT, **plan, **more)


def people_of(chunk: int) -> tuple[str, ...]:
    """Whom a chunk is for."""
    return tuple(f"p{chunk}.{number}@example.com" for number in range(SIZE))


def text_of(number: int) -> Content:
    """One of two texts."""
    context = {"slots": {"floor": number}} if number else None
    return Content(event_id=None, message=f"text {number}", context=context)


async def planned(store: Store, chunks: int = 4) -> Store:
    """A job of so many chunks, whose texts alternate."""
    plan = await store.plan(header_of())
    for first in range(0, chunks, 2):
        part = range(first, min(first + 2, chunks))
        await plan.write(
            PlanBatch(
                texts=[(n, text_of(n)) for n in part if n < 2],
                first=first,
                chunks=[(n % 2, people_of(n)) for n in part],
            )
        )
    await plan.complete(header_of(chunks))
    plan.close()
    return store


async def begin(
    store: RunStore,
    owner: str,
    unknown: OnLeftUnknown | None = "report",
    at: float = NOW,
    first: First | None = None,
    schedule: Schedule | None = None,
) -> Begun:
    """A run of this name."""
    run = Run(
        id=owner, pid=1, host="here", began_at=at, ended_at=None, ended=None, budget=9, per=60,
        first=None if first is None else first.people,
    )  # fmt: skip
    found = await store.found()
    return await store.begin(
        Beginning(
            run=run, base_url="https://a.test", identity="me", stray=found.stray, unknown=unknown,
            first=first, schedule=schedule,
        )
    )  # fmt: skip


@asynccontextmanager
async def running(
    store: Store, owner: str = "first", unknown: OnLeftUnknown | None = "report"
) -> AsyncIterator[RunStore]:
    """A run of this name; its process dies at the end."""
    async with store.running() as run:
        await begin(run, owner, unknown)
        yield run
    (kind,) = (kind for kind in KINDS.values() if isinstance(store, kind.type))
    await kind.bury(store, owner)


def end_of(chunk: Chunk, state: State = State.ACCEPTED, **more: Any) -> Settlement:
    """The end of one request."""
    told = {"chunk": chunk.id, "owner": chunk.owner, "at": NOW + 1, "requests": 1}
    return Settlement(state=state, **{**told, **more})


async def sent(run: RunStore, count: int = 1, owner: str = "first") -> list[Chunk]:
    """So many chunks whose requests are on their way."""
    found = await run.claim(owner, count)
    assert [await run.sending(chunk, NOW) for chunk in found] == [True] * count
    return found


async def state_of(store: Store) -> JobState:
    """How it stands for whoever looks."""
    async with store.reading() as account:
        return await account.state()


async def records_of(store: Store) -> list[ChunkRecord]:
    """Every chunk."""
    return [*(await state_of(store)).records]


async def states_of(store: Store) -> list[State]:
    """Where every chunk stands."""
    return [record.state for record in await records_of(store)]


# --- a plan --------------------------------------------------------------------------------


async def test_what_is_planned_is_what_is_read_back(store: Store) -> None:
    """Texts, people and their order, who is left out, and the numbers."""
    left = LeftOut(why=Left.INVALID, entries=[(2, "no @", "x"), (9, "empty", "")])
    again = LeftOut(why=Left.DUPLICATE, entries=[(5, "came before", "a@b.c")])
    out = LeftOut(why=Left.EXCLUDED, entries=[(7, "left.csv", "e@b.c")])
    lists = (
        Exclusion(source="l\u00ebft.csv", read_as="CSV", people=1, addresses=3, invalid=1,
                  invalid_examples=(InvalidLine(2, "no @"),)),
        Exclusion(source="list 2 to exclude"),
    )  # fmt: skip
    plan = await store.plan(header_of())
    await plan.write(PlanBatch(left_out=[again, out]))
    await plan.write(
        PlanBatch(
            texts=[(n, text_of(n)) for n in range(2)],
            odd={1: "a name looks empty"},
            chunks=[(n % 2, people_of(n)) for n in range(3)],
        )
    )
    await plan.write(PlanBatch(first=3, chunks=[(1, people_of(3))], left_out=[left]))
    more = {"invalid": 2, "duplicates": 1, "excluded": 1, "exclusions": lists}
    header = await plan.complete(header_of(4, **more))
    plan.close()
    assert (header.excluded, header.exclusions) == (1, lists)
    assert (header.complete, header.people, header.invalid) == (True, 12, 2)
    async with store.reading() as account:
        await account.verify()
        state = await account.state()
        assert state.header == header
        assert [record.id for record in state.records] == [0, 1, 2, 3]
        assert {record.state for record in state.records} == {State.PLANNED}
        found = [pair async for some in account.recipients() for pair in some]
        assert found == [(n, people_of(n)) for n in range(4)]
        assert [block async for block in account.left_out()] == [left, out, again]
        assert await account.texts(9) == [(text_of(0), 6), (text_of(1), 6)]
        assert await account.texts(1) == [(text_of(0), 6)]
        assert await account.whole_header() == header
        texts = [text async for some in account.planned_texts() for text in some]
        assert texts == [
            PlannedText(number=0, content=text_of(0)),
            PlannedText(number=1, content=text_of(1), odd="a name looks empty"),
        ]
        assert await account.audiences([1, 7]) == {1: Audience(people=6, first=people_of(1))}
    async with running(store) as run:
        chunks = await run.claim("first", 9)
    assert [chunk.content for chunk in chunks] == [text_of(n % 2) for n in (0, 1, 0, 1)]
    assert [tuple(chunk.recipients) for chunk in chunks] == [people_of(n) for n in range(4)]


async def test_a_look_without_addresses_says_the_same(store: Store) -> None:
    """How every chunk stands, the runs, what made it wait, and the first texts."""
    await planned(store, 6)
    async with running(store) as run:
        *_, on_its_way = await sent(run, 2)
        step = Settlement(chunk=0, owner="first", state=State.ACCEPTED, at=NOW + 1, requests=1)
        assert await run.settle(step)
        run.note(Event(at=NOW, incident=Incident.OUTAGE, seconds=4.5, reason="no network"))
        run.hold("first", Held(by=Incident.OUTAGE, since=NOW + 5, until=NOW + 9, why="no server"))
        assert (await run.wanted()).command is Command.RUN  # by then the note is kept
        looks = []
        for addresses in (True, False):
            async with store.reading(addresses=addresses) as account:
                looks.append((await account.state(), await account.texts(TEXTS)))
        assert looks[0] == looks[1]
        assert looks[0][0].records[on_its_way.id].state is State.SENDING
        assert [event.reason for event in looks[0][0].events] == ["no network"]
        assert held_in(looks[1][0]) == (Incident.OUTAGE, NOW + 5, NOW + 9, "no server")
        run.hold("first", None)
        assert (await run.wanted()).command is Command.RUN
        assert held_in(await state_of(store)) == (None, None, None, None)


def held_in(state: JobState) -> tuple[Any, ...]:
    """What holds the one run of a job."""
    (run,) = state.runs
    return run.held_by, run.held_since, run.held_until, run.held_why


async def test_a_job_is_there_once_it_is_being_planned(store: Store) -> None:
    """By its name alone, and until it is removed."""
    assert not await store.exists()
    plan = await store.plan(header_of())
    assert await store.exists()
    await plan.complete(header_of())
    plan.close()
    assert await store.exists()
    store.remove()
    assert not await store.exists()


async def test_a_discarded_plan_leaves_nothing(store: Store) -> None:
    """Neither before nor after it was whole; another may take its place."""
    for whole in (False, True):
        plan = await store.plan(header_of())
        await plan.write(PlanBatch(texts=[(0, text_of(0))], chunks=[(0, people_of(0))]))
        if whole:
            await plan.complete(header_of(1))
        await plan.discard()
        with pytest.raises(JournalError):
            await state_of(store)
    await planned(store)


async def test_a_plan_that_broke_off_is_not_run_and_is_replaced(store: Store) -> None:
    """Nobody was ever sent to from it."""
    plan = await store.plan(header_of())
    await plan.write(PlanBatch(texts=[(0, text_of(0))], chunks=[(0, people_of(0))]))
    plan.close()
    assert not (await state_of(store)).header.complete
    with pytest.raises(JournalError, match="interrupted; nothing was sent"):
        async with store.running():
            pass
    async with store.reading() as account:
        with pytest.raises(JournalError, match="interrupted; nothing was sent"):
            await account.verify()
        with pytest.raises(JournalError, match="interrupted; nothing was sent"):
            await account.whole_header()
    await planned(store, 2)
    assert len(await records_of(store)) == 2


async def test_a_job_is_replaced_by_no_plan(store: Store) -> None:
    """Neither one that is whole nor one that is just being made."""
    plan = await store.plan(header_of())
    with pytest.raises(JobRunning):
        await store.plan(header_of())
    await plan.discard()
    await planned(store)
    with pytest.raises(JournalError, match="holds a job already"):
        await store.plan(header_of())
    assert len(await records_of(store)) == 4


async def test_a_removed_job_is_not_there(store: Store) -> None:
    """And to remove it once more is no error."""
    await planned(store)
    store.remove()
    store.remove()
    with pytest.raises(JournalError):
        await state_of(store)
    await planned(store)


# --- owners --------------------------------------------------------------------------------


async def test_claim_gives_each_chunk_to_one_owner(store: Store) -> None:
    """Whoever asks at the same time; in order, as many as are wanted, none when all are claimed."""
    await planned(store, 9)
    async with running(store) as run:
        found = await asyncio.gather(*(run.claim(owner, 2) for owner in ("first", "other") * 2))
        rest = await run.claim("first", 9)
        assert await run.claim("other", 9) == []
    assert [chunk.owner for chunks in found for chunk in chunks] == [
        *("first",) * 2,
        *("other",) * 2,
    ] * 2
    assert sorted(chunk.id for chunks in (*found, rest) for chunk in chunks) == [*range(9)]
    assert [chunk.id for chunk in rest] == [8]


async def test_what_a_dead_owner_had_claimed_is_claimed_again(store: Store) -> None:
    """No request of it had left."""
    await planned(store)
    async with running(store) as run:
        await run.claim("first", 3)
    async with running(store, "second") as run:
        assert [chunk.id for chunk in await run.claim("second", 9)] == [0, 1, 2, 3]


async def test_sending_is_kept_when_it_returns(store: Store) -> None:
    """With its owner, for whoever looks; and it is True once."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
        record, *others = await records_of(store)
        assert (record.state, record.owner, record.sent_at) == (State.SENDING, "first", NOW)
        assert {other.state for other in others} == {State.PLANNED}
        assert (await state_of(store)).alive == {"first"}
        assert not await run.sending(chunk, NOW + 5)
        assert not await run.sending(evolve(chunk, owner="other"), NOW + 5)
        assert (await records_of(store))[0] == record


@pytest.mark.parametrize("state", [State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.PLANNED])
async def test_its_owner_alone_settles_a_chunk(store: Store, state: State) -> None:
    """Another's word changes nothing, and what has ended stays as it is."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
        before = await records_of(store)
        assert not await run.settle(end_of(chunk, state, owner="other"))
        assert await records_of(store) == before
        assert await run.settle(end_of(chunk, state, throttled=1, error="E", reason="why"))
        record = (await records_of(store))[0]
        assert (record.state, record.requests, record.throttled) == (state, 1, 1)
        assert (record.ended_at, record.error, record.reason) == (NOW + 1, "E", "why")
        if state is not State.PLANNED:
            for late in (State.ACCEPTED, State.UNKNOWN):
                assert not await run.settle(end_of(chunk, late))
            assert not await run.sending(chunk, NOW)
            assert (await records_of(store))[0] == record


async def test_what_was_not_told_is_sent_again_by_who_claimed_it(store: Store) -> None:
    """Its requests add up."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
        assert await run.settle(end_of(chunk, State.PLANNED, throttled=1))
        assert [found.id for found in await run.claim("first", 9)] == [1, 2, 3]
        assert await run.sending(chunk, NOW + 9)
        assert await run.settle(end_of(chunk))
    record = (await records_of(store))[0]
    assert (record.state, record.requests, record.throttled) == (State.ACCEPTED, 2, 1)


async def test_the_parts_of_a_chunk_are_claimed(store: Store) -> None:
    """With the text of the whole, which counts nobody any more; also where it cannot be settled."""
    await planned(store, 2)
    parts = [people_of(1)[:1], people_of(1)[1:]]
    async with running(store) as run:
        _, chunk = await sent(run, 2)
        assert not await run.settle(end_of(chunk, State.SPLIT, owner="other"), parts)
        assert len(await records_of(store)) == 2
        assert await run.settle(end_of(chunk, State.SPLIT, error="BadRequest"), parts)
        found = await run.claim("first", 9)
        assert [tuple(part.recipients) for part in found] == parts
        assert {part.content for part in found} == {text_of(1)}
        assert [record.people for record in await records_of(store)] == [SIZE, 1, 2]
    async with running(store, "second") as run:
        assert (await begin(run, "third")).isolated == 2


async def test_what_dead_owners_left_sending_is_unknown(store: Store) -> None:
    """Its request counts, for it may have left; what had ended and what had not begun stay."""
    await planned(store)
    async with running(store) as run:
        chunks = await sent(run, 2)
        await run.settle(end_of(chunks[0]))
    assert (await state_of(store)).alive == frozenset()
    async with running(store, "second") as run:
        assert await states_of(store) == [State.ACCEPTED, State.UNKNOWN, *[State.PLANNED] * 2]
        assert [chunk.id for chunk in await run.claim("second", 9)] == [2, 3]
    orphan = (await records_of(store))[1]
    assert (orphan.requests, orphan.error, orphan.owner) == (1, "OutcomeUnknown", "first")


@pytest.mark.parametrize("late", [State.ACCEPTED, State.REJECTED, State.PLANNED])
async def test_a_late_answer_of_its_owner_makes_an_orphan_better(
    kind: Kind, store: Store, late: State
) -> None:
    """Nobody else's does, and it is heard once; its request is counted once."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
    async with running(store, "second") as run:
        assert not await run.settle(end_of(chunk, late, owner="second"))
        assert not await run.settle(end_of(chunk, State.UNKNOWN))
        assert (await states_of(store))[0] is State.UNKNOWN
        assert await run.settle(end_of(chunk, late))
        record = (await records_of(store))[0]
        assert (record.state, record.requests, record.error) == (late, 1, None)
        if late is not State.PLANNED:
            assert not await run.settle(end_of(chunk, State.UNKNOWN))
            assert (await records_of(store))[0] == record


async def test_a_late_answer_says_nothing_of_who_was_sent_to_again(store: Store) -> None:
    """The chunk is the second owner's by then, and so is its outcome."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
    async with running(store, "second", "resend") as run:
        assert not await run.settle(end_of(chunk))
        (again,) = await sent(run, 1, "second")
        assert (again.id, again.resent) == (chunk.id, True)
        assert not await run.settle(end_of(chunk))
        assert await run.settle(end_of(again, State.UNKNOWN))
        assert not await run.settle(end_of(chunk))
    assert (await states_of(store))[0] is State.UNKNOWN


async def test_a_living_run_loses_nothing_to_another(store: Store) -> None:
    """The other is refused, or begins beside it and takes none of its chunks."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
        try:
            async with running(store, "second") as other:
                assert chunk.id not in [found.id for found in await other.claim("second", 9)]
        except JobRunning:
            pass
        assert (await states_of(store))[0] is State.SENDING
        assert await run.settle(end_of(chunk))


# --- the first ones ------------------------------------------------------------------------


@asynccontextmanager
async def first_of(
    store: Store, people: int, owner: str = "first", *, sample: bool = False
) -> AsyncIterator[RunStore]:
    """A run for so many people, which ends."""
    async with store.running() as run:
        await begin(run, owner, first=First(people=people, sample=sample))
        yield run
        run.finish(owner, NOW + 9, "told the first ones")
    (kind,) = (kind for kind in KINDS.values() if isinstance(store, kind.type))
    await kind.bury(store, owner)


async def tell_all(run: RunStore, owner: str = "first") -> list[str]:
    """Send whatever this run is given; whom it told."""
    told: list[str] = []
    while found := await run.claim(owner, 2):
        for chunk in found:
            assert await run.sending(chunk, NOW)
            assert await run.settle(end_of(chunk))
            told += chunk.recipients
    return told


def everybody(*chunks: int) -> list[str]:
    """Whom these planned chunks are for."""
    return [person for chunk in chunks for person in people_of(chunk)]


async def test_a_run_for_the_first_ones_is_given_exactly_so_many(store: Store) -> None:
    """A chunk that holds more is divided; the next such run has those who come next."""
    await planned(store)
    async with store.running() as run:
        begun = await begin(run, "first", first=First(people=SIZE + 1))
        assert begun.chosen == Chosen(chunks=2, people=SIZE + 1)
        assert sum(total.people for total in begun.totals if total.state is State.PLANNED) == 12
        assert await tell_all(run) == everybody(0, 1)[: SIZE + 1]
        run.finish("first", NOW + 9, "told the first ones")
    (kind,) = (kind for kind in KINDS.values() if isinstance(store, kind.type))
    await kind.bury(store, "first")
    assert [one.first for one in (await state_of(store)).runs] == [SIZE + 1]
    async with first_of(store, 1, "second") as run:
        assert await tell_all(run, "second") == everybody(1)[1:2]
    async with first_of(store, 3, "third") as run:
        assert await tell_all(run, "third") == [*everybody(1)[2:], *everybody(2)[:2]]
    async with running(store, "rest") as run:
        assert sorted(await tell_all(run, "rest")) == sorted([*everybody(2)[2:], *everybody(3)])
    async with store.reading() as account:
        await account.verify()
    assert sum(record.people for record in await records_of(store)) == 4 * SIZE


async def test_more_people_than_are_left_are_all_who_are_left(store: Store) -> None:
    """Nothing is divided for them."""
    await planned(store, 2)
    async with store.running() as run:
        begun = await begin(run, "first", first=First(people=100))
        assert begun.chosen == Chosen(chunks=2, people=2 * SIZE)
        assert await tell_all(run) == everybody(0, 1)
    assert len(await records_of(store)) == 2


async def test_a_sample_is_of_every_text(store: Store) -> None:
    """Two texts alternate here."""
    await planned(store)
    async with first_of(store, 2, sample=True) as run:
        assert await tell_all(run) == [people_of(0)[0], people_of(1)[0]]
    async with first_of(store, 5, "second", sample=True) as run:
        told = await tell_all(run, "second")
    assert sorted(told) == sorted([*everybody(0)[1:], *everybody(1)[1:], people_of(3)[0]])


async def test_the_first_ones_of_a_run_that_died_are_planned_as_before(store: Store) -> None:
    """They are the first ones of the next run too, and others have lost nobody to it."""
    await planned(store)
    async with store.running() as run:
        await begin(run, "first", first=First(people=2))
    (kind,) = (kind for kind in KINDS.values() if isinstance(store, kind.type))
    await kind.bury(store, "first")
    async with store.running() as run:
        assert not (await run.found()).may_have_told
    async with first_of(store, 2, "second") as run:
        assert await tell_all(run, "second") == everybody(0)[:2]
    async with running(store, "rest") as run:
        told = await tell_all(run, "rest")
    assert sorted(told) == sorted([*everybody(0)[2:], *everybody(1, 2, 3)])


async def test_what_is_divided_for_the_first_ones_adds_no_requests_of_isolating(
    store: Store,
) -> None:
    """The user has allowed so many of those; and what isolating divides stays the run's own."""
    await planned(store)
    async with store.running() as run:
        begun = await begin(run, "first", first=First(people=2))
        assert begun.isolated == 0
        (chunk,) = await sent(run)
        parts = [chunk.recipients[:1], chunk.recipients[1:]]
        assert await run.settle(end_of(chunk, State.SPLIT, error="BadRequest"), parts)
        assert await tell_all(run) == everybody(0)[:2]
        run.finish("first", NOW + 9, "told the first ones")
    (kind,) = (kind for kind in KINDS.values() if isinstance(store, kind.type))
    await kind.bury(store, "first")
    async with store.running() as run:
        assert (await begin(run, "second")).isolated == 2
        told = await tell_all(run, "second")
    assert sorted(told) == sorted([*everybody(0)[2:], *everybody(1, 2, 3)])


async def test_who_was_unknown_is_among_the_first_ones_only_by_the_users_word(
    store: Store,
) -> None:
    """Sent to again they may be told twice, and the parts of their chunk say so too."""
    await planned(store)
    async with running(store) as run:
        (chunk,) = await sent(run)
        await run.settle(end_of(chunk, State.UNKNOWN))
    async with first_of(store, 1, "second") as run:
        assert await tell_all(run, "second") == everybody(1)[:1]
    async with store.running() as run:
        await begin(run, "third", "resend", first=First(people=1))
        (part,) = await run.claim("third", 9)
        assert (tuple(part.recipients), part.resent) == (people_of(0)[:1], True)
    assert sum(record.people for record in await records_of(store) if record.resent) == SIZE


async def test_a_run_for_the_first_ones_takes_nothing_that_another_has(store: Store) -> None:
    """Where runs may be at work together; a second one for the first ones has others."""
    await planned(store)
    async with running(store) as run:
        held = await run.claim("first", 1)
        try:
            async with store.running() as other:
                await begin(other, "second", first=First(people=SIZE + 1))
                await begin(other, "third", first=First(people=SIZE))
                assert await tell_all(other, "third") == [*everybody(2)[1:], people_of(3)[0]]
                assert await tell_all(other, "second") == everybody(1, 2)[: SIZE + 1]
                assert await run.claim("first", 9) != []
        except JobRunning:
            return
        assert await run.sending(held[0], NOW)


# --- a run ---------------------------------------------------------------------------------


async def test_what_is_found_is_what_there_is(store: Store) -> None:
    """To look changes nothing; from the first request on somebody may have been told."""
    await planned(store)
    async with store.running() as run:
        found = await run.found()
        assert (found.may_have_told, found.left_at, found.stray) == (False, None, None)
        assert [(total.state, total.chunks) for total in found.totals] == [(State.PLANNED, 4)]
        begun = await begin(run, "first", None)
        assert (begun.isolated, begun.recent, begun.wanted.command) == (0, [], Command.RUN)
        await sent(run)
        assert (await run.found()).may_have_told
        header = (await run.found()).header
        assert (header.base_url, header.identity) == ("https://a.test", "me")


async def test_a_run_is_written_down_with_its_events_and_its_end(store: Store) -> None:
    """Nobody waits for them, and all are there when the store is let go of."""
    await planned(store)
    event = Event(at=NOW + 2, incident=Incident.OUTAGE, seconds=5.0, reason="no network")
    async with running(store) as run:
        (one,) = (await state_of(store)).runs
        assert (one.id, one.budget, one.ended_at) == ("first", 9, None)
        run.note(event)
        run.finish("first", NOW + 9, "done")
    state = await state_of(store)
    assert [*state.events] == [event]
    assert [(one.ended_at, one.ended) for one in state.runs] == [(NOW + 9, "done")]
    assert state.alive == frozenset()


async def test_a_job_with_nothing_to_send_gets_no_run(store: Store) -> None:
    """It was looked at, and nothing more."""
    await planned(store, 1)
    async with running(store) as run:
        await run.settle(end_of((await sent(run))[0]))
    async with running(store, "second") as run:
        assert [one.id for one in (await run.account.state()).runs] == ["first"]


async def test_the_unknown_are_sent_again_or_left_by_the_users_word(store: Store) -> None:
    """What was left stays so whatever is said later, and how it stands is told."""
    await planned(store)
    async with running(store) as run:
        for chunk in await sent(run, 2):
            await run.settle(end_of(chunk, State.UNKNOWN))
    async with running(store, "second", "resend") as run:
        first, _ = await run.claim("second", 2)
        assert first.resent
        await run.sending(first, NOW)
        await run.settle(end_of(first, State.UNKNOWN))
    async with running(store, "third", "skip") as run:
        assert (await run.found()).left_at == NOW
    async with running(store, "fourth", "resend") as run:
        assert [chunk.id for chunk in await run.claim("fourth", 9)] == [2, 3]
    assert (await states_of(store))[:2] == [State.UNKNOWN] * 2
    assert [record.left_alone for record in await records_of(store)] == [True, True, False, False]


async def test_what_the_server_may_still_count_is_known_to_the_next_run(store: Store) -> None:
    """Ages of the requests of the last window, from their answers."""
    await planned(store)
    async with running(store) as run:
        early, late = await sent(run, 2)
        await run.settle(end_of(early, at=NOW - 100))
        await run.settle(end_of(late, at=NOW - 10))
    async with store.running() as run:
        assert (await begin(run, "second")).recent == [10.0]


async def test_commands_reach_the_run_that_is_at_work(store: Store) -> None:
    """Pause, go on, stop; only a pause can be ended, and nobody hears what none can hear."""
    await planned(store)
    for command in Command:
        assert not await store.ask(command, NOW)
    async with running(store) as run:
        assert (await run.wanted()).command is Command.RUN
        assert not await store.ask(Command.RUN, NOW)
        assert await store.ask(Command.PAUSE, NOW)
        assert ((await run.wanted()).command, (await state_of(store)).command) == (
            Command.PAUSE,
        ) * 2
        assert await store.ask(Command.RUN, NOW + 1)
        assert (await run.wanted()).command is Command.RUN
        assert await store.ask(Command.STOP, NOW + 2)
        assert (await run.wanted()).command is Command.STOP
    async with running(store, "second") as run:
        assert (await run.wanted()).command is Command.RUN


async def test_the_counts_add_up_whatever_happens(store: Store) -> None:
    """Everybody who was planned is in one state, and what is divided is counted in its parts."""
    await planned(store, 7)
    ends = [State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.PLANNED, State.SPLIT]
    async with running(store) as run:
        chunks = await sent(run, 6)
        for chunk, end in zip(chunks, ends, strict=False):
            parts = [chunk.recipients[:1], chunk.recipients[1:]] if end is State.SPLIT else []
            await run.settle(end_of(chunk, end), parts)
        during = await run.account.state()
    for state in (during, await state_of(store)):
        assert sum(record.people for record in state.records) == state.header.people
        counted = [total for total in state.totals if total.state is not State.SPLIT]
        assert sum(total.people for total in counted) == state.header.people
        assert sum(total.chunks for total in counted) == len(state.records)
        assert sum(total.requests for total in state.totals) == 5
    async with store.reading() as account:
        found = [pair async for some in account.recipients() for pair in some]
    assert sorted(person for _, people in found for person in people) == sorted(
        person for chunk in range(7) for person in people_of(chunk)
    )


async def test_hours_are_kept_and_reach_the_run_that_is_at_work(store: Store) -> None:
    """Those of the plan, until a run brings others; each run hears of them, by one time for all."""
    early = Schedule.kept("Mon-Fri 08:00-18:00 Europe/Berlin", None, NOW + 9000.5)
    windows, first, last = early.columns
    plan = await store.plan(header_of(windows=windows, not_before=first, not_after=last))
    await plan.write(PlanBatch(texts=[(0, text_of(0))], chunks=[(0, people_of(0))]))
    await plan.complete(header_of(1, windows=windows, not_before=first, not_after=last))
    plan.close()
    async with store.running() as run:
        assert (await run.found()).header.schedule == early
        assert (await begin(run, "first")).wanted.schedule == early
        assert (await run.wanted()).schedule == early
        run.finish("first", NOW, "done")
    later = Schedule.kept("Sat 10:00-12:00 UTC; 22:00-06:00 UTC", NOW + 60.25, None)
    async with store.running() as run:
        assert (await begin(run, "second", schedule=later)).wanted.schedule == later
        assert (await run.wanted()).schedule == later
        earliest, latest = run.time() or (0.0, 0.0)
        assert earliest <= latest < earliest + 60
        assert not latest or abs(latest - SYSTEM_CLOCK.utcnow().timestamp()) < 600
    assert (await state_of(store)).header.schedule == later
