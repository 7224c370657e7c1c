"""Sixty calls at once against a server that lets 12 through in any 3 seconds.

Each client gets a new sandbox in a process of its own. What was delivered and how often 429 was
answered is read from the sandbox's record, never from the client.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import httpx
import tenacity
from aiolimiter import AsyncLimiter
from attrs import frozen
from rich.table import Table

from moveworks_shift_async import ApiKey, MoveworksClient, MoveworksError, RateLimit
from moveworks_shift_async.sandbox import Sandbox, Stats

from .output import new_table, show
from .server import be_sandbox, serving

CALLS, LIMIT, WINDOW = 60, 12, 3.0
# The last dozen of 60 can pass once four windows are over.
OPTIMUM = (CALLS - 1) // LIMIT * WINDOW
ATTEMPTS = 5
# Seconds after which a client is stopped, whatever it is doing.
BOUND = 60.0
SEED = 1
MESSAGE = "The VPN is down for maintenance tonight from 22:00 to 23:00."
# The credential and the event that every sandbox knows.
KNOWN = Sandbox()
HEADERS = {"Authorization": f"Bearer {KNOWN.api_key}"}
PATH = f"/rest/v1/events/{KNOWN.event_id}/messages/send"

Call = Callable[[int], Awaitable[object]]
Contender = Callable[[str], Awaitable[None]]


class Throttled(Exception):
    """The server answered 429."""


@frozen
class Result:
    """One client's burst: what the sandbox saw, and how long the client was busy."""

    stats: Stats
    seconds: float

    @property
    def lost(self) -> int:
        """Calls whose recipient was never told."""
        return CALLS - self.stats.people


async def all_at_once(call: Call) -> None:
    """Start every call now and wait for the last; a call that gives up is simply lost."""

    async def one(number: int) -> None:
        with suppress(MoveworksError, Throttled, tenacity.RetryError):
            await call(number)

    async with asyncio.TaskGroup() as group:
        for number in range(CALLS):
            group.create_task(one(number))


async def ours(url: str) -> None:
    """The package with the server's limit and no other setting."""
    limit = RateLimit(requests=LIMIT, per=WINDOW)
    async with MoveworksClient(ApiKey(KNOWN.api_key), base_url=url, rate_limit=limit) as client:
        await all_at_once(
            lambda number: client.events.send(KNOWN.event_id, MESSAGE, [_person(number)])
        )


async def vendors_advice(url: str) -> None:
    """The vendor's sample: five attempts, and a sleep of one window after each 429."""
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def call(number: int) -> None:
            for _ in range(ATTEMPTS):
                with suppress(Throttled):
                    return await _post(session, url, number)
                await asyncio.sleep(WINDOW)
            raise Throttled

        await all_at_once(call)


async def aiohttp_tenacity_aiolimiter(url: str) -> None:
    """A limiter before each attempt, and five attempts with exponential backoff."""
    limiter = AsyncLimiter(LIMIT, WINDOW)
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        @_backoff
        async def call(number: int) -> None:
            async with limiter:
                await _post(session, url, number)

        await all_at_once(call)


async def httpx_tenacity(url: str) -> None:
    """No limiter; five attempts with exponential backoff."""
    async with httpx.AsyncClient(headers=HEADERS, trust_env=False) as session:

        @_backoff
        async def call(number: int) -> None:
            answer = await session.post(url + PATH, json=_content(number))
            _check(answer.status_code)

        await all_at_once(call)


CONTENDERS: dict[str, Contender] = {
    "moveworks_shift_async": ours,
    "vendor's advice": vendors_advice,
    "aiohttp + tenacity + aiolimiter": aiohttp_tenacity_aiolimiter,
    "httpx + tenacity": httpx_tenacity,
}

# Waits of 1, 2, 4 and 8 seconds, each with up to a second of jitter: tenacity's defaults.
_backoff = tenacity.retry(
    retry=tenacity.retry_if_exception_type(Throttled),
    stop=tenacity.stop_after_attempt(ATTEMPTS),
    wait=tenacity.wait_exponential_jitter(),
)


def _person(number: int) -> str:
    return f"person{number}@example.com"


def _content(number: int) -> dict[str, Any]:
    return {"message": MESSAGE, "recipients": [_person(number)]}


async def _post(session: aiohttp.ClientSession, url: str, number: int) -> None:
    async with session.post(url + PATH, json=_content(number)) as answer:
        await answer.read()
        _check(answer.status)


def _check(status: int) -> None:
    if status == 429:
        raise Throttled
    if status >= 300:
        raise RuntimeError(f"HTTP {status}, which this benchmark does not expect")


def measure(contender: Contender) -> Result:
    """One burst against a sandbox of its own."""
    random.seed(SEED)
    with serving(be_sandbox, LIMIT, WINDOW) as server:
        start = time.perf_counter()
        asyncio.run(asyncio.wait_for(contender(server.url), BOUND))
        return Result(server.ask(), time.perf_counter() - start)


def table(found: dict[str, Result]) -> Table:
    """What the sandbox saw of each."""
    title = f"{CALLS} calls at once, {LIMIT} allowed in {WINDOW:.0f} s"
    headings = ("delivered", "lost", "429s", "seconds", f"of {OPTIMUM:.0f} s")
    result = new_table(title, "client", *headings)
    for name, one in found.items():
        numbers = (one.stats.people, one.lost, one.stats.throttled)
        times = (f"{one.seconds:.2f}", f"{one.seconds / OPTIMUM:.3f}")
        result.add_row(name, *map(str, numbers), *times)
    return result


def main() -> None:
    """Run the benchmark and print its table."""
    found = {name: measure(contender) for name, contender in CONTENDERS.items()}
    show("burst", ("aiohttp", "httpx", "tenacity", "aiolimiter"), table(found))


if __name__ == "__main__":
    main()
