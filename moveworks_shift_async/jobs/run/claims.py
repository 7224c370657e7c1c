"""The chunks that a run has claimed and not begun, read before they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from attrs import define, field

from ...clock import Clock
from ..records import Chunk
from ..store.ports import RunStore

# Seconds until what other runs have is looked at again: it may be claimed later.
_LOOK = 0.5


@define(eq=False, repr=False)
class Claims:
    """What is to be sent next, in order."""

    _store: RunStore
    _owner: str
    #: Chunks that are in hand, while there are so many: as many as may be in flight.
    _ahead: int
    _clock: Clock
    #: The run is for the first ones: what other runs have does not come back to it.
    _confined: bool = False
    chunks: deque[Chunk] = field(factory=deque, init=False)
    #: No chunk is left for this run, and none comes back.
    exhausted: bool = field(default=False, init=False)
    #: No chunk is left for this run, but what others have may come back.
    others_hold: bool = field(default=False, init=False)
    _claiming: bool = field(default=False, init=False)
    #: Chunks that have become several.
    _divided: int = field(default=0, init=False)

    def __bool__(self) -> bool:
        """Whether one is in hand."""
        return bool(self.chunks)

    def take(self) -> Chunk:
        """The next one, which begins now."""
        return self.chunks.popleft()

    def give_back(self, chunk: Chunk) -> None:
        """It was begun, and is planned as before: it comes next."""
        self.chunks.appendleft(chunk)

    def divided(self) -> None:
        """A chunk has become several, which stand at the end of the job."""
        self.exhausted = False
        self._divided += 1

    def wants_more(self) -> bool:
        """Whether more are to be claimed; whoever hears True calls `claim`."""
        if len(self.chunks) >= self._ahead or self.exhausted or self._claiming:
            return False
        self._claiming = True
        return True

    async def claim(self, at_end: Callable[[], Awaitable[object]]) -> None:
        """Claim the next ones; `at_end` is awaited if none is left. Raises `JournalError`."""
        divided = self._divided
        try:
            found = await self._store.claim(self._owner, 2 * self._ahead)
            waits = not (found or self._confined)
            self.others_hold = waits and await self._store.others_hold()
            # What was divided meanwhile has parts that this claim did not see.
            self.exhausted = not (found or self.others_hold or self._divided > divided)
            if self.exhausted:  # a run that waits for what others have asks twice a second
                await at_end()
            if self.others_hold:
                await self._clock.sleep(_LOOK)
        finally:
            self._claiming = False
        self.chunks.extend(found)
