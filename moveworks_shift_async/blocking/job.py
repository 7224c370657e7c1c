"""`Job` for code without an event loop."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from attrs import define, field

from ..jobs.job import Job as AsyncJob
from ..jobs.job import JobAccount, Plan
from ..jobs.left_out import InvalidLine
from ..jobs.plan.plan import ExcludeList, Recipients
from ..jobs.preview.survey import JobPreview
from ..jobs.records import ChunkRecord
from ..jobs.run.job_run import OnProgress
from ..jobs.schedule.change import When, Windows
from ..jobs.store.ports import OnLeftUnknown
from ..models import Receipt
from ..settings import RateLimit
from ..wire.moveworks import Context
from .clients import MoveworksClient
from .portal import Calling, Interrupted, Withdraw, portal

T = TypeVar("T")


def _wait(
    work: Callable[[], Coroutine[Any, Any, T]],
    withdraw: Withdraw = asyncio.Task.cancel,
) -> T:
    return Calling(portal(), work, withdraw).result()


@define(eq=False)
class Job:
    """A bulk send that outlives its process. Its methods raise `JournalError` for its file.

    At a Ctrl-C a run sends nothing more and waits for what is in flight; at a second one it cuts
    that. Either way the journal is right, and `resume` goes on.
    """

    path: str | os.PathLike[str] = field(repr=False)
    _job: AsyncJob = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._job = AsyncJob(self.path)
        self.path = self._job.path

    @property
    def name(self) -> str:
        """As it may be shown: without a password."""
        return self._job.name

    @staticmethod
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
    ) -> Plan:
        """Write a job to a journal; nothing is sent. As the async `Job.plan`.

        A generator as the source is read in a thread of its own.
        """
        return _wait(
            lambda: AsyncJob.plan(
                journal,
                source,
                message=message,
                template=template,
                event_id=event_id,
                legacy=legacy,
                context=context,
                escape=escape,
                column=column,
                query=query,
                encoding=encoding,
                exclude=exclude,
                invalid_csv=invalid_csv,
                strict=strict,
                rate_limit=rate_limit,
                window=window,
                at=at,
                not_after=not_after,
            )
        )

    def run(
        self,
        client: MoveworksClient,
        *,
        on_progress: OnProgress | None = None,
        isolate: int = 0,
        moved: bool = False,
        waits: bool = True,
        lease: float | None = None,
        first: int | None = None,
        sample: bool = False,
        stop_if: str | Iterable[str] = (),
        window: Windows | None = None,
        at: When | None = None,
        not_after: When | None = None,
    ) -> JobAccount:
        """Send what was planned, and return the account. As the async `run`.

        `on_progress` is called in the loop's thread, and must not call the client or the job.
        """
        sender = client.of_loop
        return self._send(
            lambda: self._job.run(
                sender,
                on_progress=on_progress,
                isolate=isolate,
                moved=moved,
                waits=waits,
                lease=lease,
                first=first,
                sample=sample,
                stop_if=stop_if,
                window=window,
                at=at,
                not_after=not_after,
            )
        )

    def resume(
        self,
        client: MoveworksClient,
        *,
        unknown: OnLeftUnknown = "report",
        on_progress: OnProgress | None = None,
        isolate: int = 0,
        moved: bool = False,
        other_credential: bool = False,
        lease: float | None = None,
        first: int | None = None,
        sample: bool = False,
        stop_if: str | Iterable[str] = (),
        window: Windows | None = None,
        at: When | None = None,
        not_after: When | None = None,
        stays: bool = True,
    ) -> JobAccount:
        """Go on with a job that has begun; as the async `resume`."""
        sender = client.of_loop
        return self._send(
            lambda: self._job.resume(
                sender,
                unknown=unknown,
                on_progress=on_progress,
                isolate=isolate,
                moved=moved,
                other_credential=other_credential,
                stays=stays,
                lease=lease,
                first=first,
                sample=sample,
                stop_if=stop_if,
                window=window,
                at=at,
                not_after=not_after,
            )
        )

    def drain(self, why: str = "stopped") -> None:
        """End the run of this process: requests in flight end, the others stay planned."""

        async def drained() -> None:
            self._job.drain(why)

        _wait(drained)

    def pause(self) -> None:
        """Let the process that runs it send nothing more until `go_on`, whichever it is."""
        _wait(self._job.pause)

    def stop(self) -> None:
        """Let the process that runs it end as `drain` does."""
        _wait(self._job.stop)

    def go_on(self) -> bool:
        """End a pause; whether there was one, in a process that still runs."""
        return _wait(self._job.go_on)

    def account(self) -> JobAccount:
        """What became of everybody, also while it runs."""
        return _wait(self._job.account)

    def chunks(self) -> list[tuple[ChunkRecord, tuple[str, ...]]]:
        """Each chunk as it stands, with whom it is for. All are in memory: for small jobs."""
        return _wait(self._job.chunks)

    def invalid(self) -> list[InvalidLine]:
        """Each entry that is no address. All are in memory: for small jobs."""
        return _wait(self._job.invalid)

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row for each recipient to a new file; as the async `write_csv`."""
        _wait(lambda: self._job.write_csv(path))

    def write_page(self, path: str | os.PathLike[str]) -> None:
        """Write the account as one page of HTML to a new file."""
        _wait(lambda: self._job.write_page(path))

    def write(
        self,
        *,
        csv: str | os.PathLike[str] | None = None,
        page: str | os.PathLike[str] | None = None,
    ) -> JobAccount:
        """Write the account to new files for their owner alone, all or none, and return it."""
        return _wait(lambda: self._job.write(csv=csv, page=page))

    def preview(self, page: str | os.PathLike[str] | None = None) -> JobPreview:
        """Look at every text of the plan; as the async `preview`."""
        return _wait(lambda: self._job.preview(page))

    def test(self, client: MoveworksClient, address: str) -> list[Receipt]:
        """Send the first three texts to one address; the journal stays as it is."""
        sender = client.of_loop
        return _wait(lambda: self._job.test(sender, address))

    def remove(self) -> None:
        """Remove the journal, and what this machine remembers of it."""
        self._job.remove()

    def _send(self, run: Callable[[], Coroutine[Any, Any, JobAccount]]) -> JobAccount:
        try:
            return _wait(run, lambda _: self._job.drain("interrupted"))
        except Interrupted as stopped:
            if stopped.result is None:
                stopped.account_for(self.account())
            raise
