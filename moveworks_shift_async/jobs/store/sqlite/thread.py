"""The journal's own thread: the event loop never waits for the disk.

Steps that are asked for while others are being written share the next commit. So a commit a
disk takes 5 ms for carries as many steps as have gathered, and each is on the disk when its
`await` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

from attrs import define, field

from .journal import Journal

T = TypeVar("T")
Task = tuple[Callable[[Journal], Any], "asyncio.Future[Any]"]
Answer = tuple["asyncio.Future[Any]", Any, Exception | None]

# Seconds between two looks at whether anybody can still ask: a process waits for its threads.
_LOOK = 0.5
# Steps in one commit at most: what waits longest then waits for a few milliseconds.
_MOST = 256
# Answers given in one turn of the event loop: each wakes a task that may work for half a
# millisecond, and whoever else is in the loop has a turn between them.
_ANSWERS = 4


@define(eq=False, repr=False)
class JournalThread:
    """Has the journal, and its lock, from `at`; does all in the order in which it was asked."""

    _path: str
    _open: Callable[[str], Journal]
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _asked: queue.SimpleQueue[Task | None] = field(factory=queue.SimpleQueue, init=False)
    #: Written, and not told yet; in the order in which it was asked.
    _written: deque[Answer] = field(factory=deque, init=False)

    @classmethod
    @contextlib.asynccontextmanager
    async def at(
        cls, path: str, opened_by: Callable[[str], Journal] = Journal.take
    ) -> AsyncGenerator[JournalThread]:
        """Open the journal in the thread; raises as that does. At the end all is written."""
        journal_thread = cls(path, opened_by)
        opened: asyncio.Future[None] = journal_thread._loop.create_future()
        thread = threading.Thread(target=journal_thread._work, args=(opened,), name="journal")
        thread.start()
        try:
            await opened
            yield journal_thread
        finally:
            journal_thread._asked.put(None)
            await asyncio.shield(journal_thread._loop.run_in_executor(None, thread.join))

    def do(self, step: Callable[[Journal], T]) -> asyncio.Future[T]:
        """Have this done in order; its result comes when it is on the disk.

        If it or its commit fails, nothing of it was done, and `JournalError` comes instead.
        Abandoning the future does not take the step back.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self._asked.put((step, done))
        return done

    def note(self, step: Callable[[Journal], object]) -> None:
        """The same where nobody waits: that it cannot be written is no reason to stop."""
        self.do(step).add_done_callback(_retrieve)

    def _work(self, opened: asyncio.Future[None]) -> None:
        with contextlib.ExitStack() as stack:
            try:
                journal = stack.enter_context(self._open(self._path))
            except Exception as error:  # whatever it was, who waits must hear of it
                self._tell([(opened, None, error)])
                return
            self._tell([(opened, None, None)])
            while (batch := self._gather()) is not None:
                self._tell(_commit(journal, batch))

    def _gather(self) -> list[Task] | None:
        """Wait for a step, and take with it all that have been asked for meanwhile."""
        batch: list[Task] = []
        while not batch or (len(batch) < _MOST and not self._asked.empty()):
            work = self._next()
            if work is None:
                if batch:
                    self._asked.put(None)  # once more, after these
                return batch or None
            batch.append(work)
        return batch

    def _next(self) -> Task | None:
        """The next step; None at the end, also where the loop was left and never turns again."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self._asked.get(timeout=_LOOK)
            ending = not (threading.main_thread().is_alive() or self._loop.is_running())
            if ending or self._loop.is_closed():
                return None

    def _tell(self, answers: list[Answer]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._take, answers)

    def _take(self, answers: list[Answer]) -> None:
        idle = not self._written
        self._written.extend(answers)
        if idle:
            self._answer()

    def _answer(self) -> None:
        """Give some answers, and the rest in the next turns."""
        for _ in range(min(_ANSWERS, len(self._written))):
            _give(*self._written.popleft())
        if self._written:
            self._loop.call_soon(self._answer)


def _commit(journal: Journal, batch: list[Task]) -> list[Answer]:
    answers: list[Answer] = []
    try:
        with journal.transaction():
            for step, done in batch:
                answers.append((done, step(journal), None))
    except Exception as error:  # as above
        if len(batch) > 1:  # one step's own fault must not undo the others'
            return [answer for work in batch for answer in _commit(journal, [work])]
        return [(batch[0][1], None, error)]
    return answers


def _give(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.done():  # cancelled
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _retrieve(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
