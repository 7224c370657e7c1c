"""`plan`: what a job is about to do and cost, with its chunks in a journal and nothing sent."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, aclosing
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from ...errors import InvalidInput
from ...sending.entries import is_iterable
from ...settings import RateLimit
from ...sources import (
    Block,
    RecipientSource,
    async_blocks_of,
    blocks_of,
    open_recipients,
)
from ...sources.iterables import Row
from ...wire.moveworks import Content, Context
from ..store.names import store_of
from ..store.ports import Store
from ..threads import FromThread, in_thread
from .cost import Plan
from .options import PlanOptions
from .planner import Planner, go_on

__all__ = ["Plan", "Recipients", "plan"]

T = TypeVar("T")


#: Recipients: to be opened in a thread, or as blocks from anywhere.
Blocks = AbstractContextManager[RecipientSource] | Iterable[Block] | AsyncGenerator[Block]
#: A file, `-`, a database's URL, or rows: addresses, or mappings that hold one.
Recipients = str | os.PathLike[str] | Iterable[Row] | AsyncIterable[Row]


def plan(
    journal: str | os.PathLike[str],
    source: Recipients,
    *,
    message: str | None = None,
    template: str | None = None,
    event_id: str | uuid.UUID | None = None,
    legacy: bool = False,
    context: Context | None = None,
    escape: bool = True,
    column: str | None = None,
    query: str | None = None,
    encoding: str | None = None,
    invalid_csv: str | os.PathLike[str] | None = None,
    strict: bool = False,
    rate_limit: RateLimit = RateLimit(),  # noqa: B008 - frozen
) -> Coroutine[Any, Any, Plan]:
    """Read, check and de-duplicate the recipients, cut the chunks, and write them to a journal.

    Nothing is sent. The journal is a new file; `JournalError` if it holds a job already. After any
    error and after a cancellation no journal is left; after a crash, one that the next plan
    replaces. Needs the file's directory to hold three times the addresses for a while.

    `source` is a file (CSV, TSV, JSON, text, Parquet, Excel), `-` for standard input, an SQLAlchemy
    URL with its `query`, or any iterable or async iterable of addresses or mappings; a list is
    copied now, and the context written down. `column` names the addresses where that is not clear.
    `encoding` is that of a text file: one that is neither UTF-8 nor marked is guessed without it,
    and refused where texts or addresses depend on the guess. `event_id` names the event;
    `legacy=True` is the way without one.

    Give `message`, or a `template`: it and the context may name columns, like `Hello {first_name}`,
    and values are escaped in the message, braces too, unless `escape` is off. A person whose rows
    give different texts gets the first of them, and the plan names the others. `invalid_csv` names
    a new file for the entries that are no address: line, reason, entry. `strict` raises
    `NotAddresses` if there is one; then `invalid_csv` is left, and no journal. `rate_limit` is what
    the plan counts with.
    """
    if (event_id is None) is not legacy:
        raise InvalidInput("give either event_id, or legacy=True for the endpoint without an event")
    if (message is None) == (template is None):
        raise InvalidInput("give either message or template")
    wanted = PlanOptions.of(
        Content(event_id=event_id, message=template or message or "", context=context),
        template=template is not None,
        escape=escape,
        invalid_csv=None if invalid_csv is None else os.fspath(invalid_csv),
        strict=strict,
        rate_limit=rate_limit,
    )
    work = _PlanRun(store_of(os.fspath(journal)), wanted)
    return work.all(_blocks(work, source, column, query, encoding))


def _blocks(
    work: _PlanRun,
    source: Recipients,
    column: str | None,
    query: str | None,
    encoding: str | None,
) -> Blocks:
    columns = work.options.columns
    if isinstance(source, (str, os.PathLike)):
        stopping = partial(go_on, work.stop, work.store.name)
        return open_recipients(source, column, query, encoding=encoding, go_on=stopping)
    if query is not None or encoding is not None:
        raise InvalidInput("a query needs a database's URL as the source, an encoding a file")
    if isinstance(source, AsyncIterable):
        return async_blocks_of(source, column, columns)
    if not is_iterable(source):
        raise InvalidInput(
            f"the source must be a file, a URL or an iterable, not {type(source).__name__}"
        )
    # What becomes of a list meanwhile loses nobody.
    rows = tuple(source) if hasattr(type(source), "__len__") else source
    return blocks_of(rows, column, columns)


@define(eq=False, repr=False)
class _PlanRun:
    """A plan's steps, each in a thread; one at a time, and none is left alone."""

    store: Store
    options: PlanOptions
    stop: threading.Event = field(factory=threading.Event)
    planner: Planner | None = None
    read_as: str = ""
    _loop: FromThread = field(init=False)

    async def all(self, source: Blocks) -> Plan:
        """From the source to the journal, or to nothing."""
        self._loop = FromThread()
        try:
            if isinstance(source, AsyncGenerator):
                await self._do(self._begin, _NAME)
                await self._follow(source)
            else:
                await self._do(self._read, source)
            plan = await self._do(self._begun.finish, self.read_as)
        except BaseException:
            # Awaited here: a task for it could be cancelled before its first step.
            if self.planner is not None:
                await self.planner.abandon()
            raise
        finally:
            # Not in a thread: the wait for one could be cancelled although the journal is complete.
            if self.planner is not None:
                self.planner.close()
        return plan

    @property
    def _begun(self) -> Planner:
        assert self.planner is not None  # noqa: S101 - for the type checker
        return self.planner

    def _begin(self, name: str) -> None:
        self.planner = Planner.begin(self.store, self.options, name, self._loop, self.stop)
        self.planner.open()

    def _read(self, source: AbstractContextManager[RecipientSource] | Iterable[Block]) -> None:
        """All of a source that needs no loop; opened, read and closed in one thread."""
        if not isinstance(source, AbstractContextManager):
            self._begin(_NAME)
            self._feed(source)
            return
        with source as found:
            self.options.check(found.names)
            self._begin(found.name)
            self._feed(found.blocks(columns=self.options.columns))
            self.read_as = found.describe().removeprefix(f"{found.name}: ")

    async def _follow(self, source: AsyncGenerator[Block]) -> None:
        """All of a source that needs the loop."""
        async with aclosing(source):
            try:
                async for block in source:
                    await self._do(self._begun.feed, block)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                raise _broken_off(asyncio.CancelledError()) from None

    def _feed(self, blocks: Iterable[Block]) -> None:
        try:
            for block in blocks:
                self._begun.feed(block)
        # The source itself raised it, for nobody cancels a thread. The loop would take it for a
        # cancellation of ours.
        except (asyncio.CancelledError, GeneratorExit) as error:
            raise _broken_off(error) from None

    async def _do(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run a step in a thread; when cancelled, make it stop and wait until it has."""
        return await in_thread(partial(step, *arguments), self.stop)


def _broken_off(error: BaseException) -> InvalidInput:
    kind = type(error).__name__
    return InvalidInput(f"the recipients' own source raised {kind}; nothing was planned")


#: What plain blocks are called in messages.
_NAME = "recipients"
