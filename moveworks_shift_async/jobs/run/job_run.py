"""What one process does for a job, from taking its journal to the account."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

from attrs import define, field, frozen

from ...client import MoveworksClient
from ...clock import Clock
from ...errors import JobStopped, JournalError
from ..records import Command, Run, State, Stray
from ..report.account import JobAccount, read_account
from ..store.sqlite.journal import Journal
from ..store.sqlite.thread import JournalThread
from .progress import JobProgress, Tally
from .runner import Runner

logger: logging.Logger = logging.getLogger(__name__)
OnProgress = Callable[[JobProgress], object]

# Seconds between two calls of `on_progress`. A bar that moves less often looks stuck.
_TICK = 0.2

_STRAYS = {
    Stray.COPY: "{path} is not the file that the job was last run from: it is a copy, or was moved"
    " to another disk. If the job has gone on in another file since, to go on here would tell"
    " people twice; if it has not, go on",
    Stray.OLDER: "{path} is an older copy that was put in the place of the journal: the job has"
    " gone on since it was made. Put the newest file back; if there is none, go on, and all whom"
    " this one calls not sent are unknown,",
    Stray.TORN: "{path} holds parts of different moments: it was copied while it was written, or"
    " its process was killed and the file {path}-journal beside it was left behind. Put that file"
    " back, or another copy; if there is none, go on, and all whom this one calls not sent are"
    " unknown,",
}
_MOVED = " with --moved (in Python: moved=True)"


@frozen(kw_only=True)
class _Begun:
    """What a process finds in the journal that it takes."""

    tally: Tally
    #: Requests that isolating may still add.
    isolate: int
    #: Ages in seconds of the requests that the server may still count.
    recent: list[float]
    command: Command


@define(eq=False, repr=False)
class JobRun:
    """One run. `all` does it, once."""

    path: str
    client: MoveworksClient
    clock: Clock
    on_progress: OnProgress | None
    #: Requests that isolating may have added by the end of the job.
    isolate: int
    #: By the user's word the job has gone on in no other file, or with no other credential.
    moved: bool = False
    other_credential: bool = False
    #: For the server; somebody may resume it.
    waits: bool = True
    _runner: Runner | None = field(default=None, init=False)
    #: Why it shall end; it may be asked for while the journal is still being read.
    _stopping: str | None = field(default=None, init=False)

    async def all(self, begin: Callable[[Journal], None]) -> JobAccount:
        """Take the journal, `begin` with it, send what is planned, and let go of it."""
        async with JournalThread.at(self.path) as journal_thread:
            earlier = journal_thread.commanded_at
            begun = await journal_thread.do(lambda journal: self._begin(journal, begin, earlier))
            if begun.tally.to_send:
                await self._run(journal_thread, begun)
            return await journal_thread.do(read_account)

    def stop(self, why: str) -> None:
        """Send nothing more; requests in flight end."""
        self._stopping = why
        if self._runner is not None:
            self._runner.stop(why)

    def _begin(
        self, journal: Journal, begin: Callable[[Journal], None], commanded_at: float
    ) -> _Begun:
        """See that it is the right journal, and what there is to do."""
        self._check_file(journal)
        self._check_client(journal)
        begin(journal)
        header = journal.header()
        journal.belong(self.client.base_url, self.client.identity(header.key))
        # A command to an earlier process is none to this one, whatever the clock says.
        journal.forget_command(commanded_at)
        return _Begun(
            tally=_tally(journal, self.clock.now()),
            isolate=self.isolate - journal.isolated(),
            recent=self._recent(journal),
            command=journal.command(),
        )

    def _check_file(self, journal: Journal) -> None:
        """It is the file that the job was last run from, or the user says that it shall be."""
        stray = journal.strayed()
        if stray is None:
            return
        if not self.moved:
            raise JournalError(_STRAYS[stray].format(path=self.path) + _MOVED)
        if stray is not Stray.COPY:
            journal.orphans()
            journal.doubt()
        journal.adopt()

    def _check_client(self, journal: Journal) -> None:
        """Whoever told somebody of it, or may have, goes on with it: the same server and tenant."""
        header, client = journal.header(), self.client
        if header.base_url is None or not journal.may_have_told():
            return
        if header.base_url != client.base_url:
            raise JournalError(
                f"{self.path} is a job for {header.base_url}, and this client is for"
                f" {client.base_url}; go on with the base URL {header.base_url}"
            )
        if header.identity != client.identity(header.key) and not self.other_credential:
            raise JournalError(
                f"{self.path} was begun with another credential (client id or API key), perhaps"
                " another organisation's; go on with that one, or, if this one is right, with"
                " --other-credential (in Python: other_credential=True)"
            )

    def _recent(self, journal: Journal) -> list[float]:
        limit = self.client.rate_limit
        return journal.recent(self.clock.utcnow().timestamp(), limit.per, limit.budget)

    async def _run(self, journal_thread: JournalThread, begun: _Begun) -> None:
        if begun.recent:
            self.client.gate.observed(begun.recent)
        number = await journal_thread.do(lambda journal: journal.begin_run(self._entry()))
        self._runner = runner = Runner(
            self.client,
            journal_thread,
            begun.tally,
            isolate=begun.isolate,
            waits=self.waits,
            max_in_flight=self.client.sender.max_in_flight,
            clock=self.clock,
        )
        runner.obey(begun.command)
        if self._stopping is not None:
            runner.stop(self._stopping)
        how = "cut"
        try:
            await self._watched(runner)
            how = runner.ending or "done"
        finally:
            at = self.clock.utcnow().timestamp()
            journal_thread.note(lambda journal: journal.end_run(number, at, how))
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
        now, under_way = self.clock.now(), runner.under_way
        try:
            self.on_progress(
                runner.tally.progress(gate, limit, now, runner.waits_for, under_way=under_way)
            )
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
