"""Always a valid token; refreshed in the background.

Theory of operation. A token has three ages. While it is fresh it is handed out. In the advisory
window, near its end, it is still handed out, and one background task fetches the next. In the
mandatory window it is not handed out any more, and callers wait for that task. There is never
more than one task; callers wait beside it, not inside it, so cancelling a caller leaves it alone.
A failed fetch is told to everybody who waited, and for a short while to everybody who asks.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from attrs import define, field, frozen

from .clock import SYSTEM_CLOCK, Clock
from .errors import (
    BadRequest,
    ClientClosed,
    Concerns,
    ConnectionFailed,
    DeadlineExceeded,
    MoveworksError,
    RateLimited,
    ServerFailed,
    TokenUnavailable,
)
from .wire.token import Token

logger: logging.Logger = logging.getLogger(__name__)

# The advisory window: 5 minutes leave time for many tries before anybody has to wait; at most a
# quarter of the life, or a token of 60 s would be refreshed at every call.
ADVISORY, ADVISORY_PART = 300.0, 0.25
# The mandatory window: half of what one request may take, so a token seldom dies on its way.
MANDATORY, MANDATORY_PART = 30.0, 0.05
# After a failed fetch nobody asks again for a second.
FAILURE_PAUSE = 1.0


@frozen
class RequestAuth:
    """What one request carries to be let in: a header or, for a SHIFT application, a query."""

    headers: Mapping[str, str] = field(factory=dict, repr=False)
    query: Mapping[str, str] = field(factory=dict, repr=False)


def bearer(token: str) -> RequestAuth:
    """The `Authorization: Bearer` header."""
    return RequestAuth(headers={"Authorization": f"Bearer {token}"})


class Authorizer(Protocol):
    """Where a session gets what lets its requests in."""

    async def get(self) -> RequestAuth:
        """One that should be valid now."""

    @property
    def renews(self) -> bool:
        """Whether another one can be had for one that was refused."""

    def reject(self, auth: RequestAuth) -> None:
        """The server refused `auth`; do not hand it out again."""

    async def finish(self) -> None:
        """Wait for what must not be broken off."""

    async def close(self) -> None:
        """End what runs in the background."""


@frozen
class StaticAuthorizer:
    """A key or a token that somebody else keeps valid."""

    auth: RequestAuth
    renews: bool = field(default=False, init=False)

    async def get(self) -> RequestAuth:
        """The same every time."""
        return self.auth

    def reject(self, auth: RequestAuth) -> None:
        """Nothing to do: there is no other."""

    async def finish(self) -> None:
        """Nothing to do: nothing runs."""

    async def close(self) -> None:
        """Nothing to do: nothing runs."""


@define(eq=False, repr=False)
class _Held:
    """A token with its ages as times of the clock."""

    auth: RequestAuth
    advisory: float
    mandatory: float

    @classmethod
    def of(cls, token: Token, asked_at: float) -> _Held:
        # From the moment it was asked for: the answer's travel is part of its life.
        life = math.inf if token.expires_in is None else token.expires_in
        ends = asked_at + life
        return cls(
            auth=bearer(token.access_token),
            advisory=ends - min(ADVISORY, life * ADVISORY_PART),
            mandatory=ends - min(MANDATORY, life * MANDATORY_PART),
        )


@define(eq=False, repr=False)
class TokenManager:
    """Hands out one shared token and fetches the next before it is needed."""

    #: Asks the vendor for a token; single flight is this class's business.
    fetch: Callable[[], Awaitable[Token]] = field(repr=False)
    #: Seconds that a 429 without `Retry-After` keeps everybody from asking: the rate window.
    throttle_pause: float = 60.0
    #: Each fetch uses up the refresh token of the one before.
    rotates: bool = False
    clock: Clock = SYSTEM_CLOCK
    renews: bool = field(default=True, init=False)
    _held: _Held | None = field(default=None, repr=False)
    _task: asyncio.Task[RequestAuth] | None = field(default=None, repr=False)
    _failure: MoveworksError | None = field(default=None, repr=False)
    _quiet_until: float = -math.inf

    def start_with(self, token: Token) -> None:
        """Use a token that the caller has already."""
        self._held = _Held.of(token, self.clock.now())

    async def get(self) -> RequestAuth:
        """A valid one. Waits for the one fetch under way only if there is no usable token.

        Raises `TokenUnavailable` or `ConnectionFailed`, whatever became of the token request: the
        call itself was not sent.
        """
        held = self._usable()
        if held is not None:
            return held
        task = self._task or self._start()
        await asyncio.wait({task})
        if task.cancelled():
            raise ClientClosed("the client was closed while the token was fetched; not sent")
        if (error := task.exception()) is not None:
            raise copy.copy(error)  # each caller its own: they add attempts and tracebacks
        return task.result()

    def reject(self, auth: RequestAuth) -> None:
        """Drop the token that was refused; a newer one stays."""
        if self._held is not None and self._held.auth is auth:
            self._held = None

    async def finish(self) -> None:
        """Let a fetch under way end if a refresh token hangs on it."""
        if self._task is not None and self.rotates:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Cancel a fetch under way; whoever waits for it is told."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _usable(self) -> RequestAuth | None:
        """The token to use now, if any; starts a fetch in the background if its end is near."""
        now = self.clock.now()
        held = self._held if self._held and now < self._held.mandatory else None
        if held is None:
            if self._failure is not None and now < self._quiet_until:
                raise copy.copy(self._failure)
            return None
        if now >= held.advisory and self._task is None and now >= self._quiet_until:
            self._start()
        return held.auth

    def _start(self) -> asyncio.Task[RequestAuth]:
        self._task = asyncio.create_task(self._run(), name="moveworks token refresh")
        self._task.add_done_callback(self._ended)
        return self._task

    def _ended(self, task: asyncio.Task[RequestAuth]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # seen: a background refresh has nobody else to look

    async def _run(self) -> RequestAuth:
        asked_at = self.clock.now()
        try:
            token = await self.fetch()
        except MoveworksError as error:
            failure = self._failed(error)
        else:
            if self._failure is not None:
                logger.info("there is a token again")
            self._held, self._failure = _Held.of(token, asked_at), None
            return self._held.auth
        raise failure

    def _failed(self, error: MoveworksError) -> MoveworksError:
        """Remember the failure for everybody, with the pause that follows it."""
        pause = FAILURE_PAUSE
        if isinstance(error, RateLimited):
            asked = self.throttle_pause if error.retry_after is None else error.retry_after
            pause = max(asked, FAILURE_PAUSE)
        self._quiet_until = self.clock.now() + pause
        before, self._failure = self._failure, _as_not_sent(error, pause)
        if type(before) is not type(self._failure):  # whoever waits for one is told each time
            logger.warning("no token: %s; asking again in %.0f s at the earliest", error, pause)
        return self._failure


def _as_not_sent(error: MoveworksError, pause: float) -> MoveworksError:
    """The error of a call that found no token: whatever it is, the call was not sent."""
    if isinstance(error, (ConnectionFailed, TokenUnavailable)):
        return error
    what = f"HTTP {error.status}" if isinstance(error, ServerFailed) else str(error)
    return TokenUnavailable(
        f"no token, so nothing was sent; the token request: {what}",
        cause=error,
        retry_after=pause if _passes(error) else None,
    )


def _passes(error: MoveworksError) -> bool:
    """Whether the same token request may do better later."""
    if isinstance(error, BadRequest):  # a list may be at fault for a 400; here there is none
        return error.unprocessed
    return error.concerns is Concerns.THIS_LIST


async def auth_by(deadline: float, authorizer: Authorizer, clock: Clock) -> RequestAuth:
    """One in time, or `DeadlineExceeded` at that time; a fetch under way goes on for the others."""
    if deadline == math.inf:
        return await authorizer.get()
    loop = asyncio.get_running_loop()
    too_late = DeadlineExceeded("the token came too late for the deadline; not sent")
    try:
        async with asyncio.timeout(None) as bound:
            left = max(0.0, deadline - clock.now())
            timer = clock.call_later(left, lambda: bound.reschedule(loop.time()))
            try:
                auth = await authorizer.get()
            finally:
                timer.cancel()
    except TimeoutError:
        if not bound.expired():
            raise
        raise too_late from None
    if clock.now() > deadline:
        raise too_late
    return auth
