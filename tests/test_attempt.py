"""One attempt among pieces that others wrote: whatever they raise, what is said stays true."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from attrs import define, evolve, field

from moveworks_shift_async.call import Call
from moveworks_shift_async.errors import (
    BadRequest,
    ClientClosed,
    ConnectionFailed,
    DeadlineExceeded,
    JournalError,
    MoveworksError,
    NotAuthenticated,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
)
from moveworks_shift_async.limits.priority import Priority
from moveworks_shift_async.limits.window import GateSnapshot, Slot
from moveworks_shift_async.models import Attempt
from moveworks_shift_async.retry import RetryPolicy
from moveworks_shift_async.settings import RateLimit, Timeouts
from moveworks_shift_async.tokens import RequestAuth, TokenManager
from moveworks_shift_async.wire import moveworks
from moveworks_shift_async.wire.http import Request, Response
from moveworks_shift_async.wire.recipients import CheckedRecipients
from moveworks_shift_async.wire.token import Token

from .fakes import Answer, FakeAuthorizer, FakeClock, FakeTransport, answer, settle
from .test_session import OK, REQUEST, Parts, build, read_attempts

#: What a piece of the caller's may raise; a cancellation of something that it waited for included.
RAISED = [ValueError("boom"), TimeoutError(), OSError(5, "boom"), asyncio.CancelledError()]


@define(eq=False)
class BrokenGate:
    """A gate of the caller's own, with a defect in one of its methods."""

    broken: str
    error: BaseException
    given: list[Slot] = field(factory=list)
    ended: int = 0

    def _fail(self, method: str) -> None:
        if method == self.broken:
            raise self.error

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """Nobody asks here."""

    def leave(self, user: object) -> None:
        """The client is closed."""
        self._fail("leave")

    async def acquire(self, deadline: float, priority: Priority) -> Slot:
        """A slot at once."""
        self._fail("acquire")
        self.given.append(Slot(len(self.given), 0.0))
        return self.given[-1]

    def release(self, slot: Slot, *, counted: bool) -> None:
        """The end of one."""
        self.ended += 1
        self._fail("release")

    def refused(self, slot: Slot, retry_after: float | None) -> None:
        """The end of one, in a 429."""
        self.ended += 1
        self._fail("refused")

    def observed(self, ages: Iterable[float]) -> None:
        """Nobody asks here."""

    def snapshot(self) -> GateSnapshot:
        """Never to be had."""
        raise self.error


def with_gate(parts: Parts, gate: BrokenGate) -> Parts:
    """The same session behind a gate of the caller's own."""
    parts.session = evolve(parts.session, gate=gate)
    return parts


async def failure_of(parts: Parts, call: Call | None = None) -> MoveworksError:
    """The error of one call."""
    with pytest.raises(MoveworksError) as raised:
        await parts.send(call)
    return raised.value


@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_an_acceptance_survives_a_gate_that_fails_afterwards(
    clock: FakeClock, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has said yes; the gate's defect is logged."""
    gate = BrokenGate("release", error)
    parts = with_gate(build(clock, OK), gate)
    assert await parts.send() == 1
    assert gate.ended == 1
    assert "the gate raised" in caplog.text


@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_a_429_survives_a_gate_that_fails_afterwards(
    clock: FakeClock, error: BaseException
) -> None:
    """So does a refusal; the next attempt may ask the gate again."""
    parts = with_gate(build(clock, answer(429), OK), BrokenGate("refused", error))
    assert await parts.send() == 2
    parts = with_gate(build(clock, answer(429)), BrokenGate("refused", error))
    parts.session.retry = RetryPolicy.none()
    assert isinstance(await failure_of(parts), RateLimited)


@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_a_gate_that_fails_first_told_nobody(clock: FakeClock, error: BaseException) -> None:
    """And its `TimeoutError` is not the closing of the client, its cancellation not the call's."""
    parts = with_gate(build(clock, OK), BrokenGate("acquire", error))
    failure = await failure_of(parts)
    assert failure.outcome is Outcome.NOT_SENT
    assert not isinstance(failure, ClientClosed)
    assert type(error).__name__ in str(failure)
    assert failure.__cause__ is error
    assert parts.transport.requests == []


@pytest.mark.parametrize("error", RAISED, ids=repr)
@pytest.mark.parametrize("piece", ["token", "request", "before"])
async def test_what_fails_before_the_first_byte_told_nobody(
    clock: FakeClock, piece: str, error: BaseException
) -> None:
    """A defect of ours too; the slot is free again, for the server has seen nothing."""
    parts = build(clock, OK)

    async def fail() -> None:
        raise error

    def request() -> Request:
        if piece == "request":
            raise error
        return REQUEST

    if piece == "token":
        parts.authorizer.failure = error
    call = Call(before=fail if piece == "before" else None)
    with pytest.raises(NotSent) as raised:
        await parts.session.call(request, read_attempts, call=call)
    assert raised.value.outcome is Outcome.NOT_SENT
    assert (call.attempts, call.requests, parts.transport.requests) == (0, 0, [])
    assert (parts.gate.snapshot().used, parts.gate.snapshot().in_flight) == (0, 0)


async def test_an_error_of_ours_stays_what_it_is(clock: FakeClock) -> None:
    """A journal that cannot be written says so itself."""
    parts = build(clock, OK)

    async def fail() -> None:
        raise JournalError("the disk is full")

    assert isinstance(await failure_of(parts, Call(before=fail)), JournalError)


async def test_what_never_left_counts_as_no_request(clock: FakeClock) -> None:
    """A session of the caller's that failed first: nothing was sent, and the slot is free."""
    parts, call = build(clock, NotSent("a middleware failed")), Call()
    await failure_of(parts, call)
    assert (call.attempts, call.requests) == (1, 0)
    assert parts.gate.snapshot().used == 0


async def test_a_real_cancellation_stays_one(clock: FakeClock) -> None:
    """Cancelled while the token is awaited, the call is cancelled, and nothing was sent."""
    parts = build(clock, OK)

    async def never() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(parts.send(Call(before=never)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await task
    assert raised.value.__cause__ is None
    assert parts.gate.snapshot().in_flight == 0


# -- a deadline bounds the token as well -----------------------------------------------------------


def with_tokens(clock: FakeClock, parts: Parts, seconds: float) -> list[float]:
    """Let a token take so long; the times when one came."""
    came: list[float] = []

    async def fetch() -> Token:
        await clock.sleep(seconds)
        came.append(clock.now())
        return Token(access_token="t", expires_in=3600.0)

    manager = TokenManager(fetch, clock=clock)
    parts.session = evolve(parts.session, authorizer=manager)
    return came


async def test_a_token_that_takes_longer_than_the_deadline_sends_nothing(clock: FakeClock) -> None:
    """The call ends at its deadline, the fetch goes on for whoever comes next."""
    parts = build(clock, OK, deadline=30.0)
    came = with_tokens(clock, parts, 100.0)
    task = asyncio.create_task(failure_of(parts))
    await clock.advance(29.0)
    assert not task.done()
    await clock.advance(1.0)
    assert isinstance(await task, DeadlineExceeded)
    assert (parts.transport.requests, parts.gate.snapshot().used) == ([], 0)
    await clock.advance(70.0)
    assert came == [1100.0]
    assert await parts.send() == 1


async def test_a_token_within_the_deadline_is_used(clock: FakeClock) -> None:
    """And leaves no timer behind."""
    parts = build(clock, OK, deadline=30.0)
    with_tokens(clock, parts, 29.0)
    task = asyncio.create_task(parts.send())
    await clock.advance(29.0)
    assert await task == 1
    assert all(timer.cancelled for _, _, timer in clock.timers)


@define(eq=False)
class Late(FakeAuthorizer):
    """A grant that comes while the event loop stands still."""

    clock: FakeClock = field(factory=FakeClock)

    async def get(self) -> RequestAuth:
        """Half a minute later."""
        self.clock.time += 31.0
        return await FakeAuthorizer.get(self)


async def test_nothing_is_sent_when_the_token_came_after_the_deadline(clock: FakeClock) -> None:
    """An event loop that stood still lets both fall due at once; the deadline wins."""
    parts = build(clock, OK, deadline=30.0)

    parts.session = evolve(parts.session, authorizer=Late(clock=clock))
    assert isinstance(await failure_of(parts), DeadlineExceeded)
    assert parts.transport.requests == []


# -- whoever watches is told -----------------------------------------------------------------------


def watched(parts: Parts) -> list[Attempt]:
    """What somebody who watches the attempts of this session hears."""
    heard: list[Attempt] = []

    def watch(attempt: Attempt, request: Request) -> None:
        assert request.route.name == attempt.endpoint
        heard.append(attempt)

    parts.session.exchange.watchers.add(watch)
    return heard


async def test_an_attempt_is_told_as_a_value(clock: FakeClock) -> None:
    """How long it waited and was out, and what came of it."""
    parts = build(clock, OK, budget=1)

    async def slow(_: Request) -> Response:
        await clock.sleep(2.0)
        return answer(202, X_Request_Id="r1")

    await parts.send()
    parts.transport.answers, heard = [slow], watched(parts)
    event = moveworks.Content(event_id=uuid.uuid4(), message="hi").request(
        CheckedRecipients.of(["a@b.c", "d@e.f"])
    )
    task = asyncio.create_task(parts.send(request=event))
    await clock.advance(70.0)
    await task
    (attempt,) = heard
    assert attempt == Attempt(
        endpoint="events.send",
        number=1,
        recipients=2,
        waited=attempt.waited,
        duration=2.0,
        status=202,
        outcome=Outcome.ACCEPTED,
        error=None,
        retry_in=None,
        request_id="r1",
    )
    assert 60.0 <= attempt.waited < 61.0


async def test_each_attempt_says_whether_another_follows(clock: FakeClock) -> None:
    """After how many seconds; a 429 is followed when the gate's pause ends."""
    refusals = (ConnectionFailed("refused"), answer(429, retry_after="7"), answer(401), OK)
    parts = build(clock, *refusals)
    heard = watched(parts)
    task = asyncio.create_task(parts.send())
    await clock.advance(100.0)
    assert await task == 4
    told = [(one.number, one.status, one.outcome, one.error) for one in heard]
    assert told == [
        (1, None, Outcome.NOT_SENT, "ConnectionFailed"),
        (2, 429, Outcome.REJECTED, "RateLimited"),
        (3, 401, Outcome.REJECTED, "NotAuthenticated"),
        (4, 200, Outcome.ACCEPTED, None),
    ]
    first, *others = [one.retry_in for one in heard]
    assert first is not None
    assert 0 <= first <= RetryPolicy().backoff
    assert others == [7.0, 0.0, None]


async def test_the_last_attempt_is_followed_by_none(clock: FakeClock) -> None:
    """Whatever ends the call: the policy, or a wait that would outlast its deadline."""
    for parts in (
        build(clock, answer(500)),
        build(clock, ConnectionFailed("refused"), deadline=0.001, backoff=1000.0),
    ):
        heard = watched(parts)
        await failure_of(parts)
        assert [one.retry_in for one in heard] == [None]


async def test_a_cancelled_attempt_is_told_as_what_it_is(clock: FakeClock) -> None:
    """Unknown, unless the transport has proof that nothing had left."""
    for cause, outcome in (
        (None, Outcome.UNKNOWN),
        (OutcomeUnknown("sent"), Outcome.UNKNOWN),
        (NotSent("not sent"), Outcome.NOT_SENT),
    ):
        parts = build(clock, hanging(cause))
        heard = watched(parts)
        task = asyncio.create_task(parts.send())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert [one.outcome for one in heard] == [outcome]
        unknown = isinstance(raised.value.__cause__, OutcomeUnknown)
        assert unknown == (outcome is Outcome.UNKNOWN)


def hanging(cause: BaseException | None) -> Answer:
    """A transport that is cancelled while it sends, and says so much of it."""

    async def never(_: Request) -> Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            cancelled.__cause__ = cause
            raise
        raise AssertionError

    return never


@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_whatever_a_transport_raises_may_have_told_people(
    clock: FakeClock, error: Exception
) -> None:
    """A cancellation of something that it waited for included; only `NotSent` is proof."""

    async def fail(_: Request) -> Response:
        raise error

    parts = build(clock, fail)
    heard = watched(parts)
    assert isinstance(await failure_of(parts), OutcomeUnknown)
    assert [(one.outcome, one.status) for one in heard] == [(Outcome.UNKNOWN, None)]


@pytest.mark.parametrize("odd", [None, 202, "202 Accepted"], ids=repr)
async def test_what_is_no_answer_may_have_told_people(clock: FakeClock, odd: Response) -> None:
    """Watched or not, and whatever a transport of the caller's returns."""

    async def give(_: Request) -> Response:
        return odd

    watched_one, alone = build(clock, give), build(clock, give)
    heard = watched(watched_one)
    for parts in (watched_one, alone):
        assert isinstance(await failure_of(parts), OutcomeUnknown)
    assert [(one.outcome, one.status) for one in heard] == [(Outcome.UNKNOWN, None)]


async def test_a_body_may_be_any_bytes(clock: FakeClock) -> None:
    """A transport of the caller's may have it as a `bytearray`."""

    async def give(_: Request) -> Response:
        body: Any = bytearray(b'{"status": "RECEIVED"}')
        return Response(status=202, body=body)

    assert await build(clock, give).send() == 1


@pytest.mark.parametrize("refusal", [RateLimited, NotAuthenticated, BadRequest])
async def test_a_refusal_that_a_transport_raises_proves_nothing(
    clock: FakeClock, refusal: type[RefusedByServer]
) -> None:
    """It is read from an answer, and here is none: it is not sent again."""

    async def refuse(_: Request) -> Response:
        raise refusal("no", status=429)

    parts = build(clock, refuse)
    assert isinstance(await failure_of(parts), OutcomeUnknown)
    assert len(parts.transport.requests) == 1


async def test_who_watches_may_end_the_program(clock: FakeClock) -> None:
    """What no `except Exception` sees goes through, and the client can be closed afterwards."""

    class Skipped(BaseException):
        """As pytest raises."""

    def watch(*_: object) -> None:
        raise Skipped

    parts = build(clock, OK)
    parts.session.exchange.watchers.add(watch)
    with pytest.raises(Skipped):
        await parts.send()
    async with asyncio.timeout(5):
        await parts.session.close()


async def test_a_transport_that_cannot_be_closed_leaves_its_gate(clock: FakeClock) -> None:
    """Else the next client with another limit would be refused."""

    class Broken(FakeTransport):
        async def close(self) -> None:
            raise ValueError("boom")

    parts, left = build(clock), []
    parts.session.on_closed = lambda: left.append(True)
    parts.session.exchange.transport = Broken([])
    with pytest.raises(ValueError, match="boom"):
        await parts.session.close()
    assert left == [True]


async def test_a_gate_that_cancels_nobody_who_leaves_it_is_heard_of(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What became of the calls stays as it is."""
    parts = build(clock)

    def leave() -> None:
        raise asyncio.CancelledError

    parts.session.on_closed = leave
    await parts.session.close()
    assert "when the client left it" in caplog.text


async def test_who_watches_changes_nothing(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What is raised while watching is logged, and so is what the gate raises meanwhile."""
    parts = with_gate(build(clock, answer(429), OK), BrokenGate("", ValueError("boom")))

    def watch(attempt: Attempt, request: Request) -> None:
        raise ValueError("boom")

    parts.session.exchange.watchers.add(watch)
    assert await parts.send() == 2
    assert "watches attempts" in caplog.text


# -- closing ---------------------------------------------------------------------------------------


async def test_closed_while_it_waits_to_send_again_it_is_unknown(clock: FakeClock) -> None:
    """Its first request may have told people, whatever it waits for now."""
    parts = build(clock, OutcomeUnknown("reset"), OK, on_unknown="resend", backoff=1000.0)
    parts.session.timeouts = Timeouts(close=0.05)
    task = asyncio.create_task(failure_of(parts))
    await settle()
    await parts.session.close()
    error = await task
    assert isinstance(error, OutcomeUnknown)
    assert error.attempts == len(parts.transport.requests) == 1


async def test_closed_while_it_waits_for_the_first_time_it_was_not_sent(clock: FakeClock) -> None:
    """Nothing has left, so it says so."""
    parts = build(clock, OK)
    with_tokens(clock, parts, 100.0)
    parts.session.timeouts = Timeouts(close=0.05)
    task = asyncio.create_task(failure_of(parts))
    await settle()
    await parts.session.close()
    assert isinstance(await task, ClientClosed)


async def test_closing_waits_for_a_refresh_that_uses_up_the_old_pair(clock: FakeClock) -> None:
    """Broken off, the new pair would be lost, and the old one is dead."""
    parts, go, handed_over = build(clock, OK), asyncio.Event(), False

    async def rotate() -> Token:
        nonlocal handed_over
        await go.wait()
        handed_over = True
        return Token(access_token="second", expires_in=3600.0)

    manager = TokenManager(rotate, rotates=True, clock=clock)
    manager.start_with(Token(access_token="first", expires_in=1000.0))
    parts.session = evolve(parts.session, authorizer=manager, timeouts=Timeouts(close=60.0))
    await clock.advance(800.0)  # the first is near its end: the next is fetched in the background
    assert await parts.send() == 1
    closing = asyncio.create_task(parts.session.close())
    await settle()
    assert not closing.done()
    go.set()
    await closing
    assert handed_over


async def test_a_defect_of_the_transport_after_the_request_left_is_unknown(
    clock: FakeClock,
) -> None:
    """Whatever it is: the server may have processed the request."""

    async def broken(_: object) -> Response:
        raise LookupError("a defect")

    parts = build(clock, broken)
    error = await failure_of(parts)
    assert isinstance(error, OutcomeUnknown)
    assert parts.gate.snapshot().in_flight == 0
    assert logging.getLogger("moveworks_shift_async").handlers == []
