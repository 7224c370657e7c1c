"""Did it go out? Faults made on real sockets, and what the transport says of each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from moveworks_shift_async.errors import (
    ClientClosed,
    ConnectionFailed,
    MoveworksError,
    NotSent,
    OutcomeUnknown,
)
from moveworks_shift_async.settings import Timeouts
from moveworks_shift_async.transport import AiohttpTransport
from moveworks_shift_async.wire.http import Request, Response, request_id

SECRET = "s3cr3t-in-the-query"
POST = Request(
    method="POST",
    path="/v1/messages",
    query={"client_secret": SECRET},
    body=b'{"text":"private"}' + b" " * 100_000,
)
GET = Request(method="GET", path="/rest/v1/auth/test", query={"client_secret": SECRET})
QUICK = Timeouts(connect=0.3, total=0.5)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A bare TCP server; its URL and the first bytes of each connection."""
    heads: list[bytes] = []
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    if connections:
        await asyncio.wait(connections, timeout=5)


@contextlib.asynccontextmanager
async def transport_to(url: str, timeouts: Timeouts = QUICK) -> AsyncIterator[AiohttpTransport]:
    """A transport with a pool of its own."""
    transport = AiohttpTransport(url, timeouts)
    try:
        yield transport
    finally:
        await transport.close()


async def failure_of(url: str, request: Request = POST) -> MoveworksError:
    """The error of one exchange, which must not leak what the request held."""
    async with transport_to(url) as transport:
        with pytest.raises(MoveworksError) as raised:
            await transport.exchange(request)
    printed = "".join(traceback.format_exception(raised.value))
    assert SECRET not in printed
    assert "private" not in printed
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


async def read_body(reader: asyncio.StreamReader) -> None:
    """The whole body of `POST`."""
    await reader.readexactly(len(POST.body or b""))


async def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_an_answer_comes_back_whole() -> None:
    """Status, headers and body of the answer; method, path and query of the request."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Request-Id: 7\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with serving(handler) as (url, heads), transport_to(url) as transport:
        response = await transport.exchange(POST)
    assert (response.status, response.body, request_id(response)) == (200, b"{}", "7")
    assert response.received is not None
    assert heads[0].startswith(f"POST /v1/messages?client_secret={SECRET} HTTP/1.1".encode())


async def test_a_refused_connection_sent_nothing() -> None:
    """Nobody listens: never sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await failure_of(f"http://127.0.0.1:{free.getsockname()[1]}")
    assert isinstance(error, ConnectionFailed)


async def test_an_unknown_host_sent_nothing() -> None:
    """The name does not resolve: never sent."""
    error = await failure_of("https://nowhere.invalid")
    assert isinstance(error, ConnectionFailed)
    assert "resolve" in str(error)


async def test_a_connect_timeout_sent_nothing() -> None:
    """A listener whose queue is full never completes the connection: never sent."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = busy.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        error = await failure_of(f"http://127.0.0.1:{address[1]}")
        for filler in fillers:
            filler.close()
    assert isinstance(error, ConnectionFailed)
    assert "timeout" in str(error)


async def test_a_failed_tls_handshake_sent_nothing() -> None:
    """A server that speaks no TLS: never sent."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(handler) as (url, _):
        error = await failure_of(url.replace("http://", "https://"))
    assert isinstance(error, ConnectionFailed)


async def test_a_refusing_proxy_sent_nothing() -> None:
    """A proxy that refuses the tunnel has not seen the request."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with serving(handler) as (url, heads):
        transport = AiohttpTransport("https://example.test", QUICK, proxy=url)
        with pytest.raises(ConnectionFailed, match="proxy answered HTTP 407"):
            await transport.exchange(POST)
        await transport.close()
    assert heads[0].startswith(b"CONNECT example.test:443")


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
        error = await failure_of(url)
    assert isinstance(error, OutcomeUnknown)
    assert len(heads) == 1


@pytest.mark.parametrize("handler", [on_head_reset, silence])
async def test_a_get_is_not_sent_twice_behind_our_back(handler: Handler) -> None:
    """aiohttp would repeat a GET after a reset; here one exchange is one request."""
    async with serving(handler) as (url, heads):
        error = await failure_of(url, GET)
    assert isinstance(error, OutcomeUnknown)
    assert len(heads) == 1


async def test_a_get_without_a_server_sent_nothing() -> None:
    """Hiding resets from aiohttp does not hide a refused connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await failure_of(f"http://127.0.0.1:{free.getsockname()[1]}", GET)
    assert isinstance(error, ConnectionFailed)


async def test_no_redirect_is_followed() -> None:
    """The answer is the redirect itself; the other host sees nothing."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(handler) as (url, heads), transport_to(url) as transport:
        assert (await transport.exchange(POST)).status == 307
    assert len(heads) == 1


async def test_cancelled_while_connecting_sent_nothing() -> None:
    """A cancellation before the body began to leave has no `OutcomeUnknown` behind it."""
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
    assert cancelled.__cause__ is None


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
            await transport.exchange(POST)
        except asyncio.CancelledError as cancelled:
            seen.append(cancelled)

    async with transport_to(url, Timeouts()) as transport:
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
            transport = AiohttpTransport(url, QUICK, http=http)
            assert (await transport.exchange(POST)).status == 204
            await transport.close()
            assert not http.closed
        with pytest.raises(ClientClosed, match="`http` is closed"):
            await transport.exchange(POST)
    assert b"X-Mine: yes" in heads[0]


async def test_the_callers_session_may_raise_for_status_by_itself() -> None:
    """A refusal stays an answer, with whatever settings the caller's session has."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader)
        writer.write(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(handler) as (url, _), aiohttp.ClientSession(raise_for_status=True) as http:
        assert (await AiohttpTransport(url, QUICK, http=http).exchange(POST)).status == 429


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_session_with_a_credential_of_its_own_is_refused() -> None:
    """aiohttp does not send two credentials; the error says which session is at fault."""
    auth = aiohttp.BasicAuth("somebody", "else")
    async with serving(silence) as (url, heads), aiohttp.ClientSession(auth=auth) as http:
        transport = AiohttpTransport(url, QUICK, http=http)
        request = POST.with_auth(headers={"Authorization": "Bearer t"}, query={})
        with pytest.raises(NotSent, match="`http`"):
            await transport.exchange(request)
    assert heads == []


async def test_a_pool_closed_under_a_request_is_told_apart() -> None:
    """Closing the caller's session during a request leaves a typed error."""
    async with serving(silence) as (url, _):
        http = aiohttp.ClientSession()
        transport = AiohttpTransport(url, Timeouts(), http=http)
        task = asyncio.create_task(transport.exchange(POST))
        await asyncio.sleep(0.1)
        await http.close()
        with pytest.raises(OutcomeUnknown):
            await task


async def test_waiting_for_the_answer_is_bounded_by_the_total() -> None:
    """The total timeout ends a silent exchange, as unknown, with words that say why."""
    async with serving(silence) as (url, _):
        error = await failure_of(url)
    assert "timeout" in str(error)


def test_a_response_hides_its_body() -> None:
    """Bodies may hold personal data."""
    assert "private" not in repr(Response(status=200, body=b"private"))
