"""Did it go out? Faults made on real sockets, and what the transport says of each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from attrs import evolve

from moveworks_shift_async.errors import (
    ClientClosed,
    Concerns,
    ConnectionFailed,
    MoveworksError,
    NotSent,
    OutcomeUnknown,
)
from moveworks_shift_async.sandbox import Sandbox
from moveworks_shift_async.settings import Timeouts
from moveworks_shift_async.transport.aiohttp_transport import AiohttpTransport
from moveworks_shift_async.transport.answers import LONGEST_ANSWER
from moveworks_shift_async.wire.http import Effect, Request, Response
from moveworks_shift_async.wire.status import request_id

from .commands import HANG, spawn, until
from .fakes import request_of
from .servers import Handler, accepting, read_request, reset, serving, transport_over

SECRET = "s3cr3t-in-the-query"
POST = request_of(
    "POST",
    "/v1/messages",
    query={"client_secret": SECRET},
    body=b'{"text":"private"}' + b" " * 100_000,
)
GET = request_of(
    "GET",
    "/rest/v1/auth/test",
    query={"client_secret": SECRET},
    effect=Effect.NONE,
)
#: What has a body to ask whether it has left, and what has none.
BOTH = pytest.mark.parametrize("request_", [POST, GET], ids=["post", "get"])
#: Where what is tested is that the wait ends. All else may take as long as a busy machine needs.
SHORT = Timeouts(connect=1.0, total=1.0)
LONG = Timeouts()


async def failure_of(
    url: str,
    request: Request = POST,
    timeouts: Timeouts = LONG,
    http: aiohttp.ClientSession | None = None,
) -> MoveworksError:
    """The error of one exchange, which must not leak what the request held."""
    async with transport_over(timeouts, http) as transport:
        with pytest.raises(MoveworksError) as raised:
            await transport.exchange(request.ready(url))
    printed = "".join(traceback.format_exception(raised.value))
    assert SECRET not in printed
    assert "private" not in printed
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


async def read_body(reader: asyncio.StreamReader) -> None:
    """The whole body of `POST`."""
    await reader.readexactly(len(POST.body or b""))


async def test_an_answer_comes_back_whole() -> None:
    """Status, headers and body of the answer; method, path and query of the request."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Request-Id: 7\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with serving(handler) as (url, heads), transport_over(LONG) as transport:
        response = await transport.exchange(POST.ready(url))
    assert (response.status, response.body, request_id(response)) == (200, b"{}", "7")
    assert response.received is not None
    assert heads[0].startswith(f"POST /v1/messages?client_secret={SECRET} HTTP/1.1".encode())


@BOTH
async def test_a_refused_connection_sent_nothing(request_: Request) -> None:
    """Nobody listens: never sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await failure_of(f"http://127.0.0.1:{free.getsockname()[1]}", request_)
    assert isinstance(error, ConnectionFailed)


@BOTH
async def test_an_unknown_host_sent_nothing(request_: Request) -> None:
    """The name does not resolve: never sent."""
    error = await failure_of("https://nowhere.invalid", request_)
    assert isinstance(error, ConnectionFailed)
    assert "resolve" in str(error)


@BOTH
async def test_a_connect_timeout_sent_nothing(request_: Request) -> None:
    """A listener whose queue is full never completes the connection: never sent."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = busy.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        error = await failure_of(f"http://127.0.0.1:{address[1]}", request_, SHORT)
        for filler in fillers:
            filler.close()
    assert isinstance(error, ConnectionFailed)
    assert "timeout" in str(error)


@BOTH
async def test_a_failed_tls_handshake_sent_nothing(request_: Request) -> None:
    """A server that speaks no TLS: never sent."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(handler) as (url, _):
        error = await failure_of(url.replace("http://", "https://"), request_, SHORT)
    assert isinstance(error, ConnectionFailed)


@BOTH
async def test_a_refusing_proxy_sent_nothing(request_: Request) -> None:
    """A proxy that refuses the tunnel has not seen the request."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with serving(handler) as (url, heads):
        transport = AiohttpTransport(LONG, proxy=url)
        with pytest.raises(ConnectionFailed, match="proxy answered HTTP 407") as raised:
            await transport.exchange(request_.ready("https://example.test"))
        await transport.close()
    assert heads[0].startswith(b"CONNECT example.test:443")
    assert raised.value.concerns is Concerns.EVERYBODY  # it refuses the next one as well


async def on_head_reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset before the body was read."""
    await reset(writer)


async def mid_body_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset while the body comes."""
    await reader.read(100)
    await reset(writer)


async def after_body_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset when the body is there."""
    await read_body(reader)
    await reset(writer)


async def after_body_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An orderly end instead of an answer."""
    await read_body(reader)


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """No answer until the client goes."""
    await reader.read()


async def half_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Fewer bytes than promised."""
    await read_body(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()


async def half_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The connection ends inside the answer's head."""
    await read_body(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


async def not_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer in another protocol."""
    await read_body(reader)
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()


async def broken_gzip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body that cannot be decoded."""
    await read_body(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd")
    await writer.drain()


@pytest.mark.parametrize(
    "handler",
    [
        on_head_reset,
        mid_body_reset,
        after_body_reset,
        after_body_close,
        silence,
        half_answer,
        half_head,
        not_http,
        broken_gzip,
    ],
)
async def test_what_began_to_leave_is_unknown(handler: Handler) -> None:
    """Once the body began to leave, no failure is taken for "never sent"."""
    async with serving(handler) as (url, heads):
        error = await failure_of(url, POST, SHORT if handler is silence else LONG)
    assert isinstance(error, OutcomeUnknown)
    assert len(heads) == 1


@pytest.mark.parametrize("handler", [on_head_reset, silence])
async def test_a_get_is_not_sent_twice_behind_our_back(handler: Handler) -> None:
    """aiohttp would repeat a GET after a reset; here one exchange is one request."""
    async with serving(handler) as (url, heads):
        error = await failure_of(url, GET, SHORT if handler is silence else LONG)
    assert isinstance(error, OutcomeUnknown)
    assert len(heads) == 1


async def test_no_redirect_is_followed() -> None:
    """The answer is the redirect itself; the other host sees nothing."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(handler) as (url, heads), transport_over(LONG) as transport:
        assert (await transport.exchange(POST.ready(url))).status == 307
    assert len(heads) == 1


async def test_cancelled_while_connecting_sent_nothing() -> None:
    """A cancellation before the body began to leave comes from the proof that nothing has."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(busy.getsockname())
        cancelled = await cancel_after(f"http://127.0.0.1:{busy.getsockname()[1]}", 0.1)
        for filler in fillers:
            filler.close()
    assert isinstance(cancelled.__cause__, NotSent)


async def test_cancelled_in_flight_is_unknown() -> None:
    """A cancellation while the answer is awaited comes from `OutcomeUnknown`."""
    async with serving(silence) as (url, heads):
        cancelled = await cancel_after(url, 0.2)
    assert len(heads) == 1
    assert isinstance(cancelled.__cause__, OutcomeUnknown)


async def cancel_after(url: str, delay: float) -> asyncio.CancelledError:
    """The cancellation as it leaves the transport."""
    seen: list[asyncio.CancelledError] = []

    async def exchange(transport: AiohttpTransport) -> None:
        try:
            await transport.exchange(POST.ready(url))
        except asyncio.CancelledError as cancelled:
            seen.append(cancelled)

    async with transport_over(LONG) as transport:
        task = asyncio.create_task(exchange(transport))
        await asyncio.sleep(delay)
        task.cancel()
        await task
    return seen[0]


async def test_the_callers_session_is_used_and_left_open() -> None:
    """`http` is the caller's: its connector carries the request, closing us does not close it."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with serving(handler) as (url, heads):
        async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as http:
            transport = AiohttpTransport(LONG, http=http)
            assert (await transport.exchange(POST.ready(url))).status == 204
            await transport.close()
            assert not http.closed
        with pytest.raises(ClientClosed, match="`http` is closed"):
            await transport.exchange(POST.ready(url))
    assert b"X-Mine: yes" in heads[0]


def listening(seen: list[object]) -> aiohttp.TraceConfig:
    """What an instrumentation hangs into a session: it keeps whatever it is told of a request."""

    async def keep(_: object, __: object, told: object) -> None:
        url, answer = getattr(told, "url", None), getattr(told, "response", None)
        seen.extend([url, getattr(answer, "url", None), getattr(answer, "real_url", None)])

    config = aiohttp.TraceConfig()
    for signal_name in ("start", "end", "exception"):
        getattr(config, f"on_request_{signal_name}").append(keep)
    return config


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("answers", [True, False])
async def test_who_watches_a_session_sees_no_query(
    own: bool, answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instrumentation of a whole process: by trace configs, by a wrapper, by a middleware."""
    seen: list[object] = []
    made, asked = aiohttp.ClientSession.__init__, aiohttp.ClientSession._request

    def traced(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs, trace_configs=[listening(seen)], middlewares=[middle])

    async def middle(
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        seen.append(request.url)
        return await handler(request)

    async def wrapped(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        seen.extend([args, kwargs])
        return await asked(self, *args, **kwargs)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        if answers:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", wrapped)
    async with contextlib.AsyncExitStack() as stack:
        http = None if own else await stack.enter_async_context(aiohttp.ClientSession())
        url, heads = await stack.enter_async_context(serving(handler))
        transport = await stack.enter_async_context(transport_over(LONG, http))
        with contextlib.nullcontext() if answers else pytest.raises(OutcomeUnknown):
            await transport.exchange(POST.ready(url))
    assert SECRET in heads[0].decode()
    assert "/v1/messages" in str(seen)
    assert SECRET not in str(seen)


async def test_the_callers_session_may_raise_for_status_by_itself() -> None:
    """A refusal stays an answer, with whatever settings the caller's session has."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(handler) as (url, _), aiohttp.ClientSession(raise_for_status=True) as http:
        assert (await AiohttpTransport(LONG, http=http).exchange(POST.ready(url))).status == 429


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_session_with_a_credential_of_its_own_is_refused() -> None:
    """aiohttp does not send two credentials; the error says which session is at fault."""
    auth = aiohttp.BasicAuth("somebody", "else")
    async with serving(silence) as (url, heads), aiohttp.ClientSession(auth=auth) as http:
        transport = AiohttpTransport(LONG, http=http)
        request = POST.ready(url, headers={"Authorization": "Bearer t"})
        with pytest.raises(NotSent, match="`http`"):
            await transport.exchange(request)
    assert heads == []


async def test_a_pool_closed_under_a_request_is_told_apart() -> None:
    """Closing the caller's session during a request leaves a typed error."""
    async with serving(silence) as (url, _):
        http = aiohttp.ClientSession()
        transport = AiohttpTransport(LONG, http=http)
        task = asyncio.create_task(transport.exchange(POST.ready(url)))
        await asyncio.sleep(0.1)
        await http.close()
        with pytest.raises(OutcomeUnknown):
            await task


async def test_waiting_for_the_answer_is_bounded_by_the_total() -> None:
    """The total timeout ends a silent exchange, as unknown, with words that say why."""
    async with serving(silence) as (url, _):
        error = await failure_of(url, POST, SHORT)
    assert "timeout" in str(error)


def test_a_response_hides_its_body() -> None:
    """Bodies may hold personal data."""
    assert "private" not in repr(Response(status=200, body=b"private"))


async def test_a_final_101_is_unknown() -> None:
    """A server that changes to another protocol has answered nothing."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 101 X\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n")
        await writer.drain()

    async with serving(handler) as (url, _):
        assert isinstance(await failure_of(url), OutcomeUnknown)


# -- answers without bounds ------------------------------------------------------------------------


async def pour(writer: asyncio.StreamWriter, head: bytes, part: bytes) -> int:
    """Send an answer without an end; how much of it was taken until the client went."""
    poured = 0
    writer.write(head)
    with contextlib.suppress(OSError):
        while True:
            writer.write(part)
            await writer.drain()
            poured += len(part)
    return poured


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 400000000\r\n", b"", b"Content-Encoding: gzip\r\n"],
    ids=["long", "endless", "packed"],
)
@pytest.mark.parametrize("status", [404, 400, 503, 307])
async def test_of_a_long_refusal_only_a_part_is_read(status: int, head: bytes) -> None:
    """The status says enough; the connection is left."""
    poured: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        line = f"HTTP/1.1 {status} X\r\n".encode()
        poured.set_result(await pour(writer, line + head + b"\r\n", b"x" * 65536))

    async with serving(handler) as (url, _), transport_over(LONG) as transport:
        response = await transport.exchange(POST.ready(url))
        taken = await poured
    assert response.status == status
    assert len(response.body) <= LONGEST_ANSWER
    assert taken < 100_000_000


@pytest.mark.parametrize("head", [b"", b"Content-Encoding: gzip\r\n"], ids=["plain", "packed"])
async def test_a_success_without_an_end_is_unknown(head: bytes) -> None:
    """No documented answer is that long, so nobody can say what it means."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        await pour(writer, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"x" * 65536)

    async with serving(handler) as (url, _), transport_over(LONG) as transport:
        with pytest.raises(OutcomeUnknown, match="longer"):
            await transport.exchange(POST.ready(url))


@pytest.mark.parametrize(("status", "kind"), [(404, None), (200, OutcomeUnknown)])
async def test_nothing_is_unpacked(status: int, kind: type[MoveworksError] | None) -> None:
    """A few kilobytes may hold a gigabyte; a refusal is one by its status alone."""
    packed = gzip.compress(b" " * 50_000_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        head = f"HTTP/1.1 {status} X\r\nContent-Encoding: gzip\r\n"
        writer.write(f"{head}Content-Length: {len(packed)}\r\n\r\n".encode() + packed)
        await writer.drain()

    async with serving(handler) as (url, _), transport_over(LONG) as transport:
        if kind is None:
            assert (await transport.exchange(POST.ready(url))).body == b""
        else:
            with pytest.raises(kind, match="packed"):
                await transport.exchange(POST.ready(url))


@pytest.mark.parametrize("length", [LONGEST_ANSWER, LONGEST_ANSWER + 1])
async def test_the_longest_answer_that_is_read(length: int) -> None:
    """One byte more is too long."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: {length}"
        writer.write(head.encode() + b"\r\n\r\n" + b"x" * length)
        await writer.drain()

    async with serving(handler) as (url, _), transport_over(LONG) as transport:
        if length > LONGEST_ANSWER:
            with pytest.raises(OutcomeUnknown):
                await transport.exchange(POST.ready(url))
        else:
            assert len((await transport.exchange(POST.ready(url))).body) == length


@pytest.mark.parametrize(("status", "refused"), [(400, True), (429, True), (503, False)])
async def test_a_refusal_whose_body_breaks_off_is_one_all_the_same(
    status: int, refused: bool
) -> None:
    """Its status has said that nobody was told; a 5xx says nothing of the kind."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 100\r\n\r\n{{".encode())
        await writer.drain()

    async with serving(handler) as (url, _), transport_over(LONG) as transport:
        if refused:
            assert (await transport.exchange(POST.ready(url))).status == status
        else:
            with pytest.raises(OutcomeUnknown):
                await transport.exchange(POST.ready(url))


# -- what a request carries, and what it leaves behind ---------------------------------------------


async def test_a_reset_during_a_long_body_quotes_no_url() -> None:
    """aiohttp puts the URL into `strerror`; the words are the system's, and hold no secret."""
    long = evolve(POST, body=b'{"text":"private"}' + b" " * 40_000_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        await reset(writer)

    async with serving(handler) as (url, _):
        error = await failure_of(url, long)
    assert isinstance(error, OutcomeUnknown)
    assert any(os.strerror(number) in str(error) for number in (errno.ECONNRESET, errno.EPIPE))


@pytest.mark.parametrize("left", [False, True])
async def test_the_words_of_a_library_are_never_quoted(left: bool) -> None:
    """Whatever an exception of the caller's session says, it stays out of ours and its context."""

    async def fail(
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        if left:
            await handler(request)
        raise OSError(errno.ECONNRESET, f"cannot write to {request.url}", str(request.url))

    async with serving(after_body_close) as (url, _):
        http = aiohttp.ClientSession(middlewares=[fail])
        await failure_of(url, POST, http=http)
        await http.close()


async def test_no_cookie_is_sent_back() -> None:
    """A cookie would tie requests to one another, and to whoever set it."""
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(b"HTTP/1.1 204 X\r\nSet-Cookie: a=b; Path=/\r\n\r\n")
        await writer.drain()

    async with accepting(handler) as url, transport_over(LONG) as t:
        await t.exchange(POST.ready(url))
        await t.exchange(POST.ready(url))
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)
    assert all(b"\r\nConnection: close\r\n" in head for head in heads)
    assert all(b"\r\nAccept-Encoding: identity\r\n" in head for head in heads)
    assert all(b"\r\nUser-Agent: moveworks-shift-async\r\n" in head for head in heads)


@BOTH
async def test_a_url_that_is_none_sent_nothing(request_: Request) -> None:
    """aiohttp finds it before there is a connection."""
    error = await failure_of("http://[bad", request_)
    assert isinstance(error, ConnectionFailed)


async def test_a_get_through_a_proxy_that_dropped_it_may_have_been_seen() -> None:
    """The proxy had all of it, for there was no more than a head."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reset(writer)

    async with serving(handler) as (url, _):
        transport = AiohttpTransport(LONG, proxy=url)
        with pytest.raises(OutcomeUnknown):
            await transport.exchange(GET.ready("http://api.test"))
        await transport.close()


async def test_a_mock_that_does_not_fit_this_aiohttp_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No session was given, so none is blamed."""

    async def broken(*args: object, **kwargs: object) -> None:
        raise TypeError("missing 1 required keyword-only argument: 'stream_writer'")

    monkeypatch.setattr(aiohttp.ClientSession, "_request", broken)
    error = await failure_of("http://api.test")
    assert isinstance(error, NotSent)
    assert "aioresponses" in str(error)
    assert "`http`" not in str(error)


@BOTH
async def test_a_pool_closed_before_there_is_a_connection_sent_nothing(request_: Request) -> None:
    """The caller closes his session just when the connection is there."""
    traces = aiohttp.TraceConfig()

    async def close(session: aiohttp.ClientSession, *_: object) -> None:
        await session.close()

    traces.on_connection_create_end.append(close)
    http = aiohttp.ClientSession(trace_configs=[traces])
    async with serving(silence) as (url, heads):
        error = await failure_of(url, request_, http=http)
    assert isinstance(error, ConnectionFailed)
    assert heads == []


async def test_the_pool_is_never_the_queue() -> None:
    """More requests than aiohttp's own pool takes are out at once; the gate alone counts them."""
    many, all_there = 120, asyncio.Event()
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        if len(heads) == many:
            all_there.set()
        await all_there.wait()
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")
        await writer.drain()

    small = evolve(POST, body=b"{}")
    async with accepting(handler) as url, transport_over(LONG) as transport:
        answers = await asyncio.gather(*(transport.exchange(small.ready(url)) for _ in range(many)))
    assert {answer.status for answer in answers} == {204}


FROZEN = """
import asyncio, sys
from moveworks_shift_async import ApiKey, MoveworksClient
from moveworks_shift_async.settings import Timeouts

async def main(url, key):
    timeout = Timeouts(total=3.0)
    async with MoveworksClient(ApiKey(key), base_url=url, timeout=timeout) as client:
        sends = (client.messages.send("Hello", [f"p{n}@example.com"]) for n in range(8))
        await asyncio.gather(*sends)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_that_was_frozen_reads_what_had_come() -> None:
    """Stopped for longer than the timeout: answers that came in time are answers."""
    async with Sandbox(latency=0.5) as sandbox:
        process = await spawn(sys.executable, "-c", FROZEN, sandbox.url, sandbox.api_key)
        await until(lambda: sandbox.stats().requests == 8)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4)
        process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(process.wait(), HANG) == 0
