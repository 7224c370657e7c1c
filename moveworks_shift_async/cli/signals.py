"""Ctrl-C, SIGTERM and SIGHUP, while something is planned or sent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import define, field

from ..limits.gate import Gate
from ..text import plural
from .failures import INTERRUPTED, ExitCode
from .resolver import resolve_in_daemons
from .terminal import note

if TYPE_CHECKING:
    from .views import View

# SIGHUP: the connection to the terminal broke; Windows has none.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_T = TypeVar("_T")
_Handler = Callable[[int, FrameType | None], Any] | signal.Handlers
# Seconds that a plan may take to clean up before a line says what is waited for.
_QUIET_SECONDS = 1.0
#: Called before a process leaves at once, in the middle of what would clean up after it.
AT_EXIT: list[Callable[[], object]] = []


@contextmanager
def cancel_on_signal(
    waits_for: str = "the recipients' source", said: Callable[[], str] = lambda: INTERRUPTED
) -> Iterator[None]:
    """Ctrl-C while nothing is sent: the first cancels, the second leaves at once with what is
    `said` then.

    What a thread waits for cannot be cancelled: a terminal that nobody types at, or a database.
    After a second it is said that this is waited for.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    waiting = f"stopping: waiting for {waits_for}; press Ctrl-C again to leave at once"
    timers: list[asyncio.TimerHandle] = []

    def pressed() -> None:
        if timers:
            for clean_up in AT_EXIT:
                clean_up()
            note(said())
            os._exit(ExitCode.INTERRUPTED)
        timers.append(loop.call_later(_QUIET_SECONDS, note, waiting))
        if task is not None:
            task.cancel()

    with on_signal(loop, pressed):
        try:
            yield
        except asyncio.CancelledError:
            raise click.Abort from None
        finally:
            for timer in timers:
                timer.cancel()


@contextmanager
def on_signal(
    loop: asyncio.AbstractEventLoop, pressed: Callable[[], object], *, ignored_after: bool = False
) -> Iterator[None]:
    """Take the signals, and give them back, or let them be ignored from then on.

    One that is ignored already stays so: that is what `nohup` asks for. The loop's own handlers
    would give a signal its default for a moment, and that is the end of the process.
    """

    def handler(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(pressed)

    with _handled_by(handler, signal.SIG_IGN if ignored_after else None), _woken(loop):
        yield


@contextmanager
def given_back() -> Iterator[None]:
    """What is inside may leave signals ignored; afterwards they are heard again as before."""
    before = {number: signal.getsignal(number) for number in _not_ignored()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _woken(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let a signal wake the loop: one that another thread hears, or that comes just before the loop
    goes to sleep, would wait until something else does.
    """
    if not _in_main_thread():
        yield
        return
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        loop.add_reader(reading, reading.recv, 4096)
        before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reading)


def run_loop(main: Coroutine[Any, Any, _T]) -> _T:
    """As `asyncio.run`; but a signal that comes while the event loop is made is heard after that.

    Python itself would write a traceback for a loop that is only half there, and a warning for
    `main` if nobody closes it.
    """
    with closing(main), closing(asyncio.Runner()) as runner:
        with _put_off():
            resolve_in_daemons(runner.get_loop())
        return runner.run(main)


@contextmanager
def _put_off() -> Iterator[None]:
    heard: list[int] = []
    with _handled_by(lambda number, _: heard.append(number)):
        yield
    for number in heard:
        signal.raise_signal(number)


def raise_on_signal() -> AbstractContextManager[None]:
    """SIGTERM and SIGHUP end as Ctrl-C does: an error is raised, and what cleans up is reached."""
    return _handled_by(signal.default_int_handler)


def ignore_signals() -> AbstractContextManager[None]:
    """No signal breaks in."""
    return _handled_by(signal.SIG_IGN)


@contextmanager
def _handled_by(handler: _Handler, afterwards: _Handler | None = None) -> Iterator[None]:
    """Take the signals, but for those that are ignored.

    At the end they have the handler from before, or `afterwards`; one that has another handler
    meanwhile keeps it: it is ignored, for the account is about to be printed.
    """
    before = {number: signal.signal(number, handler) for number in _not_ignored()}
    try:
        yield
    finally:
        for number, old in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, old if afterwards is None else afterwards)


def _not_ignored() -> list[signal.Signals]:
    hears = _SIGNALS if _in_main_thread() else ()
    return [number for number in hears if signal.getsignal(number) is not signal.SIG_IGN]


def _in_main_thread() -> bool:
    # Python runs signal handlers in the main thread only.
    return threading.current_thread() is threading.main_thread()


@define(eq=False)
class Stopper:
    """Ctrl-C: the first lets the requests in flight end, the second cuts them."""

    #: Sends nothing more and lets requests in flight end.
    _stop: Callable[[], None]
    _gate: Gate
    _view: View
    presses: int = field(default=0, init=False)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals. Afterwards they are ignored: the account is about to be printed.

        A late one must neither lose it nor end in a line that says that nothing was sent.
        """
        loop, pressed = asyncio.get_running_loop(), partial(self._pressed, asyncio.current_task())
        with on_signal(loop, pressed, ignored_after=True):
            yield

    def _pressed(self, task: asyncio.Task[Any] | None) -> None:
        self.presses += 1
        if self.presses == 1:
            in_flight = self._gate.snapshot().in_flight
            self._stop()
            self._view.note(_stopping(in_flight))
        elif self.presses == 2 and task is not None:
            task.cancel()


def _stopping(in_flight: int) -> str:
    if not in_flight:
        return "stopping: nothing more is sent"
    return (
        f"stopping: waiting for {plural(in_flight, 'request')} in flight; press Ctrl-C again to"
        " cut them and leave their people unknown"
    )
