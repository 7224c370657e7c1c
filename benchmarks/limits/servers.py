"""The six servers, made of the sandbox's limiters, and the rivals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from moveworks_shift_async.sandbox.limiters import Limiter, make_limiter

from .simulator import Load, Rival, Send

SERVERS: dict[str, Callable[[Load], Limiter]] = {
    "fixed window": lambda load: make_limiter(
        "fixed-window", limit=load.limit, window=load.per, burst=0
    ),
    "sliding log": lambda load: make_limiter(
        "sliding-log", limit=load.limit, window=load.per, burst=0
    ),
    "log counting rejected": lambda load: make_limiter(
        "sliding-log-counting-rejected", limit=load.limit, window=load.per, burst=0
    ),
    "bucket, full": lambda load: make_limiter(
        "token-bucket", limit=load.limit, window=load.per, burst=load.limit
    ),
    "bucket of 10": lambda load: make_limiter(
        "token-bucket", limit=load.limit, window=load.per, burst=10
    ),
    "window counter": lambda load: make_limiter(
        "sliding-window-counter", limit=load.limit, window=load.per, burst=0
    ),
}


def steady(share: float = 0.5) -> Rival:
    """One request after another, evenly, whatever happens; `share` is its part of the limit."""

    async def rival(send: Send, load: Load) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(send())  # type: ignore[arg-type]
                await asyncio.sleep(load.per / (load.limit * share))

    return rival


def bursty(share: float = 0.5) -> Rival:
    """Its part of every window at once."""

    async def rival(send: Send, load: Load) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                for _ in range(round(load.limit * share)):
                    group.create_task(send())  # type: ignore[arg-type]
                await asyncio.sleep(1.05 * load.per)

    return rival


def several(number: int = 3, share: float = 0.15) -> Rival:
    """Some steady ones, each from its own moment on."""

    async def rival(send: Send, load: Load) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(steady(share)(send, load))  # type: ignore[arg-type]
                await asyncio.sleep(0.37 * load.per / (load.limit * share))

    return rival


def visitor(share: float = 0.5, windows: int = 4) -> Rival:
    """A steady one that comes for some windows, leaves for as many, and comes again."""

    async def rival(send: Send, load: Load) -> None:
        while True:
            await asyncio.sleep(windows * load.per)
            try:
                async with asyncio.timeout(windows * load.per):
                    await steady(share)(send, load)
            except TimeoutError:
                pass

    return rival
