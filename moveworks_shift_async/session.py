"""One call as short steps: limit -> token -> transport -> wire -> retry. Owns what they share.

Every call remembers whether an earlier request of it may have been processed. Whatever happens
later, such a call never ends as "not sent" or "rejected": it ends as accepted or unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, evolve, field

from .clock import SYSTEM_CLOCK, Clock
from .errors import (
    ClientClosed,
    ConnectionFailed,
    DeadlineExceeded,
    MoveworksError,
    NotAuthenticated,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
)
from .limits.gate import Gate
from .limits.lanes import Priority
from .limits.window import Slot
from .retry import RetryPolicy, repeat
from .settings import Timeouts
from .tokens import Authorizer
from .transport import Transport
from .wire.http import Effect, Request, Response

logger = logging.getLogger(__name__)
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
class SessionManager:
    """Sends calls through one pool, one token and one gate, and closes them in good order."""

    transport: Transport
    authorizer: Authorizer
    gate: Gate
    retry: RetryPolicy = field(factory=RetryPolicy)
    timeouts: Timeouts = field(factory=Timeouts)
    clock: Clock = SYSTEM_CLOCK
    #: Called once, when everything is closed.
    on_closed: Callable[[], None] = lambda: None
    _single: RetryPolicy = field(init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _closing: bool = field(default=False, init=False)
    #: One per call in flight; moving its deadline to now cuts the call.
    _cuts: set[asyncio.Timeout] = field(factory=set, init=False, repr=False)
    _idle: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        replay = self.retry.replay_unauthenticated
        self._single = evolve(RetryPolicy.none(), replay_unauthenticated=replay)

    async def call(
        self,
        request: Callable[[], Request],
        parse: Callable[[Response, int], T],
        *,
        call: Call | None = None,
    ) -> T:
        """Send what `request` makes until it succeeds or the policy gives up; return what `parse`
        makes of the answer.

        `request` is called when a slot is there, for each attempt anew; `parse` gets the answer
        and the number of attempts. The request's effect says whether an unknown outcome may have
        told people. Raises a `MoveworksError` with the number of attempts. Cancelled while a
        request was out, it raises `CancelledError` from `OutcomeUnknown`.
        """
        self.open()
        call = call or Call()
        policy = self._single if call.once else self.retry
        call.deadline = self.clock.now() + (policy.deadline or math.inf)
        try:
            async with asyncio.timeout(None) as cut:
                return await self._repeat(request, parse, call, cut)
        except MoveworksError as error:
            settled = call.settle(error)
            if settled is error:
                raise
            raise settled from error
        except TimeoutError as ended:  # `close` moved the cut's deadline
            cancelled = ended.__cause__
            sent = isinstance(cancelled and cancelled.__cause__, OutcomeUnknown)
            failure = _cut_off(call, sent=sent)
        except asyncio.CancelledError as cancelled_by_caller:
            if call.maybe_told and cancelled_by_caller.__cause__ is None:
                raise cancelled_by_caller from OutcomeUnknown("cancelled", attempts=call.attempts)
            raise
        raise failure

    def open(self) -> None:
        """Bind to the running loop; raise `ClientClosed` if closed or bound to another one."""
        self._check_loop()
        if self._closing:
            raise ClientClosed("this client is closed; open a new one inside each asyncio.run")

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise ClientClosed(
                "this client belongs to another event loop; open a new one inside each asyncio.run"
            )

    async def close(self) -> None:
        """Refuse new calls, wait for those in flight up to `timeouts.close`, cut the rest.

        A call that is cut raises `OutcomeUnknown` if its request was out, else `ClientClosed`.
        """
        self._check_loop()
        self._closing = True
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeouts.close):
                    await self._until_idle()
                    await self.authorizer.finish()
        finally:  # cancelled, it leaves nothing open all the same
            for cut in self._cuts:
                cut.reschedule(asyncio.get_running_loop().time())
            await self._until_idle()
            await self.authorizer.close()
            await self.transport.close()
            self.on_closed()

    async def _until_idle(self) -> None:
        while self._cuts:
            self._idle.clear()
            await self._idle.wait()

    async def _repeat(
        self,
        request: Callable[[], Request],
        parse: Callable[[Response, int], T],
        call: Call,
        cut: asyncio.Timeout,
    ) -> T:
        self._cuts.add(cut)
        try:
            return await repeat(
                lambda: self._attempt(request, parse, call),
                self._single if call.once else self.retry,
                sleep=lambda seconds: self._sleep(seconds, call),
                may_tell=lambda: call.effect is Effect.MAY_TELL,
            )
        finally:
            self._cuts.discard(cut)
            self._idle.set()

    async def _attempt(
        self, request: Callable[[], Request], parse: Callable[[Response, int], T], call: Call
    ) -> T:
        """One request: wait for a slot, take a token, exchange, read the answer."""
        call.check_withdrawn()
        slot = await self.gate.acquire(call.deadline, call.priority)
        counted, limited = False, None
        try:
            grant = await self.authorizer.get()
            ready = request().with_auth(headers=grant.headers, query=grant.query)
            call.effect = ready.effect
            if call.before is not None:
                await call.before()
            call.attempts += 1
            call.requests += 1
            call.in_flight = counted = True
            response = await self.transport.exchange(ready)
            return parse(response.to(ready), call.attempts)
        except MoveworksError as error:
            call.failed(error)
            if isinstance(error, ConnectionFailed) and call.in_flight:
                counted = False
                call.requests -= 1
            elif isinstance(error, NotAuthenticated) and call.in_flight:
                self.authorizer.reject(grant)
            elif isinstance(error, RateLimited):
                limited = error
            raise
        finally:
            call.in_flight = False
            if limited is None:
                self.gate.release(slot, counted=counted)
            else:
                self._refused(slot, limited)

    def _refused(self, slot: Slot, error: RateLimited) -> None:
        """One 429 is everybody's: the limit belongs to the organisation."""
        asked = error.retry_after
        self.gate.refused(slot, None if asked is None else max(asked, LEAST_PAUSE))
        logger.warning("HTTP 429: %s", self.gate.snapshot())

    async def _sleep(self, seconds: float, call: Call) -> None:
        call.check_withdrawn()
        if self.clock.now() + seconds > call.deadline:
            raise DeadlineExceeded(
                f"waiting {seconds:.1f} s more would outlast the deadline;"
                f" the last request: {call.last_error}"
            )
        await self.clock.sleep(seconds)


def _cut_off(call: Call, *, sent: bool) -> MoveworksError:
    if sent or call.maybe_told:
        return OutcomeUnknown(
            "the client was closed before the answer came", attempts=call.attempts
        )
    return ClientClosed("the client was closed during the wait; not sent", attempts=call.attempts)
