"""What one process does for a job, from taking its journal to the account."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from ...client import MoveworksClient
from ...clock import Clock
from ...errors import JobStopped, JournalError, Outcome
from ...text import people
from ..records import CUT, DONE, Run, State, Stray, Total
from ..report.account import JobAccount, read_account
from ..report.sentences import moment
from ..schedule.change import ScheduleChange
from ..store.first import First
from ..store.ports import Beginning, Begun, Found, OnLeftUnknown, RunStore, Store
from .progress import JobProgress, Tally
from .runner import Runner
from .stop_if import StopRule

logger: logging.Logger = logging.getLogger(__name__)
if TYPE_CHECKING:
    from ...telemetry.otel import Run as Traced

OnProgress = Callable[[JobProgress], object]

# Seconds between two calls of `on_progress`. A bar that moves less often looks stuck.
_TICK = 0.2
# The same while it waits for a window: nothing moves but the time.
_SLOW_TICK = 1.0

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


@define(eq=False, repr=False)
class JobRun:
    """One run. `all` does it, once."""

    store: Store
    client: MoveworksClient
    clock: Clock
    on_progress: OnProgress | None
    #: Requests that isolating may have added by the end of the job.
    isolate: int
    #: None: it must not have begun.
    unknown: OnLeftUnknown | None = None
    #: By the user's word the job has gone on in no other file, or with no other credential.
    moved: bool = False
    other_credential: bool = False
    #: For the server; somebody may resume it.
    waits: bool = True
    #: Whom it is for; None: for all who are planned.
    first: First | None = None
    stop_if: Sequence[StopRule] = ()
    #: For a window of its schedule; without it the run ends where one closes.
    stays: bool = True
    #: What replaces the schedule that is kept.
    change: ScheduleChange = field(factory=ScheduleChange)
    _runner: Runner | None = field(default=None, init=False)
    #: Why it shall end; it may be asked for while the journal is still being read.
    _stopping: str | None = field(default=None, init=False)
    #: Why it ended although somebody was left.
    _ending: str | None = field(default=None, init=False)

    async def all(self) -> JobAccount:
        """Take the journal, send what is planned, and let go of it."""
        async with self.store.running() as store:
            found = await store.found()
            beginning = self._beginning(found)
            try:
                begun = await store.begin(beginning)
            except asyncio.CancelledError:  # it may have begun although we were cancelled
                store.finish(beginning.run.id, self.clock.utcnow().timestamp(), CUT)
                raise
            if (telemetry := self.client.sender.telemetry) is not None:
                left = _unknown(begun.totals) - _unknown(found.totals)
                telemetry.count(Outcome.UNKNOWN, max(0, left))  # by a run that has died
            tally = Tally.of(begun.totals, self.clock.now())
            if tally.to_send:
                await self._run(store, beginning.run, begun, tally)
            # The last run may be another's by now.
            account = await read_account(store.account, clock=self.clock)
            return evolve(account, ending=self._ending)

    def stop(self, why: str) -> None:
        """Send nothing more; requests in flight end."""
        self._stopping = why
        if self._runner is not None:
            self._runner.stop(why)

    def _beginning(self, found: Found) -> Beginning:
        """See that it is the right journal, and that this may be done with it."""
        self._check_file(found)
        self._check_client(found)
        doubted = found.stray not in (None, Stray.COPY)
        if self.unknown is None:
            self._check_first(found, doubted)
        elif self.unknown == "resend":
            self._check_resend(found, doubted)
        return Beginning(
            run=self._entry(),
            base_url=self.client.base_url,
            identity=self.client.identity(found.header.key),
            stray=found.stray,
            unknown=self.unknown,
            first=self.first,
            schedule=self.change.applied(found.header.schedule) if self.change else None,
        )

    def _check_file(self, found: Found) -> None:
        """It is the file that the job was last run from, or the user says that it shall be."""
        if found.stray is not None and not self.moved:
            raise JournalError(_STRAYS[found.stray].format(path=self.store.name) + _MOVED)

    def _check_client(self, found: Found) -> None:
        """Whoever told somebody of it, or may have, goes on with it: the same server and tenant."""
        header, client, name = found.header, self.client, self.store.name
        told = found.may_have_told or found.stray not in (None, Stray.COPY)
        if header.base_url is None or not told:
            return
        if header.base_url != client.base_url:
            raise JournalError(
                f"{name} is a job for {header.base_url}, and this client is for"
                f" {client.base_url}; go on with the base URL {header.base_url}"
            )
        if header.identity != client.identity(header.key) and not self.other_credential:
            raise JournalError(
                f"{name} was begun with another credential (client id or API key), perhaps"
                " another organisation's; go on with that one, or, if this one is right, with"
                " --other-credential (in Python: other_credential=True)"
            )

    def _check_first(self, found: Found, doubted: bool) -> None:
        """Nobody was told yet, or may have been."""
        if found.others:  # it takes part
            return
        if found.may_have_told or doubted:
            waits = not doubted and any(total.state is State.PLANNED for total in found.totals)
            on = "go on with it (resume)" if waits else "see its account (report)"
            raise JournalError(f"{self.store.name} has begun already; {on}")

    def _check_resend(self, found: Found, doubted: bool) -> None:
        """Somebody is to be sent to again, or nobody was skipped."""
        unknown = {State.UNKNOWN, State.SENDING} | ({State.PLANNED} if doubted else set())
        again = any(total.state in unknown and not total.left_alone for total in found.totals)
        if found.left_at is not None and not again:
            on = moment(datetime.fromtimestamp(found.left_at, UTC))
            raise JournalError(
                f"{self.store.name}: those who were unknown were skipped for good on {on}, and"
                " nobody is sent to again; go on with the others, if any are left, without resend"
            )

    async def _run(self, store: RunStore, run: Run, begun: Begun, tally: Tally) -> None:
        if begun.chosen is not None:
            tally.confine(begun.chosen)
        if begun.recent:
            self.client.gate.observed(begun.recent)
        telemetry = self.client.sender.telemetry
        traced = None if telemetry is None else telemetry.run("job")
        self._runner = runner = self._runner_of(store, run, begun, tally, traced)
        runner.follow(begun.wanted)
        if self._stopping is not None:
            runner.stop(self._stopping)
        how = CUT
        try:
            await self._watched(runner)
            self._ending = runner.ending or _confined_to(begun)
            how = self._ending or DONE
        finally:
            if traced is not None:
                traced.end(runner.error)
            at = self.clock.utcnow().timestamp()
            store.finish(run.id, at, how)
        if runner.error is not None:
            raise JobStopped(_stopped(runner), cause=runner.error) from runner.error

    def _runner_of(
        self, store: RunStore, run: Run, begun: Begun, tally: Tally, traced: Traced | None
    ) -> Runner:
        return Runner(
            self.client,
            store,
            run.id,
            tally,
            isolate=self.isolate - begun.isolated,
            waits=self.waits,
            stays=self.stays,
            max_in_flight=self.client.sender.max_in_flight,
            clock=self.clock,
            traced=traced,
            confined=begun.chosen is not None,
            stop_if=self.stop_if,
        )

    def _entry(self) -> Run:
        """This process, for the journal."""
        limit = self.client.rate_limit
        return Run(
            id=secrets.token_hex(8),
            pid=os.getpid(),
            host=socket.gethostname(),
            began_at=self.clock.utcnow().timestamp(),
            ended_at=None,
            ended=None,
            budget=limit.budget,
            per=limit.per,
            first=None if self.first is None else self.first.people,
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
            await self.clock.sleep(_TICK if runner.holds.closed is None else _SLOW_TICK)

    def _tell(self, runner: Runner) -> None:
        """A display that breaks must not end a job in its middle."""
        if self.on_progress is None:
            return
        gate, limit = self.client.gate.snapshot(), self.client.rate_limit
        now, under_way, hold = self.clock.now(), runner.under_way, runner.holds.first
        until = None if hold is None or runner.ending is not None else hold.until
        try:
            progress = runner.tally.progress(
                gate, limit, now, runner.waits_for, under_way=under_way, until=until
            )
            self.on_progress(progress)
        except Exception:
            logger.exception("on_progress raised")


def _confined_to(begun: Begun) -> str | None:
    """Why a run for the first ones ended, if others are left."""
    planned = sum(total.people for total in begun.totals if total.state is State.PLANNED)
    if begun.chosen is None or begun.chosen.people == planned:
        return None
    if not begun.chosen.people:
        return "nobody was left for it, for other runs have all who are planned"
    return f"it was for {people(begun.chosen.people)} only"


def _stopped(runner: Runner) -> str:
    lost = runner.tally.unwritten
    unwritten = f"; the ends of {lost} requests could not be written down" if lost else ""
    return f"the job stopped: {runner.ending}{unwritten}"


def _unknown(totals: Iterable[Total]) -> int:
    """People."""
    return sum(total.people for total in totals if total.state is State.UNKNOWN)
