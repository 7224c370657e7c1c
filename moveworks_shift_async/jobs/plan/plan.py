"""`plan`: what a job is about to do and cost, with its chunks in a journal and nothing sent."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from ...clock import SYSTEM_CLOCK
from ...errors import InvalidInput
from ...settings import RateLimit
from ...sources import Block
from ...wire.moveworks import Content, Context
from ..schedule.change import ScheduleChange, When, Windows
from ..store.names import store_of
from ..store.ports import Store
from ..threads import FromThread, in_thread
from .cost import Plan
from .excluded import in_words_of_a_list
from .given import ExcludeList, Given, Recipients, check_standard_input, exclude_lists
from .opened import Opened, Opener
from .options import PlanOptions
from .planner import Planner, go_on

__all__ = ["ExcludeList", "Plan", "Recipients", "plan"]

T = TypeVar("T")


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
    exclude: Iterable[Recipients | ExcludeList] = (),
    invalid_csv: str | os.PathLike[str] | None = None,
    strict: bool = False,
    rate_limit: RateLimit = RateLimit(),  # noqa: B008 - frozen
    window: Windows | None = None,
    at: When | None = None,
    not_after: When | None = None,
) -> Coroutine[Any, Any, Plan]:
    """Read, check and de-duplicate the recipients, cut the chunks, and write them to a journal.

    Nothing is sent. The journal is a new file; `JournalError` if it holds a job already. After any
    error and after a cancellation no journal is left; after a crash, one that the next plan
    replaces. Needs the file's directory to hold three times the addresses for a while.

    `source` is a file (CSV, TSV, JSON, text, Parquet, Excel), `-` for standard input, an SQLAlchemy
    URL with its `query`, or any iterable or async iterable of addresses or mappings; a list is
    copied now, and the context written down. It may also be another job's name with what became of
    its people, like `other.journal:rejected,not_sent`; that job must not be run meanwhile, nor
    after. `column` names the addresses where that is not clear.
    `encoding` is that of a text file: one that is neither UTF-8 nor marked is guessed without it,
    and refused where texts or addresses depend on the guess. `event_id` names the event;
    `legacy=True` is the way without one.

    `exclude` are lists of people who are not to be told, each a source as above, or an
    `ExcludeList` with its column; of another job, it is whom that job has told or may have told,
    unless its outcomes are named. They are counted in `excluded`, and the plan says by which list.
    What is in a list and no address is counted and named there, for it excludes nobody; a file, a
    query or a job that excludes nobody at all is an `InvalidInput`.

    Give `message`, or a `template`: it and the context may name columns, like `Hello {first_name}`,
    and values are escaped in the message, braces too, unless `escape` is off. A person whose rows
    give different texts gets the first of them, and the plan names the others. `invalid_csv` names
    a new file for the entries that are no address: line, reason, entry. `strict` raises
    `NotAddresses` if there is one; then `invalid_csv` is left, and no journal. It does so for the
    lists to exclude as well. `rate_limit` is what the plan counts with. `window`, `at` and
    `not_after` say when the job may send, and are kept in it; see `Job.run`. `InvalidInput` if
    nothing could ever be sent.
    """
    if (event_id is None) is not legacy:
        raise InvalidInput("give either event_id, or legacy=True for the endpoint without an event")
    if (message is None) == (template is None):
        raise InvalidInput("give either message or template")
    now = SYSTEM_CLOCK.utcnow()
    wanted = PlanOptions.of(
        Content(event_id=event_id, message=template or message or "", context=context),
        template=template is not None,
        escape=escape,
        invalid_csv=None if invalid_csv is None else os.fspath(invalid_csv),
        strict=strict,
        rate_limit=rate_limit,
        schedule=ScheduleChange.of(now, window, at, not_after).new(now),
    )
    given, lists = Given.of(source, column, query, encoding), exclude_lists(exclude)
    check_standard_input([given, *lists])
    return _PlanRun(store_of(os.fspath(journal)), wanted).all(given, lists)


@define(eq=False, repr=False)
class _PlanRun:
    """A plan's steps, all in one thread, one at a time, and none is left alone."""

    store: Store
    options: PlanOptions
    stop: threading.Event = field(factory=threading.Event)
    planner: Planner | None = None
    _loop: FromThread = field(init=False)
    _thread: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="plan"), init=False
    )

    async def all(self, given: Given, lists: Sequence[Given]) -> Plan:
        """From the source to the journal, or to nothing."""
        self._loop = FromThread()
        try:
            plan = await self._all(given, lists)
        except BaseException:
            # Awaited here: a task for it could be cancelled before its first step.
            if self.planner is not None:
                await self.planner.abandon()
            raise
        finally:
            # Not in a thread: the wait for one could be cancelled although the journal is complete.
            if self.planner is not None:
                self.planner.close()
            self._thread.shutdown(wait=False)
        return plan

    async def _all(self, given: Given, lists: Sequence[Given]) -> Plan:
        opener = Opener(self._loop, self._do, partial(go_on, self.stop, self.store.name))
        options = self.options
        async with opener.recipients(given, options.columns, options.check) as source:
            await self._do(self._begin, source.name)
            for number, one in enumerate(lists, 1):
                await self._exclude(opener, one, f"list {number} to exclude")
            await self._read(source, self._begun.feed)
            read_as = source.read_as()
        return await self._do(self._begun.finish, read_as)

    @property
    def _begun(self) -> Planner:
        assert self.planner is not None  # noqa: S101 - for the type checker
        return self.planner

    def _begin(self, name: str) -> None:
        self.planner = Planner.begin(self.store, self.options, name, self._loop, self.stop)
        self.planner.open()

    async def _exclude(self, opener: Opener, given: Given, name: str) -> None:
        """All of a list of people who are not to be told."""
        with in_words_of_a_list():
            async with opener.excluded(given, name) as source:
                await self._read(source, self._begun.exclude)
                read_as = source.read_as()
        # A program's own list may well be empty; a file that is may be an export that failed.
        empty, strict = given.place is None, self.options.strict
        self._begun.excluded.end(source.name, read_as, strict=strict, may_be_empty=empty)

    async def _read(self, source: Opened, feed: Callable[[Block], None]) -> None:
        """All of a source."""
        if isinstance(source.rows, AsyncGenerator):
            await self._follow(source.rows, feed)
        else:
            await self._do(self._feed, source.rows, feed)

    async def _follow(self, rows: AsyncGenerator[Block], feed: Callable[[Block], None]) -> None:
        """All of a source that needs the loop."""
        async with aclosing(rows):
            try:
                async for block in rows:
                    await self._do(feed, block)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                raise _broken_off(asyncio.CancelledError()) from None

    def _feed(self, rows: Iterable[Block], feed: Callable[[Block], None]) -> None:
        try:
            for block in rows:
                feed(block)
        # The source itself raised it, for nobody cancels a thread. The loop would take it for a
        # cancellation of ours.
        except (asyncio.CancelledError, GeneratorExit) as error:
            raise _broken_off(error) from None

    async def _do(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run a step in the thread; when cancelled, make it stop and wait until it has."""
        return await in_thread(partial(step, *arguments), self.stop, self._thread)


def _broken_off(error: BaseException) -> InvalidInput:
    kind = type(error).__name__
    return InvalidInput(f"the recipients' own source raised {kind}; nothing was planned")
