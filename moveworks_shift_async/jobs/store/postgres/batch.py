"""One transaction for the steps of many requests: the leases first, then what was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from attrs import define, field, frozen

from ....storage.postgres import Connection
from ...records import Chunk, Settlement
from ..ports import Parts
from .lease import renew
from .parts import add_parts
from .statements import rows, run

T = TypeVar("T")
Answer = "asyncio.Future[Any]"


@frozen(eq=False)
class Sending:
    """A request of this chunk is to leave."""

    chunk: Chunk
    at: float

    @property
    def id(self) -> int:
        """The chunk's."""
        return self.chunk.id


@frozen(eq=False)
class Settling:
    """A request has ended."""

    step: Settlement
    parts: Parts

    @property
    def id(self) -> int:
        """The chunk's."""
        return self.step.chunk


@frozen(eq=False)
class Other:
    """Anything else; it is the same when it is done twice."""

    do: Callable[[Connection], Awaitable[Any]]
    id: None = None


Step = Sending | Settling | Other


async def unsent(connection: Connection, job: int, chunks: Sequence[Chunk]) -> None:
    """No request of these is out, whatever the tables say of their run, which was given up."""
    owners = [chunk.owner for chunk in chunks]
    values = {"job": job, "chunks": [chunk.id for chunk in chunks], "owners": owners}
    await run(connection, "unsent", values)


@define(eq=False)
class Batch:
    """Steps that share a commit, at most one for each chunk."""

    job: int
    #: The runs of this process.
    runs: Sequence[str]
    lease: float
    #: Those of them that were given up, for good; the steps that are asked after it know.
    lost: set[str]
    steps: Sequence[Step] = ()
    #: It was tried before, and may have been committed.
    again: bool = False
    #: When its last try began, by the clock that goes on while the machine sleeps.
    began: float = field(default=0.0, init=False)
    #: The database's, in it; None: no lease was renewed.
    time: float | None = field(default=None, init=False)

    async def write(self, connection: Connection) -> list[Any]:
        """What each step comes to."""
        again, self.again = self.again, True
        if self.runs:
            living, self.time = await renew(connection, self.job, [*self.runs], self.lease)
            self.lost |= frozenset(self.runs) - living
        settled = await self._settle(connection, again)
        sending = await self._sending(connection)
        return [
            await step.do(connection)
            if isinstance(step, Other)
            else step.id in (settled if isinstance(step, Settling) else sending)
            for step in self.steps
        ]

    async def _sending(self, connection: Connection) -> set[int]:
        steps = [step for step in self.steps if isinstance(step, Sending)]
        lost = [step for step in steps if step.chunk.owner in self.lost]
        if lost:  # a commit whose answer was lost may have said that it leaves
            await unsent(connection, self.job, [step.chunk for step in lost])
        if len(lost) == len(steps):
            return set()
        mine = self._marks([step for step in steps if step not in lost])
        return {found[0] for found in await rows(connection, "sending", mine)}

    def _marks(self, steps: Sequence[Sending]) -> dict[str, Any]:
        return {
            "job": self.job,
            "chunks": [step.chunk.id for step in steps],
            "owners": [step.chunk.owner for step in steps],
            "ats": [step.at for step in steps],
        }

    async def _settle(self, connection: Connection, again: bool) -> set[int]:
        steps = {step.id: step for step in self.steps if isinstance(step, Settling)}
        if not steps:
            return set()
        ends = [step.step for step in steps.values()]
        values = {
            "job": self.job,
            "again": again,
            "chunks": [end.chunk for end in ends],
            "owners": [end.owner for end in ends],
            "states": [str(end.state) for end in ends],
            "ats": [end.at for end in ends],
            "requests": [end.requests for end in ends],
            "throttled": [end.throttled for end in ends],
            "errors": [end.error for end in ends],
            "reasons": [end.reason for end in ends],
        }
        found = await rows(connection, "settle", values)
        for chunk, done in found:
            if (parts := steps[chunk].parts) and not done:
                owner = steps[chunk].step.owner
                await add_parts(connection, self.job, chunk, [(part, owner) for part in parts])
        return {chunk for chunk, _ in found}
