"""One call: limit, token, transport, wire, retry; cancelled, cut or closed at any moment."""

from __future__ import annotations

import asyncio
import copy

import pytest
from attrs import define, field

from moveworks_shift_async.attempt import Exchange
from moveworks_shift_async.call import Call
from moveworks_shift_async.credentials import Rotation
from moveworks_shift_async.errors import (
    BadRequest,
    ClientClosed,
    ConnectionFailed,
    DeadlineExceeded,
    MoveworksError,
    NotAuthenticated,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.limits.adaptive_window import AdaptiveWindow
from moveworks_shift_async.limits.process import ProcessGate
from moveworks_shift_async.retry import RetryPolicy
from moveworks_shift_async.session import SessionManager
from moveworks_shift_async.settings import OAuthTokens, Timeouts
from moveworks_shift_async.tokens import TokenManager
from moveworks_shift_async.wire.http import Effect, Request, Response
from moveworks_shift_async.wire.moveworks import parse_receipt
from moveworks_shift_async.wire.token import Token

from .fakes import (
    Answer,
    FakeAuthorizer,
    FakeClock,
    FakeTransport,
    answer,
    request_of,
    settle,
    until,
)

# Seconds. A hang is a failure; a machine that is busy with something else is not.
HANG = 120.0

REQUEST = request_of("POST", "/x", body=b"{}")
QUESTION = request_of("GET", "/y", effect=Effect.NONE)
OK = answer(200, {"data": {"status": "RECEIVED"}})


@define(eq=False)
class Parts:
    """A session with everything around it."""

    session: SessionManager
    transport: FakeTransport
    gate: ProcessGate
    authorizer: FakeAuthorizer

    async def send(self, call: Call | None = None, request: Request = REQUEST) -> int:
        """One call; the number of attempts."""
        return await self.session.call(lambda: request, read_attempts, call=call)


def read_attempts(response: Response, attempts: int) -> int:
    """The wire's reading of an answer, reduced to the number of attempts."""
    parse_receipt(response)
    return attempts


def build(clock: FakeClock, *answers: Answer, budget: int = 120, **policy: object) -> Parts:
    """A session whose vendor gives these answers."""
    transport, authorizer = FakeTransport(list(answers)), FakeAuthorizer()
    gate = ProcessGate(AdaptiveWindow.of(budget, 60.0, 32), clock)
    session = SessionManager(
        Exchange(transport, "https://example.test", clock),
        authorizer,
        gate,
        retry=RetryPolicy(**policy),  # type: ignore[arg-type]
        timeouts=Timeouts(close=HANG),
        clock=clock,
    )
    return Parts(session, transport, gate, authorizer)


async def run(clock: FakeClock, parts: Parts, seconds: float = 7200.0) -> int:
    """Send while the time passes."""
    task = asyncio.create_task(parts.send())
    await clock.advance(seconds)
    return await task


def hang() -> tuple[asyncio.Event, Answer]:
    """An answer that never comes, from a transport that knows that the request was sent."""
    sent = asyncio.Event()

    async def never(_: Request) -> Response:
        sent.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            raise cancelled from OutcomeUnknown("cancelled after it was sent")
        raise AssertionError

    return sent, never


async def test_a_call_carries_the_grant_and_is_answered(clock: FakeClock) -> None:
    """One request, with the credential, holding one slot for its window."""
    parts = build(clock, OK)
    assert await parts.send() == 1
    assert parts.transport.requests[0].headers["Authorization"] == "Bearer t1"
    assert (parts.gate.snapshot().used, parts.gate.snapshot().in_flight) == (1, 0)


async def test_a_429_pauses_everybody(clock: FakeClock) -> None:
    """Without Retry-After the pause starts small and doubles, and the call is then repeated."""
    parts = build(clock, answer(429), answer(429), OK)
    task = asyncio.create_task(parts.send())
    await settle()
    first = parts.gate.snapshot().paused_for
    assert 0 < first < 2
    await clock.advance(first - 0.1)
    assert len(parts.transport.requests) == 1
    await clock.advance(0.1)
    assert parts.gate.snapshot().paused_for == pytest.approx(2 * first)
    await clock.advance(2 * first + 0.1)
    assert await task == 3


@pytest.mark.parametrize(("header", "pause"), [("7", 7.0), ("0", 1.0)])
async def test_retry_after_is_obeyed_but_never_below_a_second(
    clock: FakeClock, header: str, pause: float
) -> None:
    """The server's own wait counts; a zero does not turn into a storm."""
    parts = build(clock, answer(429, retry_after=header), OK)
    task = asyncio.create_task(parts.send())
    await settle()
    assert parts.gate.snapshot().paused_for == pytest.approx(pause)
    await clock.advance(pause)
    assert await task == 2


@pytest.mark.parametrize("header", ["999999999", "9" * 40, "Fri, 01 Jan 2057 12:00:00 GMT"])
async def test_a_wait_of_years_is_an_hour(clock: FakeClock, header: str) -> None:
    """One broken header does not stop everybody for good."""
    today = "Thu, 01 Jan 2026 12:00:00 GMT"
    parts = build(clock, answer(429, retry_after=header, date=today), OK)
    task = asyncio.create_task(parts.send())
    await settle()
    assert parts.gate.snapshot().paused_for == pytest.approx(3600.0)
    await clock.advance(3601.0)
    assert await task == 2


async def test_a_refusal_repeats_nothing_of_the_request(clock: FakeClock) -> None:
    """What a server quotes of credential and body is taken out of the error, code and all."""

    async def repeat(request: Request) -> Response:
        key, body = request.headers["Authorization"], (request.body or b"").decode()
        return answer(400, {"code": f"NO {key}", "message": f"{key} may not send {body}"})

    parts = build(clock, repeat)
    parts.authorizer.number = 123456789
    request = request_of("POST", "/x", body=b'{"message":"a secret of 1 person"}')
    with pytest.raises(BadRequest) as raised:
        await parts.session.call(lambda: request, read_attempts)
    shown = f"{raised.value} {raised.value.code} {raised.value!r} {raised.value.__dict__}"
    assert "may not send" in shown
    for secret in ("t123456789", "23456789", "secret of", "1 person"):
        assert secret not in shown


async def test_a_dead_token_is_replaced_once(clock: FakeClock) -> None:
    """A 401 drops the token that was used, and the call is repeated with the next."""
    parts = build(clock, answer(401, {"code": "Unauthorized"}), OK)
    assert await run(clock, parts) == 2
    assert [r.headers["Authorization"] for r in parts.transport.requests] == [
        "Bearer t1",
        "Bearer t2",
    ]


async def test_a_401_that_survives_says_what_it_may_mean(clock: FakeClock) -> None:
    """After one new token the error names the region, the missing and the revoked credential."""
    parts = build(clock, answer(401, {"code": "Unauthorized", "message": "Token failed"}))
    with pytest.raises(NotAuthenticated, match=r"region.*revoked") as raised:
        await run(clock, parts)
    assert (raised.value.attempts, len(parts.transport.requests)) == (2, 2)


async def test_a_failed_connection_is_tried_again_and_frees_its_slot(clock: FakeClock) -> None:
    """Nothing was sent, so a repeat is safe and no slot stays taken."""
    parts = build(clock, ConnectionFailed("refused"), ConnectionFailed("refused"), OK)
    assert await run(clock, parts, 30.0) == 3
    assert parts.gate.snapshot().used == 1
    assert len(clock.slept) == 2


async def test_attempts_end_and_are_counted(clock: FakeClock) -> None:
    """The last error is raised with the number of requests made."""
    parts = build(clock, ConnectionFailed("refused"), attempts=3)
    with pytest.raises(ConnectionFailed) as raised:
        await run(clock, parts)
    assert raised.value.attempts == 3


@pytest.mark.parametrize("failure", [OutcomeUnknown("reset"), answer(503), answer(206)])
async def test_what_may_have_been_processed_is_not_sent_again(
    clock: FakeClock, failure: Answer
) -> None:
    """A reset, a 5xx and an undocumented success are unknown, and reported."""
    parts = build(clock, failure, OK)
    with pytest.raises(MoveworksError) as raised:
        await run(clock, parts)
    assert raised.value.outcome == "unknown"
    assert len(parts.transport.requests) == 1


async def test_the_caller_may_ask_for_a_resend(clock: FakeClock) -> None:
    """With `on_unknown="resend"` an unknown outcome is sent again."""
    parts = build(clock, answer(500), OutcomeUnknown("reset"), OK, on_unknown="resend")
    assert await run(clock, parts) == 3


@pytest.mark.parametrize(
    "last", [answer(400), ConnectionFailed("refused"), answer(401), answer(404)]
)
async def test_a_call_that_may_have_told_people_never_says_it_did_not(
    clock: FakeClock, last: Answer
) -> None:
    """After one unknown request the call ends as accepted or unknown, whatever came last."""
    parts = build(clock, OutcomeUnknown("reset"), last, on_unknown="resend", attempts=3)
    with pytest.raises(OutcomeUnknown, match="may have been processed") as raised:
        await run(clock, parts)
    assert raised.value.attempts == len(parts.transport.requests)


async def test_a_call_that_can_tell_nobody_is_repeated_after_a_5xx(clock: FakeClock) -> None:
    """The auth test tells nobody anything, so it may be sent again."""
    parts = build(clock, answer(502), OK)
    task = asyncio.create_task(parts.send(request=QUESTION))
    await clock.advance(60.0)
    assert await task == 2


async def test_a_call_that_can_tell_nobody_ends_with_what_it_met_last(clock: FakeClock) -> None:
    """Nobody may have been told by the first request, so the second one's refusal stands."""
    parts = build(clock, OutcomeUnknown("reset"), answer(404))
    task = asyncio.create_task(parts.send(request=QUESTION))
    await clock.advance(60.0)
    with pytest.raises(NotFound):
        await task


async def test_none_means_one_request(clock: FakeClock) -> None:
    """`RetryPolicy.none()` repeats nothing, not even a 429 or a 401."""
    for status, kind in [(429, RateLimited), (401, NotAuthenticated)]:
        parts = build(clock, answer(status))
        parts.session.retry = RetryPolicy.none()
        with pytest.raises(kind):
            await run(clock, parts)
        assert len(parts.transport.requests) == 1


async def test_a_wait_beyond_the_deadline_is_not_begun(clock: FakeClock) -> None:
    """The call fails before the wait, and says what the last request met."""
    parts = build(clock, ConnectionFailed("refused"), deadline=0.001, backoff=1000.0)
    with pytest.raises(DeadlineExceeded, match="refused") as early:
        await parts.send()
    assert (early.value.retry_after or 0.0) > 0.001
    parts = build(clock, answer(429), OK, deadline=1.0)
    with pytest.raises(DeadlineExceeded) as raised:
        await parts.send()
    assert raised.value.retry_after == parts.session.gate.snapshot().paused_for > 1.0
    assert len(parts.transport.requests) == 1


async def test_a_refused_token_request_reaches_the_caller(clock: FakeClock) -> None:
    """The token's error ends the call; no request went out and no slot stays taken."""
    parts = build(clock, OK)
    parts.authorizer.failure = TokenUnavailable("lost")
    with pytest.raises(TokenUnavailable) as raised:
        await parts.send()
    assert (raised.value.attempts, parts.gate.snapshot().used) == (0, 0)


async def test_a_defect_while_reading_the_answer_is_unknown_and_frees_the_gate(
    clock: FakeClock,
) -> None:
    """The request has left; the error says so, and where it comes from."""
    parts = build(clock, OK)
    with pytest.raises(OutcomeUnknown, match="ZeroDivisionError") as raised:
        await parts.session.call(lambda: REQUEST, lambda response, attempts: 1 // 0)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert parts.gate.snapshot().in_flight == 0


async def test_cancelling_in_flight_says_that_the_outcome_is_unknown(clock: FakeClock) -> None:
    """The `CancelledError` comes from an `OutcomeUnknown`; gate and session stay healthy."""
    sent, never = hang()
    parts = build(clock, never, OK)
    causes: list[BaseException | None] = []

    async def caller() -> None:
        try:
            await parts.send()
        except asyncio.CancelledError as cancelled:
            causes.append(cancelled.__cause__)
            raise

    task = asyncio.create_task(caller())
    await sent.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert isinstance(causes[0], OutcomeUnknown)
    assert parts.gate.snapshot().in_flight == 0
    assert await parts.send() == 1


async def test_cancelling_between_two_requests_keeps_what_the_first_may_have_done(
    clock: FakeClock,
) -> None:
    """Cancelled while it waits to resend, the call is unknown, not unsent."""
    parts = build(clock, OutcomeUnknown("reset"), OK, on_unknown="resend", backoff=1000.0)
    causes: list[BaseException | None] = []

    async def caller() -> None:
        try:
            await parts.send()
        except asyncio.CancelledError as cancelled:
            causes.append(cancelled.__cause__)

    task = asyncio.create_task(caller())
    await settle()
    task.cancel()
    await task
    assert isinstance(causes[0], OutcomeUnknown)


async def test_cancelling_a_wait_says_nothing_was_sent(clock: FakeClock) -> None:
    """Cancelled at the gate, the call leaves no trace."""
    parts = build(clock, OK, budget=1)
    await parts.send()
    task = asyncio.create_task(parts.send())
    await settle()
    task.cancel()
    await asyncio.wait({task})
    assert parts.gate.snapshot().waiting == 0
    assert len(parts.transport.requests) == 1


async def test_closing_waits_for_calls_in_flight(clock: FakeClock) -> None:
    """A call that ends in time ends as if nothing had happened; new ones are refused."""
    go = asyncio.Event()

    async def slow(_: Request) -> Response:
        await go.wait()
        return OK

    parts = build(clock, slow)
    task = asyncio.create_task(parts.send())
    await settle()
    closing = asyncio.create_task(parts.session.close())
    await settle()
    with pytest.raises(ClientClosed, match="closed"):
        await parts.send()
    go.set()
    assert await task == 1
    await closing
    assert parts.transport.closed
    assert parts.authorizer.closed
    await parts.session.close()


async def test_closing_cuts_what_does_not_end_and_says_what_is_known(clock: FakeClock) -> None:
    """Past the bound a call in flight is unknown and a waiting one was not sent."""
    sent, never = hang()
    parts = build(clock, never, budget=1)
    parts.session.timeouts = Timeouts(close=0.05)
    flying = asyncio.create_task(parts.send())
    await sent.wait()
    waiting = asyncio.create_task(parts.send())
    await settle()
    await parts.session.close()
    with pytest.raises(OutcomeUnknown, match="closed before the answer"):
        await flying
    with pytest.raises(ClientClosed, match="not sent"):
        await waiting
    assert parts.gate.snapshot().in_flight == 0


async def test_closing_under_load_ends_at_once_what_waits_for_the_limit(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Those in flight are waited for; of the others the log has one line, without a traceback."""
    go, sent = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        sent.set()
        await go.wait()
        return OK

    parts = build(clock, slow, budget=1)
    flying = asyncio.create_task(parts.send())
    await sent.wait()
    waiting = [asyncio.create_task(parts.send()) for _ in range(50)]
    await settle()
    closing = asyncio.create_task(parts.session.close())
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in ended} == {ClientClosed}
    assert not closing.done()
    go.set()
    assert await flying == 1
    await closing
    (record,) = caplog.records
    assert record.getMessage() == (
        "closed while 50 calls waited for the rate limit; nothing more of them was sent"
    )
    assert record.exc_info is None
    assert len(parts.transport.requests) == 1


async def test_a_429_while_the_client_is_closed_is_not_waited_out(clock: FakeClock) -> None:
    """The next window is no time for a process that ends."""
    go, sent = asyncio.Event(), asyncio.Event()

    async def refused(_: Request) -> Response:
        sent.set()
        await go.wait()
        return answer(429)

    parts = build(clock, refused)
    flying = asyncio.create_task(parts.send())
    await sent.wait()
    closing = asyncio.create_task(parts.session.close())
    await settle()
    go.set()
    with pytest.raises(ClientClosed, match="after a 429; not sent again") as raised:
        await flying
    assert raised.value.attempts == 1
    await closing


async def test_closing_again_while_a_call_is_being_cut_is_harmless(clock: FakeClock) -> None:
    """A call may take its time to end, as with a middleware that tidies up."""
    sent, tidied = asyncio.Event(), asyncio.Event()

    async def tidy(_: Request) -> Response:
        sent.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await tidied.wait()
            raise
        raise AssertionError

    parts = build(clock, tidy)
    parts.session.timeouts = Timeouts(close=0.0)
    call = asyncio.create_task(parts.send())
    await sent.wait()
    closing = asyncio.create_task(parts.session.close())
    await until(call.cancelling)
    again = asyncio.create_task(parts.session.close())
    await settle()
    tidied.set()
    with pytest.raises(MoveworksError):
        await call
    await closing
    await again


@define(eq=False)
class Rotating:
    """A vendor that ends the old refresh token at each refresh, and whoever stores the pairs."""

    answer: asyncio.Event = field(factory=asyncio.Event)
    store: asyncio.Event = field(factory=asyncio.Event)
    refreshes: list[str] = field(factory=list)
    stored: list[str] = field(factory=list)

    async def exchange(self, refresh_token: str) -> Token:
        """One refresh."""
        self.refreshes.append(refresh_token)
        await self.answer.wait()
        return Token(access_token="a2", refresh_token="r2", expires_in=60.0)

    async def on_refresh(self, _: str, refresh_token: str, __: float | None) -> None:
        """Take the pair, as slowly as a database."""
        await self.store.wait()
        self.stored.append(refresh_token)

    def session(self, clock: FakeClock, *, close: float) -> SessionManager:
        """A session whose token is near its end."""
        credentials = OAuthTokens(
            client_id="id", client_secret="secret", refresh_token="r1", on_refresh=self.on_refresh
        )
        rotation = Rotation(credentials, self.exchange)
        authorizer = TokenManager(rotation.fetch, rotates=True, clock=clock)
        authorizer.start_with(Token(access_token="a1", expires_in=60.0))
        clock.time += 50.0
        gate = ProcessGate(AdaptiveWindow.of(120, 60.0, 32), clock)
        return SessionManager(
            Exchange(FakeTransport([OK]), "https://example.test", clock),
            authorizer,
            gate,
            timeouts=Timeouts(close=close),
            clock=clock,
        )


async def test_closing_waits_for_a_pair_and_its_storing(clock: FakeClock) -> None:
    """The old refresh token is dead once the refresh is out: the new pair must reach its store."""
    vendor = Rotating()
    session = vendor.session(clock, close=600.0)
    await session.call(lambda: REQUEST, read_attempts)
    await settle()
    assert vendor.refreshes == ["r1"]
    closing = asyncio.create_task(session.close())
    await settle()
    vendor.answer.set()
    await settle()
    assert not closing.done()
    vendor.store.set()
    await closing
    assert (vendor.stored, vendor.refreshes) == (["r2"], ["r1"])


async def test_closing_does_not_wait_for_a_pair_for_ever(clock: FakeClock) -> None:
    """A refresh that hangs is cut when the time for closing is over."""
    vendor = Rotating()
    session = vendor.session(clock, close=0.01)
    await session.call(lambda: REQUEST, read_attempts)
    await settle()
    await session.close()
    assert vendor.stored == []


async def test_a_callers_own_timeout_stays_a_timeout(clock: FakeClock) -> None:
    """`asyncio.timeout` around a call raises TimeoutError, with the outcome in its chain."""
    _, never = hang()
    parts = build(clock, never)
    with pytest.raises(TimeoutError) as raised:
        async with asyncio.timeout(0.01):
            await parts.send()
    cancelled = raised.value.__context__  # 3.11.2 names no cause
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(cancelled.__cause__, OutcomeUnknown)


def test_a_second_event_loop_gets_a_clear_error(clock: FakeClock) -> None:
    """A session belongs to the loop that used it first, for calls and for closing."""
    parts = build(clock, OK)
    asyncio.run(parts.send())
    with pytest.raises(ClientClosed, match=r"asyncio\.run"):
        asyncio.run(parts.send())
    with pytest.raises(ClientClosed, match=r"asyncio\.run"):
        asyncio.run(parts.session.close())


async def test_settling_keeps_an_error_that_says_enough() -> None:
    """Only errors that would deny an earlier request are replaced."""
    call = Call(attempts=2)
    refused = BadRequest("no", status=400)
    assert call.settle(refused) is refused
    call.returns(ServerFailed("boom", status=500))
    assert isinstance(call.settle(copy.copy(refused)), OutcomeUnknown)
    assert refused.attempts == 2
