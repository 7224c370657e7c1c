"""A bulk send from its start to its end, with progress and Ctrl-C. `send` and `demo` share it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any

from attrs import define, field, frozen

from ..bulk import BulkSend
from ..client import MoveworksClient, gate_of
from ..models import BulkReport
from ..session import Gate
from ..settings import MoveworksSettings
from ..wire.moveworks import check_message, send_path
from .progress import Progress, read_progress
from .recipients import Mailing
from .terminal import plural
from .views import View, follow, make_view

# SIGHUP: the connection to the terminal broke; Windows has none.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


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
    client = MoveworksClient(
        settings.credentials,
        base_url=settings.base_url,
        rate_limit=settings.rate_limit,
        gate=gate_of(settings),
    )
    bulk, view = letter.to(client, mailing), make_view()
    stopper = _Stopper(bulk, client.gate, view)

    def read() -> Progress:
        return read_progress(
            mailing.people,
            bulk.report,
            client.gate.snapshot(),
            settings.rate_limit,
            stopping=stopper.presses > 0,
        )

    with stopper.listening():
        cut = await _run(bulk, view, read)
    await client.close()
    return Result(report=bulk.report, interrupted=cut or stopper.presses > 0)


async def _run(bulk: BulkSend, view: View, read: Callable[[], Progress]) -> bool:
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


async def _watch(view: View, read: Callable[[], Progress]) -> None:
    """Keep the view up to date until cancelled, and once more then."""
    # A terminal that cannot be drawn on must not end a send in its middle.
    with suppress(Exception), closing(view):
        try:
            await follow(view, read)
        finally:
            view.show(read())


@define(eq=False)
class _Stopper:
    """Ctrl-C: the first lets the requests in flight end, the second cuts them."""

    _bulk: BulkSend
    _gate: Gate
    _view: View
    presses: int = field(default=0, init=False)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals, and give them back."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        # Windows has no such handlers: there asyncio cancels this task, as the second press does.
        with suppress(NotImplementedError):
            for number in _SIGNALS:
                loop.add_signal_handler(number, self._pressed, task)
        try:
            yield
        finally:
            with suppress(NotImplementedError):
                for number in _SIGNALS:
                    loop.remove_signal_handler(number)
            # The report is about to be printed: a late Ctrl-C must neither lose it nor end in a
            # line that says that nothing was sent.
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _pressed(self, task: asyncio.Task[Any] | None) -> None:
        self.presses += 1
        if self.presses == 1:
            in_flight = plural(self._gate.snapshot().in_flight, "request")
            self._bulk.stop()
            self._view.note(
                f"stopping: waiting for {in_flight} in flight; press Ctrl-C again to cut them"
            )
        elif self.presses == 2 and task is not None:
            task.cancel()
