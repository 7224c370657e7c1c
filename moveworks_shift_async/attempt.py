"""One attempt of a call: slot -> token -> transport -> wire, and whoever watches it.

What raises before the first byte, whoever wrote it, told nobody; what raises after the answer has
been read does not change what it said; a defect between the two leaves the outcome unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from attrs import define, evolve, field

from .call import Call
from .clock import SYSTEM_CLOCK, Clock
from .errors import (
    MoveworksError,
    NotAuthenticated,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
)
from .limits.gate import Gate
from .limits.window import Slot
from .models import Attempt
from .tasks import is_cancelled
from .telemetry.silence import others_silenced
from .telemetry.watchers import Watch, Watchers
from .tokens import Authorizer, RequestAuth, auth_by
from .transport.port import Transport
from .wire.http import Request, Response
from .wire.status import request_id

if TYPE_CHECKING:
    from .telemetry.otel import OpenTelemetry

logger: logging.Logger = logging.getLogger(__name__)
T = TypeVar("T")

# A server that says "Retry-After: 0" to everybody would get a storm back; a second is no loss.
LEAST_PAUSE = 1.0

_NO_AUTH = RequestAuth()


@define(eq=False, repr=False)
class Exchange:
    """One request out and its answer read, for calls and for tokens."""

    transport: Transport
    #: The server, without a slash at the end.
    base_url: str
    clock: Clock = SYSTEM_CLOCK
    #: Told of each attempt once it is known what follows it.
    watchers: Watchers = field(factory=Watchers)

    async def send(
        self,
        request: Request,
        parse: Callable[[Response], T],
        auth: RequestAuth = _NO_AUTH,
        *,
        number: int = 1,
        waited: float = 0.0,
        ended: Watch | None = None,
    ) -> T:
        """What `parse` makes of the answer.

        `ended` hears of the attempt in the place of those who watch. Raises a `MoveworksError`.
        Cancelled while people may have been told, it raises `CancelledError` from
        `OutcomeUnknown`.
        """
        ready = request.ready(self.base_url, headers=auth.headers, query=auth.query)
        answer: Response | None = None
        error: BaseException | None = None
        began = self.clock.now()
        try:
            with others_silenced():
                came = await self.transport.exchange(ready)
            answer = came if came.asked is ready else came.to(ready)
            return parse(answer)
        except BaseException as raised:
            error = _meaning(raised, answered=answer is not None)
            raise error  # noqa: B904 - it has its cause
        finally:
            if self.watchers:
                lasted = self.clock.now() - began
                attempt = _attempt(
                    ready, answer, error, number=number, waited=waited, duration=lasted
                )
                (ended or self.watchers.tell)(attempt, ready)
            del error  # its traceback leads back to this frame


@define(eq=False, repr=False)
class Requester:
    """Makes single requests, with what they share."""

    exchange: Exchange
    authorizer: Authorizer
    gate: Gate
    clock: Clock = SYSTEM_CLOCK
    telemetry: OpenTelemetry | None = None

    async def attempt(
        self, request: Callable[[], Request], parse: Callable[[Response, int], T], call: Call
    ) -> T:
        """One request: wait for a slot, take a token, exchange, read the answer."""
        slot, waited = await self._slot(call)
        auth = _NO_AUTH
        try:
            ready, auth = await self._prepared(request, call)
            call.leaves()
            answer = await self.exchange.send(
                ready,
                lambda response: parse(response, call.attempts),
                auth,
                number=call.attempts,
                waited=waited,
                ended=call.ended,
            )
        except BaseException as error:
            self._ended(call, slot, auth, error)
            raise
        self._ended(call, slot, auth)
        return answer

    async def _slot(self, call: Call) -> tuple[Slot, float]:
        """The right to one request, and the seconds that it was waited for."""
        call.check_withdrawn()
        asked, telemetry = self.clock.now(), self.telemetry
        if telemetry is not None:
            telemetry.queued()
        call.waits = True
        try:
            slot = await self.gate.acquire(call.deadline, call.priority)
        except BaseException as error:
            if telemetry is not None:
                telemetry.waited(self.clock.now() - asked, error)
            raise _not_sent(error, "in the rate limit's `acquire`")  # noqa: B904 - it has its cause
        finally:
            call.waits = False
        waited = self.clock.now() - asked
        if telemetry is not None:
            telemetry.waited(waited)
        return slot, waited

    async def _prepared(
        self, request: Callable[[], Request], call: Call
    ) -> tuple[Request, RequestAuth]:
        """What to send, and what lets it in."""
        try:
            auth = await auth_by(call.deadline, self.authorizer, self.clock)
            ready = request()
            call.sends(ready)
            if call.before is not None:
                await call.before()
        except BaseException as error:
            raise _not_sent(error, "while the request was made")  # noqa: B904 - it has its cause
        return ready, auth

    def follows(self, call: Call, seconds: float | None) -> None:
        """Tell of the last attempt that another follows in so many seconds, or none."""
        told, call.unreported = call.unreported, None
        if told is None:
            return
        attempt, request = told
        if seconds is not None:
            if isinstance(call.last_error, RateLimited):
                seconds = max(seconds, self._paused_for())
            attempt = evolve(attempt, retry_in=seconds)
        self.exchange.watchers.tell(attempt, request)

    def _paused_for(self) -> float:
        try:
            return self.gate.snapshot().paused_for
        except Exception:  # of the caller's gate, which has said so elsewhere
            return 0.0

    def _ended(
        self, call: Call, slot: Slot, auth: RequestAuth, error: BaseException | None = None
    ) -> None:
        """End the slot. What a gate of the caller's raises here does not change what is known."""
        if isinstance(error, NotAuthenticated) and call.in_flight:
            self.authorizer.reject(auth)
        counted = call.returns(error)
        try:
            if isinstance(error, RateLimited):
                self._refused(slot, error)
            else:
                self.gate.release(slot, counted=counted)
        except (Exception, asyncio.CancelledError):
            logger.exception("the gate raised when it was given a slot back")

    def _refused(self, slot: Slot, error: RateLimited) -> None:
        """One 429 is everybody's: the limit belongs to the organisation."""
        asked = error.retry_after
        self.gate.refused(slot, None if asked is None else max(asked, LEAST_PAUSE))


def _not_sent(error: BaseException, where: str) -> BaseException:
    """What to raise for an error before the first byte: whoever's it is, nobody was told."""
    theirs = isinstance(error, asyncio.CancelledError) and not is_cancelled()
    if isinstance(error, MoveworksError) or not (theirs or isinstance(error, Exception)):
        return error
    failure = NotSent(f"{type(error).__name__} {where}; not sent")
    failure.__cause__ = error
    return failure


def _meaning(raised: BaseException, *, answered: bool) -> BaseException:
    """What to raise for what the transport raised or, if `answered`, the reading of the answer."""
    if isinstance(raised, asyncio.CancelledError):
        return _cancelled(raised)
    # A refusal is read from an answer: a transport that raises it proves nothing.
    proven = MoveworksError if answered else (NotSent, OutcomeUnknown)
    if isinstance(raised, proven) or not isinstance(raised, Exception):
        return raised
    return _unknown(raised, "while the answer was read" if answered else "from the transport")


def _unknown(raised: BaseException, where: str) -> OutcomeUnknown:
    failure = OutcomeUnknown(f"unexpected {type(raised).__name__} {where}; told or not told")
    failure.__cause__ = raised
    return failure


def _cancelled(cancelled: asyncio.CancelledError) -> BaseException:
    """What to raise where an exchange was cancelled: without proof, it may have told people."""
    if not is_cancelled():  # by a piece of the transport's own, and so an error like any other
        return _unknown(cancelled, "while a request was out")
    cause = cancelled.__cause__
    if isinstance(cause, NotSent):
        cancelled.__cause__ = None
    elif not isinstance(cause, OutcomeUnknown):
        cancelled.__cause__ = OutcomeUnknown("cancelled while a request was out")
    return cancelled


def _attempt(
    request: Request,
    answer: Response | None,
    error: BaseException | None,
    *,
    number: int,
    waited: float,
    duration: float,
) -> Attempt:
    """How it ended, as a value."""
    cancelled = isinstance(error, asyncio.CancelledError)
    if error is not None and cancelled:
        error = error.__cause__ or NotSent("cancelled")
    ours = error if isinstance(error, MoveworksError) else None
    outcome = Outcome.ACCEPTED if error is None else Outcome.UNKNOWN
    return Attempt(
        endpoint=request.route.name,
        number=number,
        recipients=request.recipients,
        waited=waited,
        duration=duration,
        status=None if answer is None else answer.status,
        outcome=outcome if ours is None else ours.outcome,
        error=None if error is None else type(error).__name__,
        request_id=None if answer is None else request_id(answer),
        cancelled=cancelled,
    )
