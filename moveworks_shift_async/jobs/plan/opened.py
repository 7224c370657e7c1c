"""What a caller has given -> an open source of people: a file, a query, another job, or rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from attrs import define, field, frozen

from ...errors import InvalidInput
from ...sources import Block, async_blocks_of, blocks_of, open_recipients
from ..threads import FromThread
from .given import Given
from .other_job import find_job, people_of

T = TypeVar("T")

#: What plain rows are called in messages.
ROWS = "recipients"


class InThread(Protocol):
    """Runs a step in the plan's own thread."""

    def __call__(self, step: Callable[..., T], /, *arguments: Any) -> Awaitable[T]:
        """Its result."""


@frozen(kw_only=True)
class Opened:
    """An open source; its rows are read once."""

    #: For messages, and for the journal.
    name: str
    rows: Iterable[Block] | AsyncGenerator[Block] = field(repr=False)
    #: What it was taken for, once the rows were read; empty for a program's own.
    read_as: Callable[[], str] = str


@define(eq=False, repr=False)
class Opener:
    """Opens sources one after the other, for one plan."""

    _loop: FromThread
    _in_thread: InThread
    #: Raises once the plan was stopped.
    _go_on: Callable[[], None]

    @asynccontextmanager
    async def recipients(
        self, given: Given, columns: Sequence[str], check: Callable[[Sequence[str]], None]
    ) -> AsyncGenerator[Opened]:
        """Whom a plan is for, with these columns; `check` is given the names of all there are."""
        if given.place is None:
            yield Opened(name=ROWS, rows=_rows(given, columns))
            return
        if (part := await find_job(given.place)) is not None:
            if given.column or given.query or given.encoding or columns:
                raise InvalidInput(
                    f"{part.name}: a job keeps its people and their texts, and no columns: plan a"
                    " text for each person from the first list again, and exclude this job"
                )
            async with people_of(part.chosen(), self._loop, wanted=True) as people:
                yield Opened(name=part.name, rows=people.rows, read_as=people.read_as)
            return
        async with self._file(given, columns, check) as found:
            yield found

    @asynccontextmanager
    async def excluded(self, given: Given, name: str) -> AsyncGenerator[Opened]:
        """People who are not to be told; rows are called by this name."""
        if given.place is None:
            yield Opened(name=name, rows=_rows(given, ()))
            return
        if (part := await find_job(given.place)) is not None:
            part = part.told()
            async with people_of(part, self._loop, wanted=False) as people:
                yield Opened(name=part.name, rows=people.rows, read_as=people.read_as)
            return
        async with self._file(given, (), lambda _: None) as found:
            yield found

    @asynccontextmanager
    async def _file(
        self, given: Given, columns: Sequence[str], check: Callable[[Sequence[str]], None]
    ) -> AsyncGenerator[Opened]:
        """Opened, read and closed in one thread."""
        source = open_recipients(
            given.place or "", given.column, given.query, encoding=given.encoding,
            go_on=self._go_on,
        )  # fmt: skip
        found = await self._in_thread(source.__enter__)
        try:
            check(found.names)
            yield Opened(
                name=found.name,
                rows=found.blocks(columns=columns),
                read_as=lambda: found.describe().removeprefix(f"{found.name}: "),
            )
        finally:
            await self._in_thread(source.__exit__, None, None, None)


def _rows(given: Given, columns: Sequence[str]) -> Iterable[Block] | AsyncGenerator[Block]:
    if isinstance(given.rows, AsyncIterable):
        return async_blocks_of(given.rows, given.column, columns)
    return blocks_of(given.rows or (), given.column, columns)
