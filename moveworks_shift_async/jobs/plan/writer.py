"""A plan -> its store, many chunks at a time, while the planner cuts the next ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

from attrs import define, field

from ...addresses import MAX_LENGTH
from ...wire.moveworks import Content
from ..left_out import Left, LeftOut
from ..store.ports import PlanBatch, PlanStore
from ..threads import FromThread
from .groups import Cut

# A batch holds so many people (10 MB of memory) or chunks, whichever comes first: a commit waits
# for the disk, for some milliseconds.
_PEOPLE = 128_000
_CHUNKS = 8_192
# Entries left out that are kept together, as more save little; and so many wait for a commit.
_BLOCK = 8_192
_MOST = 4 * _BLOCK


@define(eq=False, repr=False)
class Writer:
    """Numbers chunks from 0 in the order in which they come."""

    _store: PlanStore
    _loop: FromThread
    #: The text of a number, and what is odd about a value in it.
    _text: Callable[[int], tuple[Content, str | None]]
    people: int = 0
    chunks: int = 0
    #: Different texts that are sent to anybody.
    texts: int = 0
    _waiting: list[Cut] = field(factory=list)
    #: People in these.
    _coming: int = 0
    #: Which texts the store has.
    _has: bytearray = field(factory=bytearray)
    #: Line, reason and entry of those that are for nobody, and wait.
    _left_out: dict[Left, list[tuple[int, str, str]]] = field(
        factory=lambda: {why: [] for why in Left}
    )
    #: The batch that is being written.
    _writing: Future[None] | None = None

    def add(self, cuts: Sequence[Cut]) -> None:
        """Take chunks, and write them when there are many."""
        self._waiting += cuts
        self._coming += sum(len(people) for _, people in cuts)
        if self._coming >= _PEOPLE or len(self._waiting) >= _CHUNKS:
            self._turn()

    def leave_out(self, why: Left, entries: Iterable[tuple[int, str, str]]) -> None:
        """Take entries that are for nobody: line, reason, entry."""
        waiting = self._left_out[why]
        waiting += ((line, reason, _short(entry)) for line, reason, entry in entries)
        if len(waiting) >= _MOST:
            self._write_left_out(why)

    def flush(self) -> None:
        """Write all that was taken."""
        for why in Left:
            self._write_left_out(why)
        self._turn()
        self._written()

    def _turn(self) -> None:
        cuts, self._waiting = self._waiting, []
        if not cuts:
            return
        new = {text: self._text(text) for text, _ in cuts if self._is_new(text)}
        texts = [(text, content) for text, (content, _) in new.items()]
        odd = {text: odd for text, (_, odd) in new.items() if odd is not None}
        self._write(PlanBatch(texts=texts, odd=odd, first=self.chunks, chunks=cuts))
        self.texts += len(texts)
        self.chunks += len(cuts)
        self.people += self._coming
        self._coming = 0

    def _write_left_out(self, why: Left) -> None:
        entries, self._left_out[why] = self._left_out[why], []
        parts = [entries[at : at + _BLOCK] for at in range(0, len(entries), _BLOCK)]
        if parts:
            self._write(PlanBatch(left_out=[LeftOut(why=why, entries=part) for part in parts]))

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


def _short(entry: str) -> str:
    """The beginning of what is longer than any address: a cell may hold any text."""
    return entry if len(entry) <= MAX_LENGTH else f"{entry[:MAX_LENGTH]}..."
