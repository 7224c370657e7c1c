"""`AccountStore` on a journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

from attrs import define

from ....wire.moveworks import Content
from ...left_out import LeftOut
from ...records import Header
from ..ports import Audience, JobState, PlannedText
from .journal import Journal
from .lock import is_free

T = TypeVar("T")

# Chunks read in one go: 32,000 addresses at most, some MB.
_CHUNKS = 64
# Texts read in one go: 10 MB at most, for a message has 20,000 characters.
_TEXTS = 128


class Ask(Protocol):
    """Has a step done in the thread that has the journal."""

    def __call__(self, step: Callable[[Journal], T], /) -> Awaitable[T]:
        """Its result."""


@define(eq=False, repr=False)
class SqliteAccountStore:
    """Of a copy as of one moment, or of the journal that this process runs."""

    _ask: Ask

    async def state(self) -> JobState:
        """How everything stands."""
        return await self._ask(state_of)

    async def texts(self, count: int) -> list[tuple[Content, int]]:
        """The first texts."""
        return await self._ask(lambda journal: journal.reads.texts(count))

    async def whole_header(self) -> Header:
        """The header of a whole plan."""
        return await self._ask(lambda journal: journal.reads.whole_header())

    async def planned_texts(self) -> AsyncGenerator[Sequence[PlannedText]]:
        """Every text."""
        async for some in self._some(lambda journal: journal.reads.planned_texts(), _TEXTS):
            yield some

    async def audiences(self, texts: Sequence[int]) -> dict[int, Audience]:
        """Whom these texts are for."""
        return await self._ask(lambda journal: journal.reads.audiences(texts))

    async def verify(self) -> None:
        """Read all of it."""
        await self._ask(lambda journal: journal.reads.verify())

    async def recipients(self) -> AsyncGenerator[Sequence[tuple[int, tuple[str, ...]]]]:
        """Whom each chunk is for."""
        async for some in self._some(lambda journal: journal.reads.recipients(), _CHUNKS):
            yield some

    async def left_out(self) -> AsyncGenerator[LeftOut]:
        """The entries that are for nobody."""
        async for some in self._some(lambda journal: journal.reads.left_out(), 1):
            yield some[0]

    async def _some(
        self, read: Callable[[Journal], Iterator[T]], count: int
    ) -> AsyncGenerator[list[T]]:
        items = await self._ask(read)

        def following(_: Any) -> list[T]:
            return [*islice(items, count)]

        while some := await self._ask(following):
            yield some


def state_of(journal: Journal) -> JobState:
    """How everything stands; inside a transaction, and so as of one moment."""
    runs = journal.reads.runs()
    # A run without an end may be at work while somebody has the lock; all others are dead.
    at_work = bool(runs) and runs[-1].ended_at is None and not is_free(journal.path)
    return JobState(
        name=journal.path,
        header=journal.reads.header(),
        records=[*journal.reads.records()],
        totals=journal.reads.totals(),
        runs=runs,
        events=journal.reads.events(),
        command=journal.reads.command(),
        alive=frozenset([runs[-1].id] if at_work else []),
        stray=None if at_work else journal.identity.strayed(),
    )
