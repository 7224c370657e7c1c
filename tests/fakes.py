"""Stand-ins at our own seams: a clock that tests set, and a transport with a list of answers."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field

from moveworks_shift_async.tokens import RequestAuth
from moveworks_shift_async.wire.http import Effect, Request, Response, Route


async def settle() -> None:
    """Let every task run until it waits for something real."""
    for _ in range(30):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what another task, thread or process makes true, however long it takes."""
    while not holds():  # noqa: ASYNC110 - nobody can tell
        await asyncio.sleep(0.001)


@define(eq=False)
class FakeTimer:
    """A timer of the fake clock."""

    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Forget the callback."""
        self.cancelled = True


@define(eq=False)
class FakeClock:
    """Time stands still until `advance`."""

    time: float = 1000.0
    timers: list[tuple[float, int, FakeTimer]] = field(factory=list)
    slept: list[float] = field(factory=list)
    armed: int = 0
    #: Seconds that pass with each look at the clock: the process is held up after it.
    held_up: float = 0.0

    def now(self) -> float:
        """The time that was set."""
        now, self.time = self.time, self.time + self.held_up
        return now

    def utcnow(self) -> datetime:
        """The same time as a date."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    async def sleep(self, delay: float) -> None:
        """Wait until the time was advanced by `delay`."""
        self.slept.append(delay)
        if delay <= 0:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        """Run `callback` when the time was advanced by `delay`."""
        self.armed += 1
        timer = FakeTimer(callback)
        heapq.heappush(self.timers, (self.time + delay, self.armed, timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move the time, running what falls due on the way, in order."""
        target = self.time + seconds
        await settle()
        while self.timers and self.timers[0][0] <= target:
            due, _, timer = heapq.heappop(self.timers)
            self.time = max(self.time, due)
            if not timer.cancelled:
                timer.callback()
            await settle()
        self.time = max(self.time, target)
        await settle()


Answer = Response | Exception | Callable[[Request], Awaitable[Response]]


def request_of(method: str, path: str, *, effect: Effect = Effect.MAY_TELL, **what: Any) -> Request:
    """A request to an endpoint that no vendor has."""
    return Request(route=Route("test", method, path, effect), **what)


@define(eq=False)
class FakeTransport:
    """Answers from a list, the last one again and again."""

    answers: list[Answer]
    requests: list[Request] = field(factory=list)
    closed: bool = False

    async def exchange(self, request: Request) -> Response:
        """The next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Response):
            return answer
        return await answer(request)

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


@define(eq=False)
class FakeAuthorizer:
    """Numbered tokens; a rejected one is followed by the next."""

    number: int = 1
    rejected: list[RequestAuth] = field(factory=list)
    failure: BaseException | None = None
    closed: bool = False
    renews: bool = True

    async def get(self) -> RequestAuth:
        """The current token, or the failure."""
        if self.failure is not None:
            raise self.failure
        return RequestAuth(headers={"Authorization": f"Bearer t{self.number}"})

    def reject(self, auth: RequestAuth) -> None:
        """Go on to the next."""
        self.rejected.append(auth)
        self.number += 1

    async def finish(self) -> None:
        """Nothing runs."""

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """A response with a JSON body."""
    content = b"" if body is None else json.dumps(body).encode()
    return Response(
        status=status,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
        body=content,
    )
