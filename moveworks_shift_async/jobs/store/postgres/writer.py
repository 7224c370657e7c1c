"""The one writer of a process: many steps in one transaction, which renews the leases first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from ....clock import awake
from ....errors import JournalError
from ....storage.postgres import Connection, Session
from ...records import Chunk
from .batch import Batch, Other, Step, unsent
from .lease import give_up_dead
from .statements import run

T = TypeVar("T")

# Renewals in the time of a lease, where nothing else renews it.
_BEATS = 4
# Steps in one commit at most.
_MOST = 256
# Seconds to write the rest in when the store is let go of; a server that is away may stay away.
_LAST = 10.0


@define(eq=False, repr=False)
class Writer:
    """Takes steps from its start to its end; they are written while the server is away as well."""

    session: Session
    job: int
    lease: float
    #: The runs of this process.
    runs: list[str] = field(factory=list, init=False)
    #: Those of them that others have given up.
    lost: set[str] = field(factory=set, init=False)
    #: What was claimed, and no request of it was made.
    unsent: dict[int, Chunk] = field(factory=dict, init=False)
    # By the clock that goes on while the machine sleeps: when the last transaction began, which
    # renewed the leases; when dead runs are looked for again, and are not given up before.
    _leased_at: float = field(factory=awake, init=False)
    _looks_at: float = field(default=0.0, init=False)
    #: How far the database's time is ahead of that clock, at least and at most; None: it was not
    #: asked yet.
    _ahead: tuple[float, float] | None = field(default=None, init=False)
    _judges_from: float = field(default=0.0, init=False)
    _asked: deque[tuple[Step, asyncio.Future[Any]]] = field(factory=deque, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _closing: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write(), name="job journal")

    async def close(self) -> None:
        """Write what is left to write, and let others have what is not ended."""
        assert self._task is not None  # noqa: S101 - it was started
        self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout(_LAST):
                await asyncio.shield(self._task)
        except TimeoutError:  # others give these runs up when their leases end
            pass
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def left(self) -> float:
        """The part of the lease that is left."""
        return 1 - (awake() - self._leased_at) / self.lease

    def told(self, time: float, asked: float) -> None:
        """The database's time, which was asked for at that moment of the clock.

        It was read at some moment since: on the way there or back, or while a lock was waited for.
        """
        self._ahead = time - awake(), time - asked

    def time(self) -> tuple[float, float] | None:
        """The database's time by now, at least and at most; it goes on while that is away."""
        if self._ahead is None:
            return None
        least, most = self._ahead
        return least + awake(), most + awake()

    def ask(self, step: Step) -> asyncio.Future[Any]:
        """Have it done; abandoning the future does not take it back."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((step, done))
        self._wake.set()
        return done

    async def do(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Have this done in a transaction, perhaps twice; what it returned."""
        done: T = await self.ask(Other(work))
        return done

    def note(self, work: Callable[[Connection], Awaitable[object]]) -> None:
        """The same, for which nobody waits."""
        self.ask(Other(work)).add_done_callback(_retrieve)

    async def _write(self) -> None:
        """Commit what is asked for, and keep the leases, until the store is closed."""
        while not (self._closing and not self._asked):
            self._wake.clear()
            if not (self._asked or self._closing):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.lease / _BEATS):
                        await self._wake.wait()
            await self._commit(self._gather())
        mine = {"job": self.job, "runs": self.runs}
        await self.session.surely(lambda one: run(one, "let_go", mine))

    def _gather(self) -> list[tuple[Step, asyncio.Future[Any]]]:
        """What waits: one step for each chunk at most, in the order in which it was asked."""
        taken: list[tuple[Step, asyncio.Future[Any]]] = []
        chunks: set[int] = set()
        while self._asked and len(taken) < _MOST and self._asked[0][0].id not in chunks:
            taken.append(self._asked.popleft())
            if (chunk := taken[-1][0].id) is not None:
                chunks.add(chunk)
        return taken

    async def _commit(self, taken: list[tuple[Step, asyncio.Future[Any]]]) -> None:
        batch = Batch(self.job, self.runs, self.lease, self.lost, [step for step, _ in taken])
        try:
            results = await self.session.surely(partial(self._together, batch))
        except Exception as error:  # if it ended the writer, everybody would wait for ever
            if len(taken) > 1:  # one step's own fault must not undo the others'
                for one in taken:
                    await self._commit([one])
            failure = _failure(error)
            for _, done in taken:
                if not done.done():
                    done.set_exception(failure)
            return
        self._leased_at = batch.began
        if batch.time is not None:
            self.told(batch.time, batch.began)
        # Who counts all chunks has counted these ends: whoever waits for them is told first.
        answers = zip(taken, results, strict=True)
        for (_, done), result in sorted(answers, key=lambda one: isinstance(one[0][0], Other)):
            if not done.done():  # else it was cancelled
                done.set_result(result)

    async def _together(self, batch: Batch, connection: Connection) -> list[Any]:
        now = batch.began = awake()
        if now - self._leased_at > self.lease / 2:
            # This process was cut off or frozen, and so may the others have been: they come back.
            self._judges_from = now + self.lease / _BEATS
        results = await batch.write(connection)
        if lost := [chunk for chunk in self.unsent.values() if chunk.owner in self.lost]:
            await unsent(connection, self.job, lost)
        if now >= self._looks_at:
            await self.look_for_dead(connection)
            self._looks_at = now + self.lease / _BEATS
        return results

    async def look_for_dead(self, connection: Connection) -> None:
        """Give up the runs of others that are silent, if this process would know."""
        if awake() >= self._judges_from:
            await give_up_dead(connection, self.job)


def _failure(error: Exception) -> JournalError:
    if isinstance(error, JournalError):
        return error
    failure = JournalError(f"unexpected {type(error).__name__} while the job was written")
    failure.__cause__ = error
    return failure


def _retrieve(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
