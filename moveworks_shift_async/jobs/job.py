"""`Job`: everything that can be done with a job, by the name of its file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, get_args

from attrs import Factory, define, field

from ..addresses import address_fault
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import InvalidInput, JobRunning, JournalError
from ..models import Receipt
from ..wire.recipients import CheckedRecipients
from .left_out import InvalidLine, Left
from .plan.plan import Plan
from .plan.plan import plan as make_plan
from .records import ChunkRecord, Command
from .report.account import JobAccount, read_account
from .report.report_files import write_report
from .run.stop_if import parse_stop_rules
from .schedule.change import ScheduleChange, When, Windows
from .store.first import first_of
from .store.names import name_of, store_of, with_lease
from .store.ports import OnLeftUnknown, Store
from .store.standing import standing

if TYPE_CHECKING:
    from ..client import MoveworksClient
    from .preview.survey import JobPreview
    from .run.job_run import JobRun, OnProgress

__all__ = ["Job", "JobAccount", "Plan"]

# Texts that a test sends at most: enough to see that the columns are the right ones.
_TESTED = 3

P = ParamSpec("P")
T = TypeVar("T")


def _same(function: Callable[P, T]) -> Callable[[object], staticmethod[P, T]]:
    """This function as a static method, with its signature for people and type checkers alike."""
    return lambda _: staticmethod(function)


@define(eq=False)
class Job:
    """A bulk send that outlives its process. Its methods raise `JournalError` for its file."""

    path: str = field(converter=name_of, repr=lambda path: repr(store_of(path).name))
    _clock: Clock = field(default=SYSTEM_CLOCK, repr=False)
    #: What this process does for it just now.
    _run: JobRun | None = field(default=None, init=False, repr=False)
    _store: Store = field(
        default=Factory(lambda self: store_of(self.path), takes_self=True), init=False, repr=False
    )

    @property
    def name(self) -> str:
        """As it may be shown: without a password."""
        return self._store.name

    @_same(make_plan)
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
        lease: float | None = None,
        first: int | None = None,
        sample: bool = False,
        stop_if: str | Iterable[str] = (),
        window: Windows | None = None,
        at: When | None = None,
        not_after: When | None = None,
    ) -> JobAccount:
        """Send what was planned, and return the account.

        `isolate` is how many requests may be added to find the addresses for which a list is
        refused. Without `waits` it ends where a bulk send ends, for a journal that nobody will
        resume: each request is repeated as the client's policy says, and three in a row without a
        usable answer are the end.

        Of a job in PostgreSQL any number of processes may make a run at once. `lease` is for how
        many seconds this one may be silent before the others go on without it; None: 60.

        `first` is how many people it is for: the first ones of those who are left, or with `sample`
        as many of each text. They are exactly so many (all, where fewer are left), and the run ends
        when their requests have; `resume` goes on with all others, or with the next ones where it
        has a `first` too. Of several runs at once each has its own.

        `stop_if` are limits at which it ends as `drain` does, with what it met in `ending` of the
        account: `"rejected>2%"` and `"unknown>0"` of the people whose requests have ended in this
        run, `"throttled>10%"` of its requests. A percentage counts once one request alone cannot
        cross it, or where it will surely be crossed; that of requests from a rate window on.

        `window` (one or several, as `"Mon-Fri 08:00-18:00 Europe/Berlin"`), `at` and `not_after`
        say when it may send, in the place of what the job keeps, and are kept in it; `"always"`,
        `"now"` and `"never"` take it away. Nothing new leaves outside of its windows or before
        `at`: the run waits. What is in flight ends. From `not_after` on nothing is sent, and the
        run ends. A moment is a datetime or a text (`"2026-12-01T09:00+01:00"`); without an offset
        it is by this machine's zone. Of a job in PostgreSQL the time is the database's.

        Raises `InvalidInput` for what is no number of people, limit, window or moment, before it
        begins, and `JobStopped` where going on makes no sense: a refused credential, an unknown
        event, a full disk, no server for two hours. Cancelled, it cuts what is in flight, and those
        people are unknown. Whatever happens, the journal is right, and `resume` goes on.

        A copy of a journal that has begun is refused, for the job may have gone on in another file:
        `moved=True` says that it has not. It is refused, too, where the file surely says less than
        was done (an older copy in its place); with `moved=True` all of it that may have left is
        unknown. A job that nobody was told by may be run anew, with another client as well.
        """
        return await self._send(
            client,
            lease,
            change=ScheduleChange.of(self._clock.utcnow(), window, at, not_after),
            on_progress=on_progress,
            isolate=isolate,
            moved=moved,
            waits=waits,
            first=first_of(first, sample=sample),
            stop_if=parse_stop_rules(stop_if),
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
        lease: float | None = None,
        first: int | None = None,
        sample: bool = False,
        stop_if: str | Iterable[str] = (),
        window: Windows | None = None,
        at: When | None = None,
        not_after: When | None = None,
        stays: bool = True,
    ) -> JobAccount:
        """Go on with a job that has begun; everything that was accepted stays so. As `run`.

        Chunks whose requests were on their way when the process died are unknown. `"report"`
        leaves all unknown ones as they are, `"resend"` sends them again, and people may be told
        twice; `"skip"` leaves them for good, and a later `"resend"` is a `JournalError`. Those that
        are to be sent again stay unknown until that is accepted, whatever else becomes of it.

        The client must be for the server and with the credential (client id or API key) that the
        job was begun with; `other_credential=True` goes on with another credential. The others are
        as in `run`; limits of `stop_if` count what this run meets, and nothing that was met before.
        Whoever has other jobs to do gives `stays=False`: the run ends where it would wait for a
        window, but for one within a minute.
        """
        if unknown not in get_args(OnLeftUnknown):
            raise InvalidInput(f"unknown must be one of {', '.join(get_args(OnLeftUnknown))}")
        return await self._send(
            client,
            lease,
            change=ScheduleChange.of(self._clock.utcnow(), window, at, not_after),
            unknown=unknown,
            on_progress=on_progress,
            isolate=isolate,
            moved=moved,
            other_credential=other_credential,
            first=first_of(first, sample=sample),
            stop_if=parse_stop_rules(stop_if),
            stays=stays,
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
        return await self._store.ask(Command.RUN, self._clock.utcnow().timestamp())

    async def _ask(self, command: Command) -> None:
        if not await self._store.ask(command, self._clock.utcnow().timestamp()):
            raise JournalError(f"no process runs {self.name}")

    async def account(self) -> JobAccount:
        """What became of everybody, also while it runs."""
        async with self._store.reading(addresses=False) as store:
            return await read_account(store, clock=self._clock)

    async def chunks(self) -> list[tuple[ChunkRecord, tuple[str, ...]]]:
        """Each chunk as it stands, with whom it is for. All are in memory: for small jobs."""
        async with self._store.reading() as store:
            records = {record.id: record for record in standing(await store.state())}
            found = [pair async for some in store.recipients() for pair in some]
        return [(records[chunk], recipients) for chunk, recipients in found]

    async def invalid(self) -> list[InvalidLine]:
        """Each entry that is no address. All are in memory: for small jobs."""
        async with self._store.reading() as store:
            return [
                InvalidLine(line, reason)
                async for left in store.left_out()
                if left.why is Left.INVALID
                for line, reason, _ in left.entries
            ]

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
        paths = [None if path is None else os.fspath(path) for path in (csv, page)]
        async with self._store.reading(addresses=csv is not None) as store:
            return await write_report(store, *paths)

    async def preview(self, page: str | os.PathLike[str] | None = None) -> JobPreview:
        """Look at every text of the plan: what is in it that the vendor may not know, or is odd.

        `page` is a new file of HTML, for its owner alone, on which some of the texts are shown with
        the first of those whom they are for. Raises `JournalError` if the plan is not whole, and
        `ConfigurationError` where nh3, emoji or what the page needs is not installed; else as
        `write` does.
        """
        from .preview.preview import make_preview  # noqa: PLC0415 - a run does not need it

        path = None if page is None else os.fspath(page)
        async with self._store.reading() as store:
            return await make_preview(store, self.name, path)

    async def test(self, client: MoveworksClient, address: str) -> list[Receipt]:
        """Send the first three texts to one address; the journal stays as it is."""
        if (fault := address_fault(address)) is not None:
            raise InvalidInput(f"what to test with is no address: {fault}")
        async with self._store.reading() as store:
            await store.verify()
            texts = await store.texts(_TESTED)
        from ..call import Call  # noqa: PLC0415 - whoever has a client has it already

        people = CheckedRecipients((address,))
        return [await client.sender.deliver(text, people, Call()) for text, _ in texts]

    def remove(self) -> None:
        """Remove the journal, and what this machine remembers of it.

        No process may work on it. What is not there is no error.
        """
        self._store.remove()

    async def _send(
        self, client: MoveworksClient, lease: float | None, **options: Any
    ) -> JobAccount:
        from .run.job_run import JobRun  # noqa: PLC0415 - to look at a job takes no client and no aiohttp

        if self._run is not None:
            raise JobRunning(f"this job is run already: {self.name}")
        store = self._store if lease is None else with_lease(self._store, lease)
        self._run = JobRun(store, client, self._clock, **options)
        try:
            return await self._run.all()
        finally:
            self._run = None
