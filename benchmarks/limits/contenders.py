"""Who sends: ours, the vendor's advice, and what a user would pick instead.

Each is the real class of its library, in virtual time, told the true limit, with up to
`max_in_flight` requests at a time and with its number of retries lifted, so that all get through.
No server names a `Retry-After`: the vendor's does not. The libraries are imported where they are
used, so that whoever lacks one can still run the others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define

from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.process import ProcessGate

from .simulator import Contender, Load, LoopClock, Send, each

# "sleep for 60 seconds and then retry": the vendor's page on rate limits.
VENDOR_SLEEP = 60.0
FOR_EVER = 10**9


class Refused(Exception):
    """A 429."""


async def ours(send: Send, load: Load) -> None:
    """The gate of this package."""
    window = AdaptiveWindow.of(load.limit, load.per, load.max_in_flight)
    gate = ProcessGate(window, LoopClock())

    async def one() -> None:
        while True:
            slot = await gate.acquire()
            if await send():
                return gate.release(slot, counted=True)
            gate.refused(slot)

    await each(load, one)


async def vendor(send: Send, load: Load) -> None:
    """Send; on a 429 sleep for 60 seconds."""

    async def one() -> None:
        while not await send():  # noqa: ASYNC110 - sleeping is the advice
            await asyncio.sleep(VENDOR_SLEEP)

    await each(load, one)


def _with_backoff(
    send: Send, acquire: Callable[[], Awaitable[Any]]
) -> Callable[[], Awaitable[None]]:
    """Acquire, send; on a 429 tenacity's exponential backoff with jitter, 1 s to 60 s."""
    import tenacity  # noqa: PLC0415

    async def attempt() -> None:
        await acquire()
        if not await send():
            raise Refused

    wait = tenacity.wait_random_exponential(multiplier=1, max=60)

    async def one() -> None:
        await tenacity.AsyncRetrying(wait=wait, sleep=asyncio.sleep)(attempt)

    return one


async def aiolimiter(send: Send, load: Load) -> None:
    """aiolimiter's leaky bucket and tenacity's backoff."""
    from aiolimiter import AsyncLimiter  # noqa: PLC0415

    random.seed(load.seed)
    await each(load, _with_backoff(send, AsyncLimiter(load.limit, load.per).acquire))


async def pyrate(send: Send, load: Load) -> None:
    """pyrate-limiter's sliding log in memory and tenacity's backoff."""
    from pyrate_limiter import InMemoryBucket, Limiter, Rate  # noqa: PLC0415
    from pyrate_limiter.clocks import AbstractClock  # noqa: PLC0415
    from pyrate_limiter.limiter import SingleBucketFactory  # noqa: PLC0415

    class VirtualClock(AbstractClock):  # type: ignore[misc,unused-ignore]
        def now(self) -> int:
            return round(asyncio.get_running_loop().time() * 1000)

    random.seed(load.seed)
    bucket = InMemoryBucket([Rate(load.limit, round(load.per * 1000))])
    bucket._clock = VirtualClock()
    limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))
    await each(load, _with_backoff(send, limiter.try_acquire_async))


@define
class _Adaptive:
    """aiobotocore's adaptive mode: its rate limiter, and botocore's backoff."""

    send: Send
    limiter: Any
    backoff: Any

    async def one(self) -> None:
        attempt = 0
        while True:
            await self.limiter.on_sending_request(request=None)
            accepted = await self.send()
            await self.limiter.on_receiving_response(throttled=not accepted)
            if accepted:
                return
            attempt += 1
            await asyncio.sleep(self.backoff.delay_amount(_Attempt(attempt)))


@define
class _Attempt:
    attempt_number: int


class _Detector:
    """A 429 is throttling."""

    def is_throttling_error(self, *, throttled: bool) -> bool:
        return throttled


async def aiobotocore(send: Send, load: Load) -> None:
    """The client-side rate limiter of aiobotocore's adaptive retry mode."""
    from aiobotocore.retries import adaptive, bucket  # noqa: PLC0415
    from botocore.retries import standard, throttling  # noqa: PLC0415

    class VirtualClock(bucket.Clock):  # type: ignore[misc,unused-ignore]
        def current_time(self) -> float:
            return asyncio.get_running_loop().time()

    random.seed(load.seed)
    clock = VirtualClock()
    limiter = adaptive.AsyncClientRateLimiter(
        rate_adjustor=throttling.CubicCalculator(
            starting_max_rate=0, start_time=clock.current_time()
        ),
        rate_clocker=adaptive.RateClocker(clock),
        token_bucket=bucket.AsyncTokenBucket(max_rate=1, clock=clock),
        throttling_detector=_Detector(),
        clock=clock,
    )
    await each(load, _Adaptive(send, limiter, standard.ExponentialBackoff()).one)


async def telegram(send: Send, load: Load) -> None:
    """python-telegram-bot's AIORateLimiter; the caller names the vendor's 60 s."""
    from telegram.error import RetryAfter  # noqa: PLC0415
    from telegram.ext import AIORateLimiter  # noqa: PLC0415

    limiter = AIORateLimiter(load.limit, load.per, 0, 0, max_retries=FOR_EVER)

    async def callback() -> bool:
        if not await send():
            raise RetryAfter(round(VENDOR_SLEEP))
        return True

    async def one() -> None:
        await limiter.process_request(callback, (), {}, "send", {"chat_id": 1}, None)

    await each(load, one)


async def slack(send: Send, load: Load) -> None:
    """slack_sdk's handler, which without `Retry-After` waits one to two seconds."""
    from slack_sdk.http_retry.builtin_async_handlers import (  # noqa: PLC0415
        AsyncRateLimitErrorRetryHandler,
    )
    from slack_sdk.http_retry.request import HttpRequest  # noqa: PLC0415
    from slack_sdk.http_retry.response import HttpResponse  # noqa: PLC0415
    from slack_sdk.http_retry.state import RetryState  # noqa: PLC0415

    random.seed(load.seed)
    handler = AsyncRateLimitErrorRetryHandler(max_retry_count=FOR_EVER)
    request = HttpRequest(method="POST", url="", headers={})
    response = HttpResponse(status_code=429, headers={})

    async def one() -> None:
        state = RetryState()
        while not await send():
            assert await handler.can_retry_async(state=state, request=request, response=response)
            await handler.prepare_for_next_attempt_async(
                state=state, request=request, response=response
            )

    await each(load, one)


CONTENDERS: dict[str, Contender] = {
    "ours": ours,
    "vendor's advice": vendor,
    "aiolimiter + tenacity": aiolimiter,
    "pyrate-limiter + tenacity": pyrate,
    "aiobotocore adaptive": aiobotocore,
    "telegram AIORateLimiter": telegram,
    "slack_sdk handler": slack,
}
