"""A step in a thread of its own that no cancellation leaves alone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(step: Callable[[], T], stop: threading.Event) -> T:
    """Run a step in a thread; when cancelled, set `stop` and wait until the step has ended."""
    running = asyncio.get_running_loop().run_in_executor(None, step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # whatever it was, it is cancelled now
        raise
