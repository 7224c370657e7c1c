"""What each fault really does to a connection, seen by a raw socket, and what the record says."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import frozen

from moveworks_shift_async.sandbox import FAULTS, FaultOptions, Sandbox, Variants
from moveworks_shift_async.sandbox.moveworks import MoveworksVendor

from .fakes import FakeClock, until

TEAM = "8a7644a3-7393-417c-8180-0328749562a0"


@frozen
class Seen:
    """What came over a connection until it ended."""

    data: bytes
    #: True: a TCP reset. False: an ordinary end.
    reset: bool

    @property
    def status(self) -> int:
        """The status; 0 where no head came."""
        return int(self.data.split(b" ", 2)[1]) if self.data else 0

    @property
    def body(self) -> bytes:
        """What came of the body."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case."""
        lines = self.data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}


def request(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """A request as bytes, asking for the connection to end after the answer."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: sandbox",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def event_message(sandbox: Sandbox, *recipients: str) -> bytes:
    """A good message to the known event."""
    payload = {"message": "Hello", "recipients": recipients or ("a@example.com",)}
    path = f"/rest/v1/events/{sandbox.event_id}/messages/send"
    return request(path, json.dumps(payload).encode(), f"Authorization: Bearer {sandbox.api_key}")


def team_message(sandbox: Sandbox) -> bytes:
    """A good message to a SHIFT team."""
    payload = {"text": "Hello", "addressed_teams": [TEAM]}
    access, _ = sandbox.issue_shift_tokens()
    return request("/v1/messages", json.dumps(payload).encode(), f"Authorization: Bearer {access}")


async def talk(sandbox: Sandbox, data: bytes, *, wait: float = 60.0) -> Seen:
    """Send bytes on a new connection and read until its end.

    Raises:
        TimeoutError: the end did not come.
    """
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    got = b""
    try:
        async with asyncio.timeout(wait):
            writer.write(data)
            while chunk := await reader.read(65536):
                got += chunk
        return Seen(got, reset=False)
    except ConnectionResetError:
        return Seen(got, reset=True)
    finally:
        writer.transport.abort()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox whose slow things are quick."""
    options = FaultOptions(slow=0.1, silence=0.2, storm=2, elsewhere="http://other.invalid")
    async with Sandbox(fault_options=options) as opened:
        yield opened


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if "-5" in kind])
async def test_server_errors(sandbox: Sandbox, kind: str) -> None:
    """A 5xx has its status and its kind of body; only the processed ones told somebody."""
    sandbox.faults.script("send", kind)
    seen = await talk(sandbox, event_message(sandbox))
    status, form = int(kind.split("-")[-2]), kind.rsplit("-", maxsplit=1)[-1]
    assert (seen.status, seen.reset) == (status, False)
    kinds = {"json": b'{"code"', "html": b"<html>", "empty": b""}
    assert seen.body.startswith(kinds[form])
    assert (seen.body == b"") == (form == "empty")
    check(sandbox, kind, status=status, processed=kind.startswith("processed"))


def check(sandbox: Sandbox, kind: str, *, status: int | None, processed: bool) -> None:
    """The one record says what the fault says."""
    (record,) = sandbox.received().requests
    assert (record.fault, record.status, record.processed) == (kind, status, processed)
    assert sandbox.received().people == ({"a@example.com": 1} if processed else {})
    assert sandbox.stats().faults == {kind: 1}
    assert sandbox.stats().accepted == processed
    assert FAULTS[kind].processed == processed


@pytest.mark.parametrize(
    ("kind", "processed"),
    [
        ("reset-before-body", False),
        ("reset-mid-body", False),
        ("reset-after-body", False),
        ("processed-then-reset", True),
    ],
)
async def test_resets(sandbox: Sandbox, kind: str, processed: bool) -> None:
    """A reset is a TCP reset without a byte of an answer."""
    sandbox.faults.script("send", kind)
    seen = await talk(sandbox, event_message(sandbox))
    assert seen == Seen(b"", reset=True)
    check(sandbox, kind, status=None, processed=processed)


async def check_reset_after(sandbox: Sandbox, kind: str, parts: list[bytes]) -> None:
    """Send a message in parts: the reset comes after the last of them, and not before."""
    sandbox.faults.script("send", kind)
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    try:
        for part in parts[:-1]:
            writer.write(part)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):  # nothing tells that nothing will come
                    await reader.read()
        writer.write(parts[-1])
        with pytest.raises(ConnectionResetError):
            await reader.read()
    finally:
        writer.transport.abort()


async def test_when_the_resets_come(sandbox: Sandbox) -> None:
    """Before: with the head alone. In the middle: with half the body. After: with all of it."""
    head, _, body = event_message(sandbox).partition(b"\r\n\r\n")
    half = len(body) // 2
    parts = [head + b"\r\n\r\n", body[:half], body[half:]]
    await check_reset_after(sandbox, "reset-before-body", parts[:1])
    await check_reset_after(sandbox, "reset-mid-body", parts[:2])
    await check_reset_after(sandbox, "reset-after-body", parts)
    assert sandbox.stats().accepted == 0


@pytest.mark.parametrize(
    ("kind", "processed"), [("silence", False), ("processed-then-silence", True)]
)
async def test_silence(sandbox: Sandbox, kind: str, processed: bool) -> None:
    """Nothing comes until the bound, then a reset."""
    sandbox.faults.script("send", kind)
    start = asyncio.get_running_loop().time()
    seen = await talk(sandbox, event_message(sandbox))
    assert seen == Seen(b"", reset=True)
    assert asyncio.get_running_loop().time() - start >= 0.19
    check(sandbox, kind, status=None, processed=processed)


async def test_silence_ends_with_the_client() -> None:
    """A silent request is out of hand as soon as its client goes."""
    async with Sandbox() as sandbox:
        sandbox.faults.script("send", "processed-then-silence")
        before = asyncio.all_tasks()
        _, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
        writer.write(event_message(sandbox))
        await until(lambda: sandbox.stats().accepted)
        writer.transport.abort()
        await until(lambda: asyncio.all_tasks() == before)
        check(sandbox, "processed-then-silence", status=None, processed=True)


async def test_a_refusal_whose_body_is_late_frees_no_slot(clock: FakeClock) -> None:
    """Refused in a window that is over, it leaves the count of the new one alone."""
    async with Sandbox(
        limit=1, limiter="fixed-window", retry_after="seconds", clock=clock
    ) as sandbox:
        message = event_message(sandbox)
        assert (await talk(sandbox, message)).status == 200
        reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
        writer.write(message[:-1])
        await until(lambda: sandbox.stats().requests == 2)
        await clock.advance(30.0)
        assert (await talk(sandbox, message)).status == 200
        writer.write(message[-1:])
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"Retry-After: 50\r\n" in answer
        writer.close()
        assert (await talk(sandbox, message)).status == 429


@pytest.mark.parametrize("legacy_status", [200, 204])
async def test_half_an_answer(legacy_status: int) -> None:
    """Half an answer announces more bytes than it sends and ends without a reset."""
    async with Sandbox(variants=Variants(legacy_status=legacy_status)) as sandbox:
        sandbox.faults.script("send", "half-answer", "half-answer")
        event = event_message(sandbox)
        path = f"/rest/v1/events/{sandbox.event_id}/messages/send"
        for data in (event, event.replace(path.encode(), b"/rest/v1/messages/send")):
            seen = await talk(sandbox, data)
            assert (seen.status, seen.reset) == (200, False)
            assert 0 < len(seen.body) < int(seen.headers["content-length"])
        assert sandbox.received().people == {"a@example.com": 2}
        assert [r.status for r in sandbox.received().requests] == [200, 200]


async def test_a_slow_answer(sandbox: Sandbox) -> None:
    """A slow answer is the true one, later."""
    sandbox.faults.script("send", "slow-answer")
    start = asyncio.get_running_loop().time()
    seen = await talk(sandbox, event_message(sandbox))
    assert asyncio.get_running_loop().time() - start >= 0.1
    assert json.loads(seen.body) == {"data": {"status": "RECEIVED"}}
    check(sandbox, "slow-answer", status=200, processed=True)


async def test_malformed_json(sandbox: Sandbox) -> None:
    """A malformed answer has status 200 and all its bytes, and they are not JSON."""
    sandbox.faults.script("send", "malformed-json")
    seen = await talk(sandbox, event_message(sandbox))
    assert seen.status == 200
    assert len(seen.body) == int(seen.headers["content-length"])
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(seen.body)
    check(sandbox, "malformed-json", status=200, processed=True)


@pytest.mark.parametrize("status", [302, 307])
async def test_redirects(sandbox: Sandbox, status: int) -> None:
    """A redirect points at another host and carries no query along."""
    sandbox.faults.script("send", f"redirect-{status}")
    seen = await talk(sandbox, event_message(sandbox))
    assert seen.status == status
    assert seen.headers["location"] == (
        f"http://other.invalid/rest/v1/events/{sandbox.event_id}/messages/send"
    )
    check(sandbox, f"redirect-{status}", status=status, processed=False)


@pytest.mark.parametrize(("kind", "status"), [("throttle", 429), ("forbidden", 403)])
async def test_refusals(sandbox: Sandbox, kind: str, status: int) -> None:
    """A refusal by a fault has its status, and told nobody."""
    sandbox.faults.script("send", kind)
    assert (await talk(sandbox, event_message(sandbox))).status == status
    check(sandbox, kind, status=status, processed=False)
    assert sandbox.received().requests[0].admitted == (kind != "throttle")


async def test_a_storm(sandbox: Sandbox) -> None:
    """A storm refuses its number of requests, whatever the limiter says."""
    sandbox.faults.script("send", "throttle-storm")
    statuses = [(await talk(sandbox, event_message(sandbox))).status for _ in range(3)]
    assert statuses == [429, 429, 200]
    stats = sandbox.stats()
    assert (stats.throttled, stats.accepted) == (2, 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_an_expired_token_in_the_middle(status: int) -> None:
    """The fault ends every token; this request and the next ones with it are refused."""
    async with Sandbox(variants=Variants(expired_status=status)) as sandbox:
        token = sandbox.issue_token().encode()
        data = event_message(sandbox).replace(sandbox.api_key.encode(), token)
        assert (await talk(sandbox, data)).status == 200
        sandbox.faults.script("send", "expired-token")
        assert (await talk(sandbox, data)).status == status
        assert (await talk(sandbox, data)).status == status
        assert (await talk(sandbox, event_message(sandbox))).status == 200
        assert [r.processed for r in sandbox.received().requests] == [True, False, False, True]


async def test_an_expired_shift_token(sandbox: Sandbox) -> None:
    """SHIFT's tokens end by the same fault, in its own words."""
    sandbox.faults.script("shift", "expired-token")
    seen = await talk(sandbox, team_message(sandbox))
    assert json.loads(seen.body)["errors"][0]["code"] == 4012


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("server-503-json", 503, 5030),
        ("processed-then-500-json", 500, 5000),
        ("throttle", 429, 4290),
        ("forbidden", 403, 4030),
    ],
)
async def test_shift_faults(sandbox: Sandbox, kind: str, status: int, code: int) -> None:
    """Faults of SHIFT's routes have SHIFT's error body, and a status whatever the variant."""
    sandbox.faults.script("shift", kind)
    seen = await talk(sandbox, team_message(sandbox))
    assert (seen.status, json.loads(seen.body)["errors"][0]["code"]) == (status, code)
    told = {f"team:{TEAM}": 1} if kind.startswith("processed") else {}
    assert sandbox.received().shift == told


@pytest.mark.parametrize(
    ("kind", "dead"), [("processed-then-reset", True), ("reset-after-body", False)]
)
async def test_a_lost_refresh(sandbox: Sandbox, kind: str, dead: bool) -> None:
    """A refresh that was processed burns the old token though its answer is lost."""
    _, refresh = sandbox.issue_shift_tokens()
    form = (
        f"grant_type=refresh_token&refresh_token={refresh}"
        f"&client_id={sandbox.shift_client_id}&client_secret={sandbox.shift_client_secret}"
    )
    data = request("/v1/oauth2/token", form.encode())
    sandbox.faults.script("shift-token", kind)
    assert (await talk(sandbox, data)).reset
    assert (await talk(sandbox, data)).status == (400 if dead else 200)


@pytest.mark.parametrize("kind", ["processed-then-reset", "processed-then-500-json", "half-answer"])
async def test_a_bad_request_is_not_processed_by_a_fault(sandbox: Sandbox, kind: str) -> None:
    """A fault that processes does so with good requests only."""
    sandbox.faults.script("send", kind)
    await talk(sandbox, event_message(sandbox, "nobody"))
    (record,) = sandbox.received().requests
    assert (record.processed, record.recipients, record.fault) == (False, (), kind)


async def test_malformed_json_needs_a_success(sandbox: Sandbox) -> None:
    """A refused request gets its true refusal, not a malformed success."""
    sandbox.faults.script("send", "malformed-json")
    assert (await talk(sandbox, event_message(sandbox, "nobody"))).status == 400


@pytest.mark.parametrize("family", ["auth", "token"])
async def test_faults_of_other_families(sandbox: Sandbox, family: str) -> None:
    """Probes and token requests meet the faults of their own family."""
    sandbox.faults.script(family, "reset-before-body", "reset-mid-body", "server-502-html")
    get = request(
        "/rest/v1/auth/test", b"", f"Authorization: Bearer {sandbox.api_key}", method="GET"
    )
    data = get if family == "auth" else request("/oauth/v1/token", b"grant_type=x")
    assert (await talk(sandbox, data)).reset
    assert (await talk(sandbox, data)).reset
    assert (await talk(sandbox, data)).status == 502


async def test_rates_over_the_wire() -> None:
    """With a rate of 1 every request meets the fault."""
    async with Sandbox(seed=3) as sandbox:
        sandbox.faults.rate("send", "server-500-empty", 1.0)
        assert [(await talk(sandbox, event_message(sandbox))).status for _ in range(3)] == [500] * 3


async def test_what_the_limit_refuses_meets_no_fault() -> None:
    """A request beyond the limit leaves the script for the next one that is let in."""
    async with Sandbox(limit=1, window=60.0) as sandbox:
        assert (await talk(sandbox, event_message(sandbox))).status == 200
        sandbox.faults.script("send", "silence")
        assert (await talk(sandbox, event_message(sandbox))).status == 429
        assert sandbox.faults.pending()["script"] == {"send": ["silence"]}
        assert sandbox.stats().faults == {}


def break_off(writer: asyncio.StreamWriter) -> None:
    """End a connection from the client's side with a reset."""
    sock: Any = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("by_reset", [False, True])
async def test_a_client_that_breaks_off_inside_its_body(
    sandbox: Sandbox, by_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a request is recorded as not processed, and nothing is logged about it."""
    caplog.set_level(logging.INFO)
    before = asyncio.all_tasks()
    _, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    writer.write(event_message(sandbox)[:-5])
    await until(lambda: sandbox.stats().requests)
    if by_reset:
        break_off(writer)
    else:
        writer.close()
        await writer.wait_closed()
    await until(lambda: asyncio.all_tasks() == before)
    (record,) = sandbox.received().requests
    assert (record.processed, record.status) == (False, None)
    assert caplog.records == []


async def test_a_broken_chunked_body(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """A body that is not valid HTTP is not processed, and nothing of it is logged."""
    caplog.set_level(logging.INFO)
    data = event_message(sandbox).partition(b"\r\n\r\n")[0] + b"\r\n\r\nzz\r\nsecret\r\n"
    lines = [line for line in data.split(b"\r\n") if not line.startswith(b"Content-Length")]
    lines.insert(1, b"Transfer-Encoding: chunked")
    seen = await talk(sandbox, b"\r\n".join(lines))
    assert seen.status in (0, 400)
    assert sandbox.stats().accepted == 0
    assert caplog.records == []


async def test_a_body_in_a_broken_encoding(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that does not decode is a 400, and nothing of it is logged."""
    caplog.set_level(logging.INFO)
    body = b"x\x9c" + b"\xff" * 4096
    data = request("/rest/v1/messages/send", body, "Content-Encoding: deflate")
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    writer.write(data[: -len(body)])
    await asyncio.sleep(0.05)
    writer.write(body)
    async with asyncio.timeout(60):
        assert b" 400 " in await reader.readline()
    writer.transport.abort()
    (record,) = sandbox.received().requests
    assert (record.processed, record.status) == (False, 400)
    assert caplog.records == []


async def test_a_fault_of_the_sandbox_itself(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the sandbox's own code is a 500, is recorded so, and is logged."""

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MoveworksVendor, "handle", fail)
    assert (await talk(sandbox, event_message(sandbox))).status == 500
    (record,) = sandbox.received().requests
    assert (record.processed, record.status) == (False, 500)
    assert [r.name for r in caplog.records] == ["moveworks_shift_async.sandbox.listener"]


async def test_nothing_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Served, refused and broken requests leave no line in any log."""
    caplog.set_level(logging.INFO)
    sandbox.faults.script("send", "none", "server-500-json", "reset-mid-body", "half-answer")
    for _ in range(4):
        await talk(sandbox, event_message(sandbox))
    assert caplog.records == []
