"""`Job`: everything that can be done with a job, by the name of its file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

from attrs import define, field

from ..addresses import address_fault
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import InvalidInput, JobRunning, JournalError
from ..models import Receipt
from ..wire.moveworks import Content
from ..wire.recipients import CheckedRecipients
from .plan.plan import Plan, plan
from .plan.rejects import InvalidLine
from .records import ChunkRecord, Command, Left
from .report.account import JobAccount, read_account, standing
from .report.files import write_report
from .report.sentences import moment
from .store.names import journal_path
from .store.sqlite.journal import Journal
from .store.sqlite.lock import is_free, quiet, remove
from .threads import in_thread

if TYPE_CHECKING:
    from ..client import MoveworksClient
    from .run.job_run import JobRun, OnProgress

__all__ = ["Job", "JobAccount", "Plan"]

T = TypeVar("T")
OnLeftUnknown = Literal["report", "resend", "skip"]

# Texts that a test sends at most: enough to see that the columns are the right ones.
_TESTED = 3


P = ParamSpec("P")


def _same(function: Callable[P, T]) -> Callable[[object], staticmethod[P, T]]:
    """This function as a static method, with its signature for people and type checkers alike."""
    return lambda _: staticmethod(function)


@define(eq=False)
class Job:
    """A bulk send that outlives its process. Its methods raise `JournalError` for its file."""

    path: str = field(converter=journal_path)
    _clock: Clock = field(default=SYSTEM_CLOCK, repr=False)
    #: What this process does for it just now.
    _run: JobRun | None = field(default=None, init=False, repr=False)

    @_same(plan)
    def plan() -> None:
        """`await Job.plan(journal, source, ...)` makes the journal."""

    async def run(
        self,
        client: MoveworksClient,
        *,
        on_progress: OnProgress | None = None,
        isolate: int = 0,
        moved: bool = False,
        waits: bool = True,
    ) -> JobAccount:
        """Send what was planned, and return the account.

        `isolate` is how many requests may be added to find the addresses for which a list is
        refused. Without `waits` it ends where a bulk send ends, for a journal that nobody will
        resume: each request is repeated as the client's policy says, and three in a row without a
        usable answer are the end.

        Raises `JobStopped` where going on makes no sense: a refused credential, an unknown event, a
        full disk, no server for two hours. Cancelled, it cuts what is in flight, and those people
        are unknown. Whatever happens, the journal is right, and `resume` goes on.

        A copy of a journal that has begun is refused, for the job may have gone on in another file:
        `moved=True` says that it has not. It is refused, too, where the file surely says less than
        was done (an older copy in its place); with `moved=True` all of it that may have left is
        unknown. A job that nobody was told by may be run anew, with another client as well.
        """
        return await self._send(
            self._first,
            client,
            on_progress=on_progress,
            isolate=isolate,
            moved=moved,
            waits=waits,
        )

    async def resume(
        self,
        client: MoveworksClient,
        *,
        unknown: OnLeftUnknown = "report",
        on_progress: OnProgress | None = None,
        isolate: int = 0,
        moved: bool = False,
        other_credential: bool = False,
    ) -> JobAccount:
        """Go on with a job that has begun; everything that was accepted stays so. As `run`.

        Chunks whose requests were on their way when the process died are unknown. `"report"`
        leaves all unknown ones as they are, `"resend"` sends them again, and people may be told
        twice; `"skip"` leaves them for good, and a later `"resend"` is a `JournalError`. Those that
        are to be sent again stay unknown until that is accepted, whatever else becomes of it.

        The client must be for the server and with the credential (client id or API key) that the
        job was begun with; `other_credential=True` goes on with another credential. `moved` is as
        in `run`.
        """
        if unknown not in get_args(OnLeftUnknown):
            raise InvalidInput(f"unknown must be one of {', '.join(get_args(OnLeftUnknown))}")

        def begin(journal: Journal) -> None:
            journal.orphans()
            if unknown == "resend":
                self._resend(journal)
            elif unknown == "skip":
                journal.leave_unknown(self._clock.utcnow().timestamp())

        return await self._send(
            begin,
            client,
            on_progress=on_progress,
            isolate=isolate,
            moved=moved,
            other_credential=other_credential,
        )

    def drain(self, why: str = "stopped") -> None:
        """End the run of this process: requests in flight end, the others stay planned."""
        if self._run is not None:
            self._run.stop(why)

    async def pause(self) -> None:
        """Let the process that runs it send nothing more until `go_on`, whichever it is.

        Raises `JournalError` if no process runs it. Requests in flight end.
        """
        await self._ask(Command.PAUSE)

    async def stop(self) -> None:
        """Let the process that runs it end as `drain` does. Otherwise as `pause`."""
        await self._ask(Command.STOP)

    async def go_on(self) -> bool:
        """End a pause; whether there was one, in a process that still runs."""

        def write(journal: Journal) -> bool:
            paused = not is_free(self.path) and journal.command() is Command.PAUSE
            if paused:
                journal.set_command(Command.RUN, self._clock.utcnow().timestamp())
            return paused

        return await self._beside(write)

    async def _ask(self, command: Command) -> None:
        def write(journal: Journal) -> None:
            if is_free(self.path):
                raise JournalError(f"no process runs {self.path}")
            journal.set_command(command, self._clock.utcnow().timestamp())

        await self._beside(write)

    async def account(self) -> JobAccount:
        """What became of everybody, also while it runs."""
        return await self._read(read_account)

    async def chunks(self) -> list[tuple[ChunkRecord, tuple[str, ...]]]:
        """Each chunk as it stands, with whom it is for. All are in memory: for small jobs."""

        def read(journal: Journal) -> list[tuple[ChunkRecord, tuple[str, ...]]]:
            records = {record.id: record for record in standing(journal)}
            return [(records[chunk], recipients) for chunk, recipients in journal.recipients()]

        return await self._read(read)

    async def invalid(self) -> list[InvalidLine]:
        """Each entry that is no address. All are in memory: for small jobs."""

        def read(journal: Journal) -> list[InvalidLine]:
            blocks = [left for left in journal.left_out() if left.why is Left.INVALID]
            return [
                InvalidLine(*row)
                for left in blocks
                for row in zip(left.lines, left.reasons, strict=True)
            ]

        return await self._read(read)

    async def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row for each recipient to a new file: address, outcome, chunk, time, reason.

        After them come the entries that were left out, with their line in the source. Otherwise as
        `write`.
        """
        await self.write(csv=path)

    async def write_page(self, path: str | os.PathLike[str]) -> None:
        """Write the account as one page of HTML to a new file; otherwise as `write`."""
        await self.write(page=path)

    async def write(
        self,
        *,
        csv: str | os.PathLike[str] | None = None,
        page: str | os.PathLike[str] | None = None,
    ) -> JobAccount:
        """Write the account to new files for their owner alone, and return it.

        All of them are written, or none. Raises `InvalidInput` if there is a file of such a name,
        `JournalError` if the disk does not take it, and `ConfigurationError` where the page needs
        what is not installed.
        """
        stop = threading.Event()
        paths = [None if path is None else os.fspath(path) for path in (csv, page)]
        return await self._read(lambda journal: write_report(journal, *paths, stop=stop), stop)

    async def test(self, client: MoveworksClient, address: str) -> list[Receipt]:
        """Send the first three texts to one address; the journal stays as it is."""
        if (fault := address_fault(address)) is not None:
            raise InvalidInput(f"what to test with is no address: {fault}")
        texts = await self._read(self._first_texts)
        from ..attempt import Call  # noqa: PLC0415 - whoever has a client has it already

        return [
            await client.sender.deliver(text, CheckedRecipients((address,)), Call())
            for text in texts
        ]

    def _first_texts(self, journal: Journal) -> list[Content]:
        journal.verify()
        return [text for text, _ in journal.texts(_TESTED)]

    def _resend(self, journal: Journal) -> None:
        left_at = journal.left_at()
        if not journal.resend_unknown() and left_at is not None:
            on = moment(datetime.fromtimestamp(left_at, UTC))
            raise JournalError(
                f"{self.path}: those who were unknown were skipped for good on {on}, and nobody is"
                " sent to again; go on with the others, if any are left, without resend"
            )

    def _first(self, journal: Journal) -> None:
        if journal.may_have_told():
            on = "go on with it (resume)" if journal.claim(-1, 1) else "see its account (report)"
            raise JournalError(f"{self.path} has begun already; {on}")

    def remove(self) -> None:
        """Remove the journal, and what this machine remembers of it.

        No process may work on it. What is not there is no error.
        """
        remove(self.path)

    async def _read(self, step: Callable[[Journal], T], stop: threading.Event | None = None) -> T:
        """Read the journal, and change nothing in it."""

        def reading() -> T:
            with Journal.look(self.path) as journal:
                return step(journal)

        return await in_thread(reading, stop or threading.Event())

    async def _beside(self, step: Callable[[Journal], T], stop: threading.Event | None = None) -> T:
        """Something short with the journal, beside whoever runs it."""

        def reading() -> T:
            with quiet:
                journal = Journal.open(self.path)
                try:
                    return step(journal)
                finally:
                    journal.close()

        return await in_thread(reading, stop or threading.Event())

    async def _send(
        self, begin: Callable[[Journal], None], client: MoveworksClient, **options: Any
    ) -> JobAccount:
        from .run.job_run import JobRun  # noqa: PLC0415 - to look at a job takes no client and no aiohttp

        if self._run is not None:
            raise JobRunning(f"this job is run already: {self.path}")
        self._run = JobRun(self.path, client, self._clock, **options)
        try:
            return await self._run.all(begin)
        finally:
            self._run = None
