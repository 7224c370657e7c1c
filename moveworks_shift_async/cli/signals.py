"""Ctrl-C, SIGTERM and SIGHUP, while something is planned or sent."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from ..limits.gate import Gate
from ..text import plural
from .failures import INTERRUPTED, ExitCode
from .terminal import note

if TYPE_CHECKING:
    from .views import View

# SIGHUP: the connection to the terminal broke; Windows has none.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


# Seconds that a plan may take to clean up before anybody hears of it.
_QUIET_SECONDS = 1.0
#: Called before a process leaves at once, in the middle of what would clean up after it.
AT_EXIT: list[Callable[[], object]] = []


@contextmanager
def cancel_on_signal(waits_for: str = "the recipients' source") -> Iterator[None]:
    """Ctrl-C while nothing is sent: the first cancels, the second leaves at once.

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
            note(INTERRUPTED)
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

    before = {number: signal.signal(number, handler) for number in _not_ignored()}
    try:
        with _woken(loop):
            yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_IGN if ignored_after else old)


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


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """SIGTERM and SIGHUP end as Ctrl-C does: an error is raised, and what cleans up is reached."""
    handler = signal.default_int_handler
    before = {number: signal.signal(number, handler) for number in _not_ignored()}
    try:
        yield
    finally:
        for number, old in before.items():
            if signal.getsignal(number) is handler:  # else the account is about to be printed
                signal.signal(number, old)


@contextmanager
def ignore_signals() -> Iterator[None]:
    """No signal breaks in."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _not_ignored()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _not_ignored() -> list[signal.Signals]:
    hears = _SIGNALS if _in_main_thread() else ()
    return [number for number in hears if signal.getsignal(number) is not signal.SIG_IGN]


def _in_main_thread() -> bool:
    # Python lets it alone hear signals.
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
