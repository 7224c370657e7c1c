"""The one event loop of this process, in a thread, and how others wait for what runs in it.

Theory of operation. A call is a task in the loop. The thread that made it waits at a queue, and
does what is put there (it reads the caller's own recipients), until the task has ended. A signal
handler may raise in the waiting thread, as Python's own does at Ctrl-C. Then the thread waits on:
the first time for what is in flight, from the second time on for its being cut. Only when it is
known what became of the call does what was raised go on its way.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from attrs import define, field

from ..errors import (
    ClientClosed,
    ConfigurationError,
    InvalidInput,
    MoveworksError,
    NotSent,
    Outcome,
)
from ..tasks import start
from ..text import install

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")

# Seconds after which a thread that waits hears of a signal that another thread was given.
_LOOK = 0.2
#: What the waiting thread is asked to do; None: its call has ended.
Errands = SimpleQueue[Callable[[], None] | None]
#: Lets the call of a task start nothing more: what is in flight ends with its answer.
Withdraw = Callable[["asyncio.Task[Any]"], object]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a call, raised when it is known what became of the call."""

    def __init__(self, result: Any = None, error: MoveworksError | None = None) -> None:
        super().__init__(result, error)
        #: What the call returned, if it came to its end; of a bulk send or a job, its account.
        self.result: Any = result
        #: What the call raised; its `outcome` says what is known of the recipients.
        self.error = error

    def account_for(self, account: Any) -> None:
        """Say what is known of many: that their task was cut does not mean that nobody was told."""
        self.result = account
        if type(self.error) is NotSent:
            self.error = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"interrupted; {self.error}"
        counts = {outcome: getattr(self.result, outcome, None) for outcome in Outcome}
        if None not in counts.values():
            return "interrupted; " + ", ".join(
                f"{count} {outcome.replace('_', ' ')}" for outcome, count in counts.items()
            )
        outcome = getattr(self.result, "outcome", Outcome.ACCEPTED)
        return "interrupted" if self.result is None else f"interrupted; {outcome}"


class Closes(Protocol):
    """What is closed before the loop ends."""

    def close(self) -> None: ...


class Stops(Protocol):
    """What sends nothing more before the clients are closed."""

    def stop(self) -> None: ...


@define(eq=False, repr=False)
class Portal:
    """The loop's thread, and who uses it."""

    _portal: BlockingPortal
    _thread: threading.Thread
    _process: int = field(factory=os.getpid)
    #: Clients that are not closed yet, and batchers.
    clients: weakref.WeakSet[Closes] = field(factory=weakref.WeakSet)
    batchers: weakref.WeakSet[Stops] = field(factory=weakref.WeakSet)
    _ended: bool = False

    @property
    def is_here(self) -> bool:
        """Whether it is in this process; a fork takes no threads along."""
        return self._process == os.getpid() and not self._ended

    @property
    def can_be_waited_for(self) -> bool:
        """Whether this thread may wait for it."""
        return self.is_here and threading.current_thread() is not self._thread

    def check(self) -> None:
        """Raise what is wrong with waiting for it here and now."""
        if self._process != os.getpid():
            raise ClientClosed(
                "this client was made before the process forked; make one in each process"
            )
        if self._ended:
            raise ClientClosed("this process is ending; not sent")
        if threading.current_thread() is self._thread:
            raise InvalidInput(
                "called from a callback in the event loop, which would wait for itself; hand it to"
                " a thread, or return first"
            )

    def soon(self, step: Callable[[int], Coroutine[Any, Any, None]], interrupts: int) -> None:
        """Let it be run in the loop."""
        self._portal.start_task_soon(step, interrupts)

    def close(self) -> None:
        """Close the clients, then the loop; in a fork of the process neither is there."""
        if not self.is_here:
            return
        for batcher in [*self.batchers]:
            batcher.stop()
        for client in [*self.clients]:
            client.close()
        self._ended = True
        self._portal.call(self._portal.stop)
        self._thread.join()


_portal: Portal | None = None
_lock = threading.Lock()


def _unlock() -> None:
    """In a fork: who held the lock stayed behind."""
    global _lock  # noqa: PLW0603 - there is one
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def portal() -> Portal:
    """The one of this process, started at first use; `ConfigurationError` if it cannot be."""
    global _portal  # noqa: PLW0603 - there is one
    with _lock:
        if _portal is None or not _portal.is_here:
            _portal = _started()
            atexit.register(_portal.close)
        return _portal


def _started() -> Portal:
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise ConfigurationError(
            "gevent has replaced Python's threads, and an event loop needs a real one: use a worker"
            " with threads or processes (Celery: --pool threads or prefork; gunicorn: gthread)"
        )
    try:
        import anyio  # noqa: PLC0415 - an extra
    except ImportError:
        how = install("anyio")
        raise ConfigurationError(f"anyio is not installed; run: {how}") from None
    found: Future[BlockingPortal] = Future()
    # Not `start_blocking_portal`: collected in a fork, it would wait for the thread that is not
    # there.
    thread = threading.Thread(
        target=_run, args=(anyio.run, found), name="moveworks-blocking", daemon=True
    )
    thread.start()
    return Portal(found.result(), thread)


def _run(run: Callable[..., None], found: Future[BlockingPortal]) -> None:
    try:
        run(_serve, found)
    except RuntimeError as error:
        # asyncio ends the threads that look up names from one more thread, and Python 3.12 lets
        # none start while the process ends. The loop is closed all the same.
        if "interpreter shutdown" not in str(error):
            raise


async def _serve(found: Future[BlockingPortal]) -> None:
    from anyio.from_thread import BlockingPortal  # noqa: PLC0415 - an extra

    async with BlockingPortal() as here:
        found.set_result(here)
        await here.sleep_until_stopped()


@define(eq=False, repr=False)
class Calling(Generic[T]):
    """One call that a thread waits for."""

    _portal: Portal
    _work: Callable[[], Coroutine[Any, Any, T]]
    _withdraw: Withdraw = asyncio.Task.cancel
    _errands: Errands = field(factory=SimpleQueue)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _value: T | None = field(default=None, init=False)
    _error: BaseException | None = field(default=None, init=False)

    def result(self) -> T:
        """Wait for what it returns, or raise what it raised."""
        self._portal.check()
        raised = self._wait()
        if isinstance(raised, KeyboardInterrupt):
            known = self._error if isinstance(self._error, MoveworksError) else None
            raise Interrupted(self._value, known) from self._error
        if raised is not None:  # by a handler of the caller's: a time limit, for instance
            raise raised from self._error
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value] # it has one where it has no error

    def _wait(self) -> BaseException | None:
        """Until it has ended; what a signal handler raised meanwhile."""
        raised: BaseException | None = None
        interrupts = 0
        while True:
            try:
                self._portal.soon(self._step, interrupts)
                while (errand := self._next()) is not None:
                    errand()
            except BaseException as error:
                raised, interrupts = raised or error, interrupts + 1
                self._portal.check()
            else:
                return raised

    def _next(self) -> Callable[[], None] | None:
        """The next errand; None at the end."""
        while True:
            with suppress(Empty):
                return self._errands.get(timeout=_LOOK)

    async def _step(self, interrupts: int) -> None:
        """Begin, unless it has begun; after an interrupt withdraw it, then cut it."""
        if self._task is not None:
            if not self._task.done():
                (self._withdraw if interrupts == 1 else asyncio.Task.cancel)(self._task)
            return
        if interrupts:
            self._error = NotSent("interrupted before it began; not sent")
        else:
            self._task = start(self._ended())
            await asyncio.wait({self._task})
        self._errands.put(None)

    async def _ended(self) -> None:
        """Its end as a value: nothing that it raises may end the loop."""
        try:
            self._value = await self._work()
        except asyncio.CancelledError as cancelled:
            self._error = cancelled.__cause__ or NotSent("interrupted during the wait; not sent")
        except BaseException as error:
            self._error = error
