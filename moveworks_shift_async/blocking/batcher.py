"""Single sends of many threads that share requests."""

from __future__ import annotations

import uuid
from typing import Self

from attrs import define

from ..models import ChunkOutcome
from ..sending.coalesce import LingeringBatcher as AsyncBatcher
from ..wire.moveworks import Context
from .portal import Calling, Portal


@define(eq=False, repr=False)
class LingeringBatcher:
    """Collects single sends of many threads into chunks of up to 500, as `with`; its end flushes.

    At a Ctrl-C the send of that thread is in no further request, and what is in flight is waited
    for; at a second one its outcome is unknown. The sends of other threads go on.
    """

    _portal: Portal
    _batcher: AsyncBatcher

    def __attrs_post_init__(self) -> None:
        self._portal.batchers.add(self)

    def send(
        self,
        event_id: str | uuid.UUID,
        message: str,
        recipient: str,
        context: Context | None = None,
    ) -> ChunkOutcome:
        """Tell one person; return the outcome of the chunk that the person was in.

        Raises `InvalidInput` for bad arguments and `ClientClosed` after the end, nothing else: a
        failure is in the outcome.
        """
        return Calling(
            self._portal,
            lambda: self._batcher.send(event_id, message, recipient, context),
            self._batcher.withdraw,
        ).result()

    def stop(self) -> None:
        """Send nothing more. Requests in flight end; whoever waits for another was not told."""

        async def stopped() -> None:
            self._batcher.stop()

        Calling(self._portal, stopped).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more, send what waits, and return when all of it has ended.

        At a Ctrl-C it stops, and waits for what is in flight. Closing twice is harmless, and so is
        closing in a fork of the process.
        """
        if self._portal.is_here:
            Calling(self._portal, self._batcher.close, lambda _: self._batcher.stop()).result()
