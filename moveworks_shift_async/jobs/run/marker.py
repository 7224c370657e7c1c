"""`sending` is on the disk before the first byte of a request leaves."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from ...call import Call
from ...clock import Clock
from ...errors import JournalError
from ..records import Chunk
from ..store.ports import RunStore


@define(eq=False, repr=False)
class Marker:
    """Awaited by a call when slot and token are there."""

    _store: RunStore
    _clock: Clock
    _chunk: Chunk
    _call: Call
    #: Why nothing may leave at this moment; None: it may.
    _why_not: Callable[[], str | None]
    #: It may be written, also where whoever waits for it is cancelled.
    written: bool = False
    #: Another run has the chunk.
    lost: bool = False

    async def mark(self) -> None:
        """Write it once: a second request of the call has a new token and nothing else.

        Whether it may leave is asked last: a slot, a token and a disk may have taken their time.
        """
        self._check_time()
        if not self.written:
            await self._write()
            self._check_time()

    def _check_time(self) -> None:
        if (why := self._why_not()) is not None:
            self._call.withdrawn = why
            self._call.check_withdrawn()

    async def _write(self) -> None:
        self.written = True
        try:
            at = self._clock.utcnow().timestamp()
            self.lost = not await self._store.sending(self._chunk, at)
        except JournalError:
            self.written = False
            raise
        if self.lost:
            self._call.withdrawn = "another run has this chunk"
            self._call.check_withdrawn()
