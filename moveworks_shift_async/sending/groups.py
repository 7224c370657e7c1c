"""Who waits for which shared request: the sends of one content, and the chunks made of them."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..addresses import person
from ..call import Call
from ..clock import Timer
from ..errors import Outcome
from ..models import ChunkOutcome
from ..wire.moveworks import Content
from .batcher import CHUNK_SIZE
from .outcomes import Ending

if TYPE_CHECKING:
    from ..telemetry.otel import Share

Key = tuple[str, str, str]


@define(eq=False, repr=False)
class Entry:
    """One recipient, with all who wait for its outcome."""

    address: str
    arrived: float
    done: asyncio.Future[ChunkOutcome]
    waiting: int = 0
    #: None while it is in none.
    chunk: Chunk | None = None
    #: The sends that wait for it, where they are traced.
    shares: list[Share] = field(factory=list)

    @property
    def in_flight(self) -> bool:
        """Whether a request for this person is on its way."""
        return self.chunk is not None and self.chunk.call.in_flight

    @property
    def maybe_told(self) -> bool:
        """Whether this person may have been told by now."""
        if self.done.done():
            return self.done.result().outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)
        return self.chunk is not None and (self.chunk.call.in_flight or self.chunk.call.maybe_told)


@define(eq=False, repr=False)
class Group:
    """Sends of one content that are in no chunk yet, by person, oldest first."""

    key: Key
    content: Content
    entries: dict[str, Entry] = field(factory=dict)
    timer: Timer | None = None
    #: It waits for its slot, and will take who is there then.
    queued: Chunk | None = None

    def take(self) -> list[Entry]:
        """Remove the oldest entries, up to a chunk of them."""
        return [self.entries.pop(whom) for whom in [*itertools.islice(self.entries, CHUNK_SIZE)]]

    def drop(self, entry: Entry) -> None:
        """Remove this one, if it is still there: the same person may have come again."""
        whom = person(entry.address)
        if self.entries.get(whom) is entry:
            del self.entries[whom]


@define(eq=False, repr=False)
class Chunk:
    """One request of a group, from its place in the rate limit's queue to its end."""

    group: Group
    call: Call
    task: asyncio.Task[Ending] = field(init=False)
    #: Whom it is for; None: its slot is not there yet.
    entries: list[Entry] | None = None
    #: Who waits for the answer that is on its way, and for no other.
    leaving: list[asyncio.Task[Any]] = field(factory=list)

    def withdraw(self, why: str) -> None:
        """Start no further request: what is in flight ends with its answer."""
        self.call.withdrawn = why
        if not self.call.in_flight:
            self.task.cancel()

    def withdraw_if_left(self) -> None:
        """Start no request for nobody: it would keep its place in the rate limit's queue."""
        if self.entries is None:
            left = not self.group.entries
        else:
            left = not any(entry.waiting for entry in self.entries)
        if left:
            self.entries = self.entries or []  # who comes from now on is for another chunk
            if self.group.queued is self:
                self.group.queued = None
            self.withdraw("everybody in this chunk was withdrawn")

    def repeats(self) -> None:
        """Another request of it follows, which is not for those who leave."""
        for task in self.leaving:
            task.cancel()
