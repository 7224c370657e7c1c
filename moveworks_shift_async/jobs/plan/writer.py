"""Chunks -> the journal, many in a transaction, while other threads compress the next ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from attrs import define, field

from ...wire.moveworks import Content
from ..store.sqlite.journal import Journal, pack
from .groups import Cut

# A transaction holds so many people (10 MB of memory) or chunks, whichever comes first: a commit
# waits for the disk, for some milliseconds.
_PEOPLE = 128_000
_CHUNKS = 8_192
# zlib lets go of the interpreter, so threads are enough; more than two wait for the first one.
_THREADS = 2


@define(eq=False, repr=False)
class Writer:
    """Numbers chunks from 0 in the order in which they come. `end` it, whatever happened."""

    _journal: Journal
    #: The text of a number.
    _content: Callable[[int], Content]
    people: int = 0
    chunks: int = 0
    #: Different texts that are sent to anybody.
    texts: int = 0
    _waiting: list[Cut] = field(factory=list)
    #: People in these.
    _coming: int = 0
    #: The chunks that are being compressed.
    _batch: list[Cut] = field(factory=list)
    _packing: list[Future[list[bytes]]] = field(factory=list)
    #: Which texts the journal has.
    _has: bytearray = field(factory=bytearray)
    _pool: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="pack"), init=False
    )

    def add(self, cuts: Sequence[Cut]) -> None:
        """Take chunks, and write those that came some time before."""
        self._waiting += cuts
        self._coming += sum(len(people) for _, people in cuts)
        if self._coming >= _PEOPLE or len(self._waiting) >= _CHUNKS:
            self._turn()

    def flush(self) -> None:
        """Write all that was taken."""
        self._turn()
        self._store()

    def end(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _turn(self) -> None:
        """Begin to compress what waits; store what was being compressed."""
        coming, self._waiting, self._coming = self._waiting, [], 0
        size = -(-len(coming) // _THREADS) or 1
        parts = [coming[at : at + size] for at in range(0, len(coming), size)]
        packing = [self._pool.submit(_pack, part) for part in parts]
        self._store()
        self._batch, self._packing = coming, packing

    def _store(self) -> None:
        packed = [data for part in self._packing for data in part.result()]
        with self._journal.transaction():
            for text, _ in self._batch:
                self._need(text)
            rows = zip(self._batch, packed, strict=True)
            self._journal.add_chunks(
                (number, text, len(people), data)
                for number, ((text, people), data) in enumerate(rows, self.chunks)
            )
        self.chunks += len(packed)
        self.people += sum(len(people) for _, people in self._batch)
        self._batch, self._packing = [], []

    def _need(self, text: int) -> None:
        """Put a text into the journal before its first chunk."""
        if text >= len(self._has):
            self._has += bytes(text + 1 - len(self._has))
        if not self._has[text]:
            self._has[text] = 1
            self.texts += 1
            self._journal.add_content(text, self._content(text))


def _pack(cuts: Sequence[Cut]) -> list[bytes]:
    return [pack(people) for _, people in cuts]
