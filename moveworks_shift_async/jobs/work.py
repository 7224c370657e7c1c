"""What one process does for a job, from taking its journal to the account."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

from attrs import define, field, frozen

from ..client import MoveworksClient
from ..clock import Clock
from ..errors import JobStopped, JournalError
from .journal import Journal
from .progress import JobProgress, Tally
from .records import Run, State, Wish
from .reporting.account import JobAccount, read_account
from .runner import Runner
from .scribe import Scribe

logger: logging.Logger = logging.getLogger(__name__)
OnProgress = Callable[[JobProgress], object]

# Seconds between two calls of `on_progress`. A bar that moves less often looks stuck.
_TICK = 0.2


@frozen(kw_only=True)
class _Begun:
    """What a process finds in the journal that it takes."""

    tally: Tally
    #: Requests that isolating may still add.
    isolate: int
    #: The server to tie the job to, if it has none yet.
    bind_to: str | None
    wish: Wish


@define(eq=False, repr=False)
class Work:
    """One run. `all` does it, once."""

    path: str
    client: MoveworksClient
    clock: Clock
    on_progress: OnProgress | None
    #: Requests that isolating may have added by the end of the job.
    isolate: int
    _runner: Runner | None = field(default=None, init=False)
    #: Why it shall end; it may be asked for while the journal is still being read.
    _stopping: str | None = field(default=None, init=False)

    async def all(self, begin: Callable[[Journal], None]) -> JobAccount:
        """Take the journal, `begin` with it, send what is planned, and let go of it."""
        async with Scribe.at(self.path) as scribe:
            earlier = scribe.wished_at
            begun = await scribe.do(lambda journal: self._begin(journal, begin, earlier))
            if begun.tally.to_send:
                await self._run(scribe, begun)
            return await scribe.do(read_account)

    def stop(self, why: str) -> None:
        """Send nothing more; requests in flight end."""
        self._stopping = why
        if self._runner is not None:
            self._runner.stop(why)

    def _begin(
        self, journal: Journal, begin: Callable[[Journal], None], wished_at: float
    ) -> _Begun:
        """See that it is the right journal, and what there is to do."""
        header, here = journal.header(), self.client.base_url
        if header.base_url not in (None, here):
            raise JournalError(
                f"{self.path} is a job for {header.base_url}, and this client is for {here};"
                f" go on with the base URL {header.base_url}"
            )
        begin(journal)
        # What was wished of an earlier process is no wish of this one's, whatever the clock says.
        journal.forget_wish(wished_at)
        return _Begun(
            tally=_tally(journal, self.clock.now()),
            isolate=self.isolate - journal.isolated(),
            bind_to=here if header.base_url is None else None,
            wish=journal.wish(),
        )

    async def _run(self, scribe: Scribe, begun: _Begun) -> None:
        number = await scribe.do(lambda journal: journal.begin_run(self._entry()))
        self._runner = runner = Runner(
            self.client,
            scribe,
            begun.tally,
            isolate=begun.isolate,
            max_in_flight=self.client.sender.max_in_flight,
            bind_to=begun.bind_to,
            clock=self.clock,
        )
        runner.obey(begun.wish)
        if self._stopping is not None:
            runner.stop(self._stopping)
        how = "cut"
        try:
            await self._watched(runner)
            how = runner.ending or "done"
        finally:
            at = self.clock.utcnow().timestamp()
            scribe.note(lambda journal: journal.end_run(number, at, how))
        if runner.error is not None:
            raise JobStopped(_stopped(runner), cause=runner.error) from runner.error

    def _entry(self) -> Run:
        """This process, for the journal."""
        limit = self.client.rate_limit
        return Run(
            id=0,
            pid=os.getpid(),
            host=socket.gethostname(),
            began_at=self.clock.utcnow().timestamp(),
            ended_at=None,
            ended=None,
            budget=limit.budget,
            per=limit.per,
        )

    async def _watched(self, runner: Runner) -> None:
        """Run, and say how far it is meanwhile and at the end."""
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._watch(runner))
            try:
                await runner.run()
            finally:
                watcher.cancel()
                self._tell(runner)

    async def _watch(self, runner: Runner) -> None:
        while True:
            self._tell(runner)
            await self.clock.sleep(_TICK)

    def _tell(self, runner: Runner) -> None:
        """A display that breaks must not end a job in its middle."""
        if self.on_progress is None:
            return
        gate, limit = self.client.gate.snapshot(), self.client.rate_limit
        try:
            self.on_progress(runner.tally.progress(gate, limit, self.clock.now(), runner.waits_for))
        except Exception:
            logger.exception("on_progress raised")


def _tally(journal: Journal, now: float) -> Tally:
    totals = journal.totals()
    people: dict[State, int] = {}
    for state, _, _, count, _, _ in totals:
        people[state] = people.get(state, 0) + count
    people.pop(State.SPLIT, None)
    return Tally(
        total=sum(people.values()),
        people=people,
        to_send=sum(chunks for state, _, chunks, *_ in totals if state is State.PLANNED),
        requests=sum(row[4] for row in totals),
        throttled=sum(row[5] for row in totals),
        began=now,
    )


def _stopped(runner: Runner) -> str:
    lost = runner.tally.unwritten
    unwritten = f"; the ends of {lost} requests could not be written down" if lost else ""
    return f"the job stopped: {runner.ending}{unwritten}"
