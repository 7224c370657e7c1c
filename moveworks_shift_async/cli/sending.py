"""A bulk send from its start to its end, with progress and Ctrl-C. `send` and `demo` share it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any

from attrs import field, frozen

from ..client import MoveworksClient
from ..errors import MoveworksError, Outcome
from ..jobs.run.progress import JobProgress
from ..models import BulkReport, ChunkOutcome
from ..sending.batcher import Batcher, chunks
from ..sending.stream import BulkSend
from ..settings import MoveworksSettings
from ..wire.moveworks import check_message, send_path
from .progress import read_progress
from .reaching import check_server
from .recipients import Mailing
from .stopping import Stopper
from .views import View, follow, make_view


@frozen(kw_only=True)
class Letter:
    """What is sent: to an event, or without one through the legacy endpoint."""

    event_id: str | None
    message: str = field(repr=False)
    context: Mapping[str, Any] | None = field(default=None, repr=False)

    def check(self) -> None:
        """Raise `InvalidInput` for what the vendor would refuse."""
        send_path(self.event_id)
        check_message(self.message, self.context)

    def to(self, client: MoveworksClient, mailing: Mailing) -> BulkSend:
        """The send of it, not yet begun."""
        if self.event_id is None:
            return client.messages.send_bulk(self.message, mailing.entries, self.context)
        return client.events.send_bulk(self.event_id, self.message, mailing.entries, self.context)


@frozen(kw_only=True)
class Result:
    """How a send ended."""

    report: BulkReport
    interrupted: bool


async def deliver(letter: Letter, mailing: Mailing, settings: MoveworksSettings) -> Result:
    """Send it and show how far it is. Ctrl-C stops it; the account is complete all the same."""
    client = MoveworksClient.of(settings)
    try:
        try:
            await check_server(client, mailing.requests)
        except MoveworksError as error:
            return Result(report=_untold(mailing, error), interrupted=False)
        return await _delivered(letter, mailing, client)
    finally:
        await client.close()


async def _delivered(letter: Letter, mailing: Mailing, client: MoveworksClient) -> Result:
    bulk, view = letter.to(client, mailing), make_view()
    stopper = Stopper(bulk.stop, client.gate, view)

    def read() -> JobProgress:
        return read_progress(
            mailing.people,
            bulk.report,
            client.gate.snapshot(),
            client.rate_limit,
            stopping=stopper.presses > 0,
        )

    with stopper.listening():
        cut = await _run(bulk, view, read)
    return Result(report=bulk.report, interrupted=cut or stopper.presses > 0)


def _untold(mailing: Mailing, error: MoveworksError) -> BulkReport:
    """The account of a send that did not begin."""
    batcher = Batcher()
    failures = tuple(
        ChunkOutcome(index=index, recipients=people, outcome=Outcome.NOT_SENT, error=error)
        for index, people in enumerate(chunks(batcher, mailing.entries))
    )
    return BulkReport(
        accepted=0,
        rejected=0,
        unknown=0,
        not_sent=sum(len(failure.recipients) for failure in failures),
        requests=0,
        duplicates=batcher.duplicates,
        invalid=tuple(batcher.invalid),
        throttled=0,
        elapsed=0.0,
        failures=failures,
    )


async def _run(bulk: BulkSend, view: View, read: Callable[[], JobProgress]) -> bool:
    """Wait for the send; say whether it was cut. The cut ends here: the account must be told."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(_watch(view, read))
            try:
                await bulk
            finally:
                watcher.cancel()
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return True
    return False


async def _watch(view: View, read: Callable[[], JobProgress]) -> None:
    """Keep the view up to date until cancelled, and once more then."""
    # A terminal that cannot be drawn on must not end a send in its middle.
    with suppress(Exception), closing(view):
        try:
            await follow(view, read)
        finally:
            view.show(read())
