"""A plan -> its store, many chunks at a time, while the planner cuts the next ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from attrs import define, field

from ...wire.moveworks import Content
from ..records import LeftOut
from ..store.ports import PlanBatch, PlanStore
from ..threads import FromThread
from .groups import Cut

# A batch holds so many people (10 MB of memory) or chunks, whichever comes first: a commit waits
# for the disk, for some milliseconds.
_PEOPLE = 128_000
_CHUNKS = 8_192


@define(eq=False, repr=False)
class Writer:
    """Numbers chunks from 0 in the order in which they come."""

    _store: PlanStore
    _loop: FromThread
    #: The text of a number.
    _content: Callable[[int], Content]
    people: int = 0
    chunks: int = 0
    #: Different texts that are sent to anybody.
    texts: int = 0
    _waiting: list[Cut] = field(factory=list)
    #: People in these.
    _coming: int = 0
    #: Which texts the store has.
    _has: bytearray = field(factory=bytearray)
    #: The batch that is being written.
    _writing: Future[None] | None = None

    def add(self, cuts: Sequence[Cut]) -> None:
        """Take chunks, and write them when there are many."""
        self._waiting += cuts
        self._coming += sum(len(people) for _, people in cuts)
        if self._coming >= _PEOPLE or len(self._waiting) >= _CHUNKS:
            self._turn()

    def leave_out(self, blocks: Sequence[LeftOut]) -> None:
        """Write entries that are for nobody."""
        self._write(PlanBatch(left_out=blocks))

    def flush(self) -> None:
        """Write all that was taken."""
        self._turn()
        self._written()

    def _turn(self) -> None:
        cuts, self._waiting = self._waiting, []
        if not cuts:
            return
        texts = [(text, self._content(text)) for text, _ in cuts if self._is_new(text)]
        self._write(PlanBatch(texts=texts, first=self.chunks, chunks=cuts))
        self.texts += len(texts)
        self.chunks += len(cuts)
        self.people += self._coming
        self._coming = 0

    def _write(self, batch: PlanBatch) -> None:
        """One batch is being written at a time; raises what the last one met."""
        self._written()
        self._writing = self._loop.start(self._store.write(batch))

    def _written(self) -> None:
        if self._writing is not None:
            self._loop.result(self._writing)

    def _is_new(self, text: int) -> bool:
        """Whether this is a text's first chunk."""
        if text >= len(self._has):
            self._has += bytes(text + 1 - len(self._has))
        known, self._has[text] = self._has[text], 1
        return not known
