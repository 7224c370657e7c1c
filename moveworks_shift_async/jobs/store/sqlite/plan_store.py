"""`PlanStore` on a new journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from attrs import define, field

from ...records import Header
from ...threads import in_thread
from ..ports import PlanBatch
from ..rows import pack, pack_left_out
from .journal import Journal

T = TypeVar("T")

# zlib lets go of the interpreter, so threads are enough; more than two wait for the first one.
_PACKERS = 2


@define(eq=False, repr=False)
class SqlitePlanStore:
    """Compresses in threads, and writes in another one, in the order in which it was asked."""

    _thread: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="journal")
    )
    _packers: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(_PACKERS, thread_name_prefix="pack")
    )
    _made: list[Journal] = field(factory=list)

    @classmethod
    async def create(cls, path: str, header: Header) -> SqlitePlanStore:
        """Make the file."""
        store = cls()
        try:
            await store._do(lambda: store._made.append(Journal.create(path, header)))
        except BaseException:
            await store.discard()
            raise
        return store

    @property
    def _journal(self) -> Journal:
        return self._made[0]

    async def write(self, batch: PlanBatch) -> None:
        """One transaction."""
        await self._do(partial(self._write, batch))

    async def complete(self, header: Header) -> Header:
        """Fix its numbers and its digest."""
        return await self._do(lambda: self._journal.complete(header))

    async def discard(self) -> None:
        """Remove the file."""
        try:
            for journal in self._made:
                await self._do(journal.discard)
        finally:
            self._end()

    def close(self) -> None:
        """Some microseconds, in the thread of the event loop: nothing is being written now."""
        self._journal.close()
        self._end()

    def _write(self, batch: PlanBatch) -> None:
        size = -(-len(batch.chunks) // _PACKERS) or 1
        parts = [batch.chunks[at : at + size] for at in range(0, len(batch.chunks), size)]
        packed = [data for part in self._packers.map(_packed, parts) for data in part]
        left_out = [(some.why, pack_left_out(some.entries)) for some in batch.left_out]
        with self._journal.transaction():
            for number, content in batch.texts:
                self._journal.add_content(number, content, batch.odd.get(number))
            self._journal.add_chunks(
                (number, text, len(people), data)
                for number, ((text, people), data) in enumerate(
                    zip(batch.chunks, packed, strict=True), batch.first
                )
            )
            for packed_ones in left_out:
                self._journal.write("add_left_out", packed_ones)

    async def _do(self, step: Callable[[], T]) -> T:
        return await in_thread(step, executor=self._thread)

    def _end(self) -> None:
        self._thread.shutdown(wait=False)
        self._packers.shutdown(wait=False)


def _packed(chunks: Sequence[tuple[int, Sequence[str]]]) -> list[bytes]:
    return [pack(people) for _, people in chunks]
