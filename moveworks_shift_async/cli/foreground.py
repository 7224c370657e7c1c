"""A run of a job in the foreground: with progress and Ctrl-C, up to its account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from attrs import asdict, define, field, frozen

from ..client import MoveworksClient
from ..errors import JobStopped, JournalError, MoveworksError
from ..jobs.job import Job
from ..jobs.report.account import JobAccount
from ..jobs.run.progress import JobProgress
from ..settings import MoveworksSettings
from .failures import ExitCode, exit_code
from .preflight import check_server
from .signals import Stopper
from .terminal import say
from .views import View, make_view

# Seconds between two lines of JSON, and the same while it waits for a window.
_EVERY, _EVERY_WAITING = 1.0, 60.0


@frozen(kw_only=True)
class RunResult:
    """How a run ended."""

    account: JobAccount
    interrupted: bool
    stopped: JobStopped | None
    #: Why it ended before everybody was sent to, where nothing went wrong.
    ending: str | None = None

    def exit_code(self) -> ExitCode:
        """By the account, and by what stopped it."""
        return exit_code(
            *(() if self.stopped is None else (self.stopped.cause,)),
            accepted=self.account.accepted,
            unknown=self.account.unknown,
            untold=self.account.rejected + self.account.not_sent,
            interrupted=self.interrupted,
        )


#: Takes a client and `on_progress`.
Runnable = Callable[..., Awaitable[JobAccount]]


async def run_in_foreground(
    job: Job, settings: MoveworksSettings, run: Runnable, *, as_json: bool, requests: int = 0
) -> RunResult:
    """Run it and show how far it is. However it ends, the account is the journal's.

    Before so many `requests` the server is asked whether it is there.
    """
    client, view = MoveworksClient.of(settings), JsonLines() if as_json else make_view()
    stopper, meter = Stopper(lambda: job.drain("interrupted"), client.gate, view), _Meter(view)
    try:
        ended = _Ended(stopped=await _unreachable(client, requests))
        if ended.stopped is None:
            with stopper.listening():
                ended = await _ended(run(client, on_progress=meter.show), meter)
    finally:
        with suppress(Exception):  # a terminal that cannot be drawn on
            view.close()
        await client.close()
    try:
        account = await job.account()
    except JournalError as error:
        raise meter.judged(error) from error
    return RunResult(
        account=account,
        interrupted=ended.cut or stopper.presses > 0,
        stopped=ended.stopped,
        ending=ended.ending,
    )


async def _unreachable(client: MoveworksClient, requests: int) -> JobStopped | None:
    """Why the job does not begin, if it does not."""
    try:
        if requests:
            await check_server(client, requests)
    except MoveworksError as error:
        return JobStopped(str(error), cause=error)
    return None


@frozen(kw_only=True)
class _Ended:
    """What stopped a run, and whether it was cut; the account must be told."""

    stopped: JobStopped | None = None
    cut: bool = False
    ending: str | None = None


async def _ended(running: Awaitable[JobAccount], meter: _Meter) -> _Ended:
    """Wait for a run."""
    try:
        return _Ended(ending=(await running).ending)
    except JobStopped as error:
        return _Ended(stopped=error)
    except JournalError as error:
        judged = meter.judged(error)
        if not isinstance(judged, JobStopped):
            raise
        return _Ended(stopped=judged)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return _Ended(cut=True)


@define(eq=False)
class _Meter:
    """Passes progress on, and knows whether this run has sent anything."""

    _view: View
    #: Requests of the job before this run.
    _before: int | None = None
    _now: int = 0

    def show(self, progress: JobProgress) -> None:
        """Take note, and show it."""
        self._now = progress.requests
        if self._before is None:
            self._before = progress.requests
            if line := progress.confined():
                self._view.note(line)
        self._view.show(progress)

    def judged(self, error: JournalError) -> MoveworksError:
        """A journal that fails once requests went out has stopped a job."""
        if self._before in (None, self._now):
            return error
        return JobStopped(f"the job stopped: {error}", cause=error)


@define(eq=False)
class JsonLines(View):
    """One line of JSON a second on stdout."""

    _next: float = field(default=0.0, init=False)
    _waits: float | None = field(default=None, init=False)

    def show(self, progress: JobProgress) -> None:
        """Write a line, if the last one is old or this is the end."""
        same, self._waits = progress.waits_until == self._waits, progress.waits_until
        if not same or progress.elapsed >= self._next or progress.finished:
            pause = _EVERY if progress.waits_until is None else _EVERY_WAITING
            self._next = progress.elapsed + pause
            say(json.dumps({"progress": asdict(progress)}))
