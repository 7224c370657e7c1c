"""One attempt of a call: slot -> token -> transport -> wire.

What raises before the first byte, whoever wrote it, told nobody; what raises after the answer has
been read does not change what it said; a defect between the two leaves the outcome unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from attrs import define, field

from .clock import SYSTEM_CLOCK, Clock
from .errors import (
    DeadlineExceeded,
    MoveworksError,
    NotAuthenticated,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
)
from .limits.gate import Gate
from .limits.priority import Priority
from .limits.window import Slot
from .tasks import is_cancelled
from .tokens import Authorizer, RequestAuth
from .transport import Transport
from .wire.http import Effect, Request, Response

logger: logging.Logger = logging.getLogger(__name__)
T = TypeVar("T")

# A server that says "Retry-After: 0" to everybody would get a storm back; a second is no loss.
LEAST_PAUSE = 1.0


@define(eq=False, repr=False)
class Call:
    """One call while it runs, for whoever watches it."""

    #: How urgent it is: a higher lane is served first.
    priority: Priority = "normal"
    #: Tries so far, those without a connection included.
    attempts: int = 0
    #: HTTP requests that left this machine so far.
    requests: int = 0
    #: Answers 429 so far.
    throttled: int = 0
    #: A request of it is on its way: cancelling now makes the outcome unknown.
    in_flight: bool = False
    #: What its request may do to people.
    effect: Effect = Effect.MAY_TELL
    #: An earlier request of it may have told people.
    maybe_told: bool = False
    #: Why no further request of it may start; set by whoever watches it.
    withdrawn: str | None = None
    #: Awaited when slot and token are there, before the first byte leaves. It may raise instead.
    before: Callable[[], Awaitable[object]] | None = field(default=None, repr=False)
    #: One request, whatever it meets: whoever watches it decides on the next. Only a dead token is
    #: replaced, as the policy says, for nobody is told by a 401.
    once: bool = False
    #: Time of the clock after which it does not wait any more.
    deadline: float = math.inf
    last_error: MoveworksError | None = field(default=None, repr=False)

    def check_withdrawn(self) -> None:
        """Raise `NotSent` if no further request may start."""
        if self.withdrawn is not None:
            raise NotSent(f"not sent: {self.withdrawn}")

    def failed(self, error: MoveworksError) -> None:
        """Remember how one request ended."""
        self.last_error = error
        self.throttled += isinstance(error, RateLimited)
        if error.outcome is Outcome.UNKNOWN and self.effect is Effect.MAY_TELL:
            self.maybe_told = True

    def settle(self, error: MoveworksError) -> MoveworksError:
        """The error to raise: never one that denies what an earlier request may have done."""
        error.attempts = self.attempts
        if not self.maybe_told or error.outcome is Outcome.UNKNOWN:
            return error
        return OutcomeUnknown(
            f"an earlier request may have been processed; the last step: {error}",
            attempts=self.attempts,
        )


@define(eq=False, repr=False)
class Requester:
    """Makes single requests, with what they share."""

    transport: Transport
    authorizer: Authorizer
    gate: Gate
    clock: Clock = SYSTEM_CLOCK

    async def attempt(
        self, request: Callable[[], Request], parse: Callable[[Response, int], T], call: Call
    ) -> T:
        """One request: wait for a slot, take a token, exchange, read the answer."""
        call.check_withdrawn()
        with _before_the_first_byte("in the rate limit's `acquire`"):
            slot = await self.gate.acquire(call.deadline, call.priority)
        counted, limited = False, None
        try:
            with _before_the_first_byte("while the request was made"):
                grant = await self._grant(call)
                ready = request().with_auth(headers=grant.headers, query=grant.query)
                call.effect = ready.effect
                if call.before is not None:
                    await call.before()
            call.attempts += 1
            call.requests += 1
            call.in_flight = counted = True
            with _after_it_has_left():
                response = await self.transport.exchange(ready)
                return parse(response.to(ready), call.attempts)
        except MoveworksError as error:
            call.failed(error)
            if error.outcome is Outcome.NOT_SENT and call.in_flight:
                counted = False
                call.requests -= 1
            elif isinstance(error, NotAuthenticated) and call.in_flight:
                self.authorizer.reject(grant)
            elif isinstance(error, RateLimited):
                limited = error
            raise
        finally:
            call.in_flight = False
            self._give_back(slot, counted, limited)

    async def _grant(self, call: Call) -> RequestAuth:
        """A grant, had within the call's deadline. A fetch under way goes on for the others."""
        try:
            async with asyncio.timeout(None) as bound, self._at(call.deadline, bound):
                grant = await self.authorizer.get()
        except TimeoutError:
            if not bound.expired():
                raise
            raise DeadlineExceeded("the token came too late for the deadline; not sent") from None
        if self.clock.now() > call.deadline:
            raise DeadlineExceeded("the token came too late for the deadline; not sent")
        return grant

    @contextlib.asynccontextmanager
    async def _at(self, deadline: float, bound: asyncio.Timeout) -> AsyncIterator[None]:
        """End `bound` at a time of the clock."""
        if deadline == math.inf:
            yield
            return
        loop = asyncio.get_running_loop()
        left = max(0.0, deadline - self.clock.now())
        timer = self.clock.call_later(left, lambda: bound.reschedule(loop.time()))
        try:
            yield
        finally:
            timer.cancel()

    def _give_back(self, slot: Slot, counted: bool, limited: RateLimited | None) -> None:
        """End the slot. What a gate of the caller's raises here does not change what is known."""
        try:
            if limited is None:
                self.gate.release(slot, counted=counted)
            else:
                self._refused(slot, limited)
        except (Exception, asyncio.CancelledError):
            logger.exception("the gate raised when it was given a slot back")

    def _refused(self, slot: Slot, error: RateLimited) -> None:
        """One 429 is everybody's: the limit belongs to the organisation."""
        asked = error.retry_after
        self.gate.refused(slot, None if asked is None else max(asked, LEAST_PAUSE))
        logger.warning("HTTP 429: %s", self.gate.snapshot())


@contextlib.contextmanager
def _before_the_first_byte(where: str) -> Iterator[None]:
    """Whoever's piece it is that raises here, and whatever: nobody was told."""
    try:
        yield
    except MoveworksError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        raise NotSent(f"{type(error).__name__} {where}; not sent") from error


@contextlib.contextmanager
def _after_it_has_left() -> Iterator[None]:
    """A defect while the answer is awaited or read: the server may have done what was asked."""
    try:
        yield
    except MoveworksError:
        raise
    except Exception as defect:
        raise OutcomeUnknown(
            f"unexpected {type(defect).__name__} while the answer was read; told or not told"
        ) from defect
