"""One call: attempts under the retry policy. Owns what they share: pool, tokens and gate.

Every call remembers whether an earlier request of it may have been processed. Whatever happens
later, such a call never ends as "not sent" or "rejected": it ends as accepted or unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define, evolve, field

from .attempt import Exchange, Requester
from .call import Call
from .clock import SYSTEM_CLOCK, Clock
from .errors import (
    ClientClosed,
    DeadlineExceeded,
    MoveworksError,
    OutcomeUnknown,
    RateLimited,
)
from .limits.gate import Gate
from .retry import RetryPolicy, repeat
from .settings import Timeouts
from .text import plural
from .tokens import Authorizer
from .wire.http import Effect, Request, Response

if TYPE_CHECKING:
    from .telemetry.otel import OpenTelemetry

logger: logging.Logger = logging.getLogger(__name__)
T = TypeVar("T")


@define(eq=False, repr=False)
class SessionManager:
    """Sends calls through one pool, one token and one gate, and closes them in good order."""

    exchange: Exchange
    authorizer: Authorizer
    gate: Gate
    retry: RetryPolicy = field(factory=RetryPolicy)
    timeouts: Timeouts = field(factory=Timeouts)
    clock: Clock = SYSTEM_CLOCK
    #: None: nobody traces or measures.
    telemetry: OpenTelemetry | None = None
    #: Called when everything is closed, and again when it is closed again.
    on_closed: Callable[[], None] = lambda: None
    _requester: Requester = field(init=False, repr=False)
    _single: RetryPolicy = field(init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _closing: bool = field(default=False, init=False)
    #: The calls in flight, each with the task that it runs in.
    _tasks: dict[Call, asyncio.Task[Any]] = field(factory=dict, init=False, repr=False)
    _idle: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._requester = Requester(
            self.exchange, self.authorizer, self.gate, self.clock, self.telemetry
        )
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
        if self.telemetry is None:
            return await self._call(request, parse, call)
        with self.telemetry.call(call):
            return await self._call(request, parse, call)

    async def _call(
        self, request: Callable[[], Request], parse: Callable[[Response, int], T], call: Call
    ) -> T:
        policy = self._single if call.once else self.retry
        call.deadline = self.clock.now() + (call.seconds or policy.deadline or math.inf)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        cancelled_before = task.cancelling()
        self._tasks[call] = task
        try:
            return await repeat(
                lambda: self._attempt(request, parse, call),
                policy,
                sleep=lambda seconds: self._sleep(seconds, call),
                may_tell=lambda: call.effect is Effect.MAY_TELL,
            )
        except MoveworksError as error:
            raise call.settle(error)  # noqa: B904 - the same, or from it
        except asyncio.CancelledError as cancelled:
            if not call.cut or task.cancelling() > cancelled_before + 1:
                raise call.cancelled(cancelled)  # noqa: B904 - the same
            raise _cut_off(call, cancelled) from None
        finally:
            if call.cut:
                task.uncancel()
            del self._tasks[call]
            self._idle.set()
            self._requester.follows(call, None)  # last: who watches may raise what ends a program

    async def _attempt(
        self, request: Callable[[], Request], parse: Callable[[Response, int], T], call: Call
    ) -> T:
        # What waits for the limit has ended when closing began; nothing joins it afterwards.
        if self._closing and isinstance(call.last_error, RateLimited):
            raise ClientClosed("the client was closed after a 429; not sent again")
        return await self._requester.attempt(request, parse, call)

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

        What waits for the rate limit ends at once. A call that is cut raises `OutcomeUnknown` if
        its request was out, else `ClientClosed`.
        """
        self._check_loop()
        self._closing = True
        self._cut_waiting()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeouts.close):
                    await self._until_idle()
                    await self.authorizer.finish()
        finally:  # cancelled, it leaves nothing open all the same
            self._cut(*self._tasks)
            try:
                await self._until_idle()
                await self.authorizer.close()
                await self.exchange.transport.close()
            finally:
                self._leave()

    def _cut_waiting(self) -> None:
        """End what waits for the rate limit: its turn may come in an hour."""
        if waiting := [call for call in self._tasks if call.waits and not call.cut]:
            self._cut(*waiting)
            told = "closed while %s waited for the rate limit; nothing more of them was sent"
            logger.warning(told, plural(len(waiting), "call"))

    def _cut(self, *calls: Call) -> None:
        for call in calls:
            if not call.cut:  # else another `close` has cut it
                call.cut = True
                self._tasks[call].cancel()

    def _leave(self) -> None:
        """What a gate of the caller's raises here does not change what became of the calls."""
        try:
            self.on_closed()
        except (Exception, asyncio.CancelledError):
            logger.exception("the gate raised when the client left it")

    def withdraw(self, task: asyncio.Task[Any], why: str) -> None:
        """Let the call of this task start no further request: what is in flight ends as it does."""
        call = next((call for call, running in self._tasks.items() if running is task), None)
        if call is not None:
            call.withdrawn = why
        if call is None or not call.in_flight:
            task.cancel()

    async def _until_idle(self) -> None:
        while self._tasks:
            self._idle.clear()
            await self._idle.wait()

    async def _sleep(self, seconds: float, call: Call) -> None:
        call.repeats()
        call.check_withdrawn()
        if self.clock.now() + seconds > call.deadline:
            raise DeadlineExceeded(
                f"waiting {seconds:.1f} s more would outlast the deadline;"
                f" the last request: {call.last_error}",
                retry_after=seconds,
            )
        self._requester.follows(call, seconds)
        await self.clock.sleep(seconds)


def _cut_off(call: Call, cancelled: asyncio.CancelledError) -> MoveworksError:
    if call.maybe_told or isinstance(cancelled.__cause__, OutcomeUnknown):
        return OutcomeUnknown(
            "the client was closed before the answer came", attempts=call.attempts
        )
    return ClientClosed("the client was closed during the wait; not sent", attempts=call.attempts)
