"""What our own logging says of attempts, and what those who watch cannot do."""

from __future__ import annotations

import asyncio
import logging

import pytest

from moveworks_shift_async.errors import ConnectionFailed, NotSent
from moveworks_shift_async.models import Attempt
from moveworks_shift_async.telemetry.log import AttemptLog
from moveworks_shift_async.wire.http import Request, Response

from .fakes import Answer, FakeClock, answer
from .test_session import OK, Parts, build

LOGGER = "moveworks_shift_async"
THROTTLED, LOST = answer(429, retry_after="0"), answer(500)


def logged(clock: FakeClock, *answers: Answer, **policy: float) -> Parts:
    """A session that logs its attempts."""
    parts = build(clock, *answers, **policy)  # type: ignore[arg-type]
    parts.session.exchange.watchers.add(AttemptLog(parts.gate.snapshot, 60.0, clock))
    return parts


async def send(clock: FakeClock, parts: Parts, times: int = 1) -> None:
    """One call after the other, whatever becomes of it."""
    for _ in range(times):
        task = asyncio.create_task(parts.send())
        await clock.advance(0.0)
        while not task.done():
            await clock.advance(1.0)
        task.exception()


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """What was logged at this level."""
    return [one.getMessage() for one in caplog.records if one.levelno == level]


async def test_each_attempt_is_a_line_at_debug(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With its fields for structured logs; at a higher level there is none."""
    parts = logged(clock, ConnectionFailed("refused"), answer(202, X_Request_Id="r1"), backoff=0)
    caplog.set_level(logging.INFO, LOGGER)
    await send(clock, parts)
    assert caplog.records == []
    parts.transport.answers = [ConnectionFailed("refused"), answer(202, X_Request_Id="r1")]
    caplog.set_level(logging.DEBUG, LOGGER)
    await send(clock, parts)
    assert lines(caplog, logging.DEBUG) == [
        "test, attempt 1: no answer, not sent (ConnectionFailed), waited 0.000 s, took 0.000 s,"
        " again in 0.0 s",
        "test, attempt 2: HTTP 202, accepted, waited 0.000 s, took 0.000 s, request id r1",
    ]
    assert {one.name for one in caplog.records} == {LOGGER}
    assert (
        vars(caplog.records[1]).items()
        >= {
            "moveworks_endpoint": "test",
            "moveworks_number": 2,
            "moveworks_status": 202,
            "moveworks_outcome": "accepted",
            "moveworks_request_id": "r1",
        }.items()
    )


async def test_an_episode_of_429s_is_one_warning(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What is accepted between them does not end it; a window without one does."""
    caplog.set_level(logging.INFO, LOGGER)
    parts = logged(clock, *[THROTTLED, OK] * 5, OK)
    await send(clock, parts, 5)
    (warning,) = lines(caplog, logging.WARNING)
    assert warning.startswith("test: HTTP 429, more requests than the server allows: ")
    assert "paused for" in warning
    await clock.advance(61.0)
    await send(clock, parts, 2)
    (over,) = lines(caplog, logging.INFO)
    assert over.startswith("the HTTP 429s are over: 5 attempts in ")
    parts.transport.answers = [THROTTLED, OK]
    await send(clock, parts)
    assert len(lines(caplog, logging.WARNING)) == 2


async def test_an_outage_is_one_warning(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """From the third request in a row without a usable answer, until there is one."""
    caplog.set_level(logging.INFO, LOGGER)
    parts = logged(clock, LOST, LOST, OK, *[LOST] * 7, answer(400), OK, attempts=1)
    await send(clock, parts, 3)
    assert caplog.records == []
    await send(clock, parts, 7)
    assert lines(caplog, logging.WARNING) == [
        "test: 3 requests in a row without a usable answer, the last one: HTTP 500, unknown"
        " (ServerFailed)"
    ]
    await send(clock, parts, 2)
    assert lines(caplog, logging.INFO) == []
    await clock.advance(60.0)
    parts.transport.answers = [OK]
    await send(clock, parts)
    (over,) = lines(caplog, logging.INFO)
    assert over.startswith("the server answers again, after 7 attempts in ")


async def test_what_comes_and_goes_is_one_episode(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that answers one request in four; one that refuses the first after each pause."""
    caplog.set_level(logging.INFO, LOGGER)
    parts = logged(clock, *[LOST, LOST, LOST, OK] * 10, attempts=1)
    await send(clock, parts, 40)
    assert len(caplog.records) == 1
    caplog.clear()
    parts = logged(clock, *[THROTTLED, OK] * 20)
    await send(clock, parts, 20)
    assert len(caplog.records) == 1
    await clock.advance(60.0)
    parts.transport.answers = [OK]
    await send(clock, parts)
    (over,) = lines(caplog, logging.INFO)
    assert over.startswith("the HTTP 429s are over: 20 attempts in ")


async def test_who_raises_is_logged_once(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes on, and so does whoever else watches."""
    heard: list[int] = []
    parts = build(clock, OK)

    def break_off(attempt: Attempt, _: Request) -> None:
        raise asyncio.CancelledError if len(heard) > 1 else ValueError("boom")

    parts.session.exchange.watchers.add(break_off)
    parts.session.exchange.watchers.add(lambda attempt, _: heard.append(attempt.number))
    for _ in range(3):
        assert await parts.send() == 1
    assert heard == [1, 1, 1]
    assert caplog.text.count("who watches attempts has raised") == 1
    assert "boom" in caplog.text


async def test_who_ends_the_program_leaves_no_call_open(clock: FakeClock) -> None:
    """What is no `Exception` is raised to the caller, and the client can be closed after it."""
    parts = build(clock, OK)

    def leave(attempt: Attempt, _: Request) -> None:
        raise SystemExit(3)

    parts.session.exchange.watchers.add(leave)
    with pytest.raises(SystemExit):
        await parts.send()
    await parts.session.close()
    assert parts.gate.snapshot().in_flight == 0


async def test_what_the_program_itself_cuts_is_no_outage(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that is left early, or a client that is closed, says nothing about the server."""
    caplog.set_level(logging.INFO, LOGGER)
    out = asyncio.Event()

    async def never(_: Request) -> Response:
        out.set()
        await asyncio.Event().wait()
        raise AssertionError

    seen: list[Attempt] = []
    parts = logged(clock, *[never] * 5)
    parts.session.exchange.watchers.add(lambda attempt, _: seen.append(attempt))
    for _ in range(5):
        out.clear()
        task = asyncio.create_task(parts.send())
        await clock.advance(0.0)
        await out.wait()
        task.cancel()
        await asyncio.wait({task})
    assert caplog.records == []
    assert {(one.cancelled, one.error) for one in seen} == {(True, "OutcomeUnknown")}


async def test_what_was_cancelled_before_it_left_is_no_outage(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It says nothing about the server."""
    caplog.set_level(logging.INFO, LOGGER)

    async def never(_: Request) -> Response:
        raise NotSent("cancelled")

    await send(clock, logged(clock, never), 5)
    assert caplog.records == []
