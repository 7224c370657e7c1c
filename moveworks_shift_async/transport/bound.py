"""A bound on a request that holds while this process runs, and not while it is frozen.

A process that was stopped and goes on (SIGSTOP, a laptop's lid, a virtual machine that is moved)
runs its timers before it reads its sockets: answers that came in time would be unknown. So a timer
that comes late waits a moment more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

# Seconds after which a timer is late, and for which the sockets are read then.
_LATE, _MORE = 0.5, 0.5


@contextlib.asynccontextmanager
async def within(seconds: float) -> AsyncGenerator[None]:
    """Raise `TimeoutError` if what is inside takes longer."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    async with asyncio.timeout(None) as bound:

        def over() -> None:
            late = loop.time() - due > _LATE
            timers.append(loop.call_later(_MORE if late else 0, bound.reschedule, due))

        timers = [loop.call_at(due, over)]
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()
