"""A body leaves at most once, and only what began after it had left is its answer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from moveworks_shift_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    MoveworksError,
    NotSent,
    Outcome,
    OutcomeUnknown,
)
from moveworks_shift_async.settings import Timeouts
from moveworks_shift_async.transport.aiohttp_transport import AiohttpTransport
from moveworks_shift_async.wire.http import Effect, Request

from .fakes import request_of, settle
from .servers import OK, accepting, noting, read_request, reset, serving, transport_over

POST = request_of("POST", "/send", body=b'{"text":"private"}')
#: More than a connection takes before somebody reads at its other end.
LONG = request_of("POST", "/send", body=b" " * 40_000_000)
DELETE = request_of("DELETE", "/message")
PUT = request_of("PUT", "/message", body=b"{}")
QUESTION = request_of("GET", "/auth", effect=Effect.NONE)
PATIENT = Timeouts(connect=60.0, total=60.0)

_Handle = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


async def outcome_of(
    url: str,
    request: Request = POST,
    http: aiohttp.ClientSession | None = None,
    timeouts: Timeouts = PATIENT,
) -> MoveworksError | int:
    """The status of the answer, or the error."""
    async with transport_over(timeouts, http) as transport:
        try:
            return (await transport.exchange(request.ready(url))).status
        except MoveworksError as error:
            return error


class Waiting:
    """A session whose connections wait, once open, until the server has said its first words."""

    def __init__(self) -> None:
        self.spoken = asyncio.Event()
        traces = aiohttp.TraceConfig()
        traces.on_connection_create_end.append(self.wait)
        self.http = aiohttp.ClientSession(trace_configs=[traces])

    async def wait(self, *_: object) -> None:
        """Hold the request back."""
        await self.spoken.wait()
        await settle()


# -- what came before the request had left ---------------------------------------------------------


@pytest.mark.parametrize("request_", [POST, QUESTION], ids=lambda r: r.method)
async def test_what_a_server_says_before_it_is_asked_is_no_answer(request_: Request) -> None:
    """On a new connection too; nothing leaves there, so nobody was told."""
    waiting, received = Waiting(), bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        waiting.spoken.set()
        received.extend(await reader.read())

    async with accepting(talk) as url:
        error = await outcome_of(url, request_, http=waiting.http)
    assert isinstance(error, ConnectionFailed)
    assert b"private" not in received
    assert b"GET" not in received


async def test_a_question_looks_as_if_it_had_no_body() -> None:
    """The empty body that bears witness leaves no trace in the head."""
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        seen.set_result(head + await reader.read())

    async with accepting(handler) as url:
        assert await outcome_of(url, QUESTION) == 200
        request = await seen
    assert b"Content-" not in request
    assert b"Transfer-" not in request
    assert request.endswith(b"\r\n\r\n")


async def test_half_an_answer_that_came_before_is_no_answer_with_its_other_half() -> None:
    """What began before the request was there answers somebody else."""
    waiting = Waiting()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:20])
        await writer.drain()
        waiting.spoken.set()
        await read_request(reader)
        writer.write(OK[20:])
        await writer.drain()

    async with accepting(talk) as url:
        error = await outcome_of(url, http=waiting.http)
    assert isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
async def test_an_answer_while_the_body_leaves_is_no_answer(status: bytes) -> None:
    """The server cannot have read what it answers; half of it is there, so it is unknown."""

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(early) as (url, _):
        error = await outcome_of(url, LONG)
    assert isinstance(error, OutcomeUnknown)
    assert "before it had the whole request" in str(error)


def narrow(address: tuple[Any, ...]) -> socket.socket:
    """A socket that takes a few kilobytes at once."""
    made = socket.socket(address[0], address[1], address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return made


async def test_no_byte_may_still_wait_here_when_the_answer_comes() -> None:
    """A body of one piece, of which the connection has taken only a part, has not left."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=narrow))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        piece = request_of("POST", "/send", body=b" " * 60_000)
        call = asyncio.create_task(outcome_of(url, piece, http))
        server, _ = await loop.sock_accept(listener)
        with server:
            assert await loop.sock_recv(server, 10)
            await loop.sock_sendall(server, OK)
            assert isinstance(await call, OutcomeUnknown)


async def test_a_long_body_is_answered_when_it_has_left() -> None:
    """Waiting until all of it has left keeps no answer out."""
    read = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        read = len(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async with accepting(handler) as url:
        assert await outcome_of(url, LONG) == 200
    assert read > 40_000_000


async def test_a_long_body_cut_while_it_leaves_is_unknown() -> None:
    """Part of it has left; cancelled, it never counts as never started."""
    begun = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with serving(handler) as (url, _), transport_over(PATIENT) as transport:
        task = asyncio.create_task(transport.exchange(LONG.ready(url)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
    assert isinstance(raised.value.__cause__, OutcomeUnknown)


async def test_the_first_of_two_answers_counts_and_the_second_answers_nobody() -> None:
    """The second stays on a connection that is closed; the next request has one of its own."""
    connections = 0

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK.replace(b"200", b"202") + OK)
        await writer.drain()
        await reader.read()

    async with accepting(twice) as url, transport_over(PATIENT) as transport:
        assert [(await transport.exchange(POST.ready(url))).status for _ in range(3)] == [
            202,
            202,
            202,
        ]
    assert connections == 3


async def test_no_connection_is_used_twice() -> None:
    """A server that keeps connections open and answers on the idle one answers nobody."""
    connections, read = 0, asyncio.Event()

    async def stray(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        await read.wait()
        writer.write(OK.replace(b"200", b"202"))
        await writer.drain()
        await reader.read()

    async with accepting(stray) as url, transport_over(PATIENT) as transport:
        for _ in range(3):
            assert (await transport.exchange(POST.ready(url))).status == 200
            read.set()
            await settle()
            read.clear()
    assert connections == 3


@pytest.mark.parametrize("request_", [POST, DELETE, QUESTION], ids=lambda r: r.method)
async def test_an_idle_connection_of_the_callers_session_is_left_alone(request_: Request) -> None:
    """A stray answer on it would be taken for ours; and it stays the caller's for his next one."""
    asked: list[list[bytes]] = []
    async with accepting(noting(asked)) as url:
        http = aiohttp.ClientSession()
        async with transport_over(PATIENT, http) as transport:
            for _ in range(2):
                await (await http.get(f"{url}/mine")).read()
                assert (await transport.exchange(request_.ready(url))).status == 200
            await (await http.get(f"{url}/mine")).read()
    ours = request_.path.encode()
    assert asked == [[b"/mine"] * 3, [ours], [ours]]


async def test_our_connection_is_closed_though_the_server_would_keep_it() -> None:
    """It does not stay in the caller's pool, where only our key would find it."""
    closed = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        assert await reader.read() == b""
        closed.set()

    async with accepting(keep) as url:
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=3600.0))
        async with transport_over(PATIENT, http) as transport:
            assert (await transport.exchange(POST.ready(url))).status == 200
            await closed.wait()


async def test_a_server_that_hangs_up_before_it_is_asked_has_told_nobody() -> None:
    """There was a connection, and nothing left on it."""
    waiting = Waiting()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reset(writer)
        waiting.spoken.set()

    async with accepting(hang_up) as url:
        assert isinstance(await outcome_of(url, http=waiting.http), ConnectionFailed)


async def test_a_stray_answer_on_the_callers_idle_connection_answers_nobody() -> None:
    """It came before the request was written, on a connection that the request does not take."""
    told = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal told
        request = await read_request(reader)
        if request.startswith(b"POST"):
            told += 1
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}")
        else:
            writer.write(OK)
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(OK)
        await writer.drain()
        await reader.read()

    async with accepting(handler) as url:
        http = aiohttp.ClientSession()
        async with transport_over(PATIENT, http) as transport:
            await (await http.get(f"{url}/mine")).read()
            await settle()
            assert (await transport.exchange(POST.ready(url))).status == 403
    assert told == 1


async def test_a_proxy_of_the_callers_session_gets_a_new_connection_too() -> None:
    """A plain proxy that keeps connections open sees one for each of our requests."""
    asked: list[list[bytes]] = []
    async with accepting(noting(asked)) as url:
        http = aiohttp.ClientSession(proxy=url)
        async with transport_over(PATIENT, http) as transport:
            await (await http.get("http://api.test/mine")).read()
            assert (await transport.exchange(POST.ready("http://api.test"))).status == 200
    assert asked == [[b"http://api.test/mine"], [b"http://api.test/send"]]


@contextlib.asynccontextmanager
async def tls_session() -> AsyncIterator[tuple[ssl.SSLContext, aiohttp.ClientSession]]:
    """A server's TLS context, and a session that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    yield server, aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client))


@pytest.mark.parametrize("request_", [POST, LONG], ids=["short", "long"])
async def test_an_answer_through_tls_counts_when_all_has_left(request_: Request) -> None:
    """The handshake and its tickets are no early answer, and waiting to the end has an end."""
    read: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.append(len((await read_request(reader)).partition(b"\r\n\r\n")[2]))
        writer.write(OK)
        await writer.drain()

    async with (
        tls_session() as (tls, http),
        accepting(handler, tls) as url,
        transport_over(PATIENT, http) as transport,
    ):
        assert (await transport.exchange(request_.ready(url))).status == 200
        assert (await transport.exchange(request_.ready(url))).status == 200
    assert read == [len(request_.body or b"")] * 2


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that opens the tunnel it is asked for."""
    target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
    host, _, port = target.rpartition(":")
    there, back = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(pass_on(reader, back))
            group.create_task(pass_on(there, writer))
    except* OSError:
        pass
    finally:
        back.transport.abort()


async def test_an_answer_through_a_tunnel_counts() -> None:
    """TLS inside a proxy's tunnel: each request has a tunnel of its own."""
    connections: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(len(await read_request(reader)))
        writer.write(OK)
        await writer.drain()

    async with (
        tls_session() as (tls, http),
        accepting(handler, tls) as url,
        accepting(relay) as proxy,
    ):
        transport = AiohttpTransport(PATIENT, http=http, proxy=proxy)
        assert (await transport.exchange(POST.ready(url))).status == 200
        assert (await transport.exchange(LONG.ready(url))).status == 200
        await http.close()
    assert len(connections) == 2


async def test_an_answer_through_tls_while_the_body_leaves_is_no_answer() -> None:
    """As without TLS."""

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await asyncio.Event().wait()

    async with tls_session() as (tls, http), accepting(early, tls) as url:
        assert isinstance(await outcome_of(url, LONG, http), OutcomeUnknown)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Expect", "100-continue"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Encoding", "gzip"),
        ("Content-Length", "3"),
    ],
)
async def test_a_header_that_changes_how_the_body_leaves_is_refused(name: str, value: str) -> None:
    """The server would read another body, or count a head that left alone; nothing leaves."""
    server = Record(200)
    async with accepting(server) as url:
        error = await outcome_of(url, http=aiohttp.ClientSession(headers={name: value}))
    assert isinstance(error, ConfigurationError)
    assert name in str(error)
    assert server.bodies == []


# -- where an answer ends --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
async def test_a_success_that_ends_before_its_body_began_is_unknown(head: bytes, end: str) -> None:
    """Its head says nothing of where the body ends, so it may have been to say anything."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        await writer.drain()
        if end == "reset":
            await reset(writer)

    async with accepting(handler) as url:
        error = await outcome_of(url)
    assert isinstance(error, OutcomeUnknown)


async def test_a_body_that_ends_with_the_connection_is_read_to_its_end() -> None:
    """What is there says by itself whether it is whole; a 204 and a refusal need none."""
    answers = [
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
    ]
    rest = iter(answers)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(next(rest))
        await writer.drain()

    async with accepting(handler) as url, transport_over(PATIENT) as transport:
        assert [(await transport.exchange(POST.ready(url))).status for _ in answers] == [
            200,
            204,
            400,
        ]


# -- a body leaves once ----------------------------------------------------------------------------


class Record:
    """A server that answers each request with the next status, and counts them."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []
        self.extra = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bodies.append((await read_request(reader)).partition(b"\r\n\r\n")[2])
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        head = f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n".encode()
        writer.write(head + self.extra + b"\r\n{}")
        await writer.drain()


async def on_5xx(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
    """The retry of aiohttp's own cookbook."""
    for _ in range(3):
        answer = await handle(request)
        if answer.status < 500:
            return answer
        answer.release()
    return answer


async def always_twice(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
    """Sends again, whatever the answer."""
    await handle(request)
    return await handle(request)


async def whatever_happens(
    request: aiohttp.ClientRequest, handle: _Handle
) -> aiohttp.ClientResponse:
    """Tries until it works."""
    for _ in range(3):
        with contextlib.suppress(aiohttp.ClientError):
            return await handle(request)
    return await handle(request)


async def both_at_once(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
    """Sends two, and takes the second."""
    _, second = await asyncio.gather(handle(request), handle(request))
    return second


@pytest.mark.parametrize("middleware", [on_5xx, always_twice, whatever_happens, both_at_once])
@pytest.mark.parametrize("request_", [POST, DELETE, PUT], ids=lambda r: r.method)
async def test_a_middleware_that_sends_again_tells_nobody_twice(
    middleware: Any, request_: Request
) -> None:
    """The second write fails, and what became of the first is unknown or its own answer."""
    server = Record(503, 200)
    async with accepting(server) as url:
        outcome = await outcome_of(url, request_, aiohttp.ClientSession(middlewares=[middleware]))
    assert len(server.bodies) == 1
    assert outcome == 503 or isinstance(outcome, OutcomeUnknown)


async def test_a_digest_of_the_callers_session_that_sends_again_is_unknown() -> None:
    """aiohttp's own middleware answers a 401 with the same body again."""
    server = Record(401)
    server.extra = b'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"\r\n'
    digest = aiohttp.DigestAuthMiddleware("somebody", "secret")
    async with accepting(server) as url:
        outcome = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[digest]))
    assert len(server.bodies) == 1
    assert isinstance(outcome, OutcomeUnknown)


async def test_a_middleware_may_try_again_while_nothing_has_left() -> None:
    """A name that resolves at the second try: the body leaves once, and is answered."""
    server = Record(200)
    async with accepting(server) as url:
        resolver = Resolver(OSError("not now"), ["127.0.0.1"])
        http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver), middlewares=[whatever_happens]
        )
        port = url.rpartition(":")[2]
        assert await outcome_of(f"http://api.test:{port}", http=http) == 200
    assert len(server.bodies) == 1


async def test_the_middlewares_of_the_callers_session_are_used() -> None:
    """They come before our own step, and may add what they like to the head."""
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async def sign(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        request.headers["X-Signed"] = "yes"
        return await handle(request)

    async with accepting(handler) as url:
        assert await outcome_of(url, http=aiohttp.ClientSession(middlewares=[sign])) == 200
    assert b"X-Signed: yes" in heads[0]
    assert b"\r\nConnection: close\r\n" in heads[0]


async def test_a_middleware_that_replaces_the_body_is_refused() -> None:
    """What leaves is what was passed; and what it did with its copy nobody knows."""
    server = Record(200)

    async def replace(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        request.body = b"something else"
        return await handle(request)

    async def read(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        request.body.decode()
        raise LookupError

    async with accepting(server) as url:
        outcome = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[replace]))
        assert isinstance(outcome, NotSent)
        outcome = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[read]))
        assert isinstance(outcome, OutcomeUnknown)
    assert server.bodies == []


@pytest.mark.parametrize("error", [ValueError("a secret"), TimeoutError(), OSError(5, "a secret")])
async def test_a_middleware_that_fails_first_told_nobody_and_later_is_unknown(
    error: Exception,
) -> None:
    """Whatever it raises; its words are not repeated."""
    server = Record(200)

    async def first(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        raise error

    async def after(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        await handle(request)
        raise error

    async with accepting(server) as url:
        early = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[first]))
        late = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[after]))
    assert isinstance(early, NotSent)
    assert isinstance(late, OutcomeUnknown)
    assert "secret" not in f"{early} {late}"


async def test_a_middleware_whose_own_wait_was_cancelled_does_not_cancel_the_call() -> None:
    """`CancelledError` means that somebody cancelled this call; nobody did."""
    server = Record(200)

    async def first(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        raise asyncio.CancelledError

    async def after(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        await handle(request)
        raise asyncio.CancelledError

    async with accepting(server) as url:
        early = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[first]))
        late = await outcome_of(url, http=aiohttp.ClientSession(middlewares=[after]))
    assert isinstance(early, NotSent)
    assert isinstance(late, OutcomeUnknown)


async def test_a_cancellation_carries_no_error_of_aiohttps() -> None:
    """A middleware that waits while it handles one, as to try again, is cancelled there."""
    handling = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def patient(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        answer = await handle(request)
        try:
            answer.raise_for_status()  # its words hold the whole URL
        except aiohttp.ClientResponseError:
            handling.set()
            await asyncio.Event().wait()
        return answer

    secret = request_of("POST", "/send", query={"client_secret": "hidden"}, body=b"{}")
    async with accepting(handler) as url:
        call = asyncio.create_task(
            outcome_of(url, secret, aiohttp.ClientSession(middlewares=[patient]))
        )
        await handling.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
    assert isinstance(raised.value.__cause__, OutcomeUnknown)
    assert raised.value.__context__ is None


async def test_an_answer_that_a_middleware_drops_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In debug mode aiohttp writes the whole URL of one that is collected open into the log."""
    end = asyncio.Event()
    asyncio.get_running_loop().set_debug(True)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\n")
        await writer.drain()
        await end.wait()

    async def drop(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        await handle(request)
        raise LookupError

    secret = request_of("POST", "/send", query={"client_secret": "hidden"}, body=b"{}")
    async with accepting(handler) as url:
        http = aiohttp.ClientSession(middlewares=[drop])
        async with transport_over(PATIENT, http) as transport:
            with pytest.raises(OutcomeUnknown):
                await transport.exchange(secret.ready(url))
            gc.collect()
            end.set()
    assert "hidden" not in caplog.text


async def test_an_aiohttp_that_hides_its_middlewares_is_refused() -> None:
    """They would be left out unnoticed, and with them the caller's credentials."""
    server = Record(200)
    async with accepting(server) as url:
        http = aiohttp.ClientSession()
        del http._middlewares
        assert isinstance(await outcome_of(url, http=http), ConfigurationError)
    assert server.bodies == []


@pytest.mark.parametrize("request_", [DELETE, PUT, POST], ids=lambda r: r.method)
@pytest.mark.parametrize("through_proxy", [False, True])
async def test_whatever_may_tell_people_is_unknown_after_a_reset(
    request_: Request, through_proxy: bool
) -> None:
    """Without a body too, and through a proxy that dropped it; aiohttp sends nothing twice."""
    requests = 0

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1
        await reset(writer)

    async with accepting(drop) as url:
        target, proxy = ("http://api.test", url) if through_proxy else (url, None)
        transport = AiohttpTransport(PATIENT, proxy=proxy)
        with pytest.raises(OutcomeUnknown):
            await transport.exchange(request_.ready(target))
        await transport.close()
    assert requests == 1


async def test_a_stale_connection_of_the_callers_is_not_tried_with_a_put() -> None:
    """aiohttp repeats a PUT after a reset by itself; ours leaves once, on a new connection."""
    server = Record(200)
    async with accepting(server) as url:
        http = aiohttp.ClientSession()
        async with transport_over(PATIENT, http) as transport:
            await (await http.get(f"{url}/mine")).read()
            assert (await transport.exchange(PUT.ready(url))).status == 200
    assert server.bodies == [b"", b"{}"]


# -- whether there was ever a connection -----------------------------------------------------------


class Resolver(AbstractResolver):
    """Answers from a list: addresses, an error, or None for an answer that never comes."""

    def __init__(self, *answers: list[str] | Exception | None) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The next answer."""
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in answer or ()
        ]

    async def close(self) -> None:
        """Nothing is open."""


BOUNDS = [Timeouts(connect=0.05, total=60.0), Timeouts(connect=60.0, total=0.05)]


@pytest.mark.parametrize("timeouts", BOUNDS, ids=["connect", "total"])
async def test_a_name_that_never_resolves_told_nobody(timeouts: Timeouts) -> None:
    """Whichever bound ends the wait."""
    connector = aiohttp.TCPConnector(resolver=Resolver(None))
    http = aiohttp.ClientSession(connector=connector)
    error = await outcome_of("http://api.test", http=http, timeouts=timeouts)
    assert isinstance(error, ConnectionFailed)
    assert str(error) == "no connection to api.test: connect timeout; nothing was sent"


@pytest.mark.parametrize("timeouts", BOUNDS, ids=["connect", "total"])
async def test_a_handshake_that_never_ends_told_nobody(timeouts: Timeouts) -> None:
    """A server that takes the connection and never speaks TLS."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with accepting(silent) as url:
        error = await outcome_of(url.replace("http:", "https:"), timeouts=timeouts)
    assert isinstance(error, ConnectionFailed)


@pytest.mark.parametrize("timeouts", BOUNDS, ids=["connect", "total"])
async def test_a_pool_that_others_use_up_told_nobody(timeouts: Timeouts) -> None:
    """The caller's own request holds the only place of his pool."""
    requests = 0
    busy = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        busy.set()
        await reader.read()

    async with accepting(silent) as url:
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
        mine = asyncio.create_task(http.post(url, data=b"mine"))
        await busy.wait()
        error = await outcome_of(url, http=http, timeouts=timeouts)
        await asyncio.wait({mine})
        assert isinstance(mine.exception(), aiohttp.ClientError)
    assert isinstance(error, ConnectionFailed)
    assert requests == 1


async def test_the_bound_for_connecting_holds_for_all_addresses_together() -> None:
    """With eight addresses that drop packets the first one uses it up; no other is tried."""
    tried: list[str] = []

    def count(address: tuple[Any, ...]) -> socket.socket:
        tried.append(address[4][0])
        return socket.socket(address[0], address[1], address[2])

    with full_listener() as port:
        hosts = ["127.0.0.1"] * 8
        connector = aiohttp.TCPConnector(
            resolver=Resolver(hosts), happy_eyeballs_delay=None, socket_factory=count
        )
        error = await outcome_of(
            f"http://api.test:{port}",
            http=aiohttp.ClientSession(connector=connector),
            timeouts=Timeouts(connect=0.2, total=60.0),
        )
    assert isinstance(error, ConnectionFailed)
    assert tried == ["127.0.0.1"]


@contextlib.contextmanager
def full_listener() -> Any:
    """A port that takes no more connections: whoever comes waits for ever."""
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket())
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(busy.getsockname())
        yield busy.getsockname()[1]


async def test_what_was_given_up_never_leaves_later() -> None:
    """A middleware that keeps the request and sends it after the call has ended sends nothing."""
    server = Record(200)
    kept: list[Awaitable[aiohttp.ClientResponse]] = []

    async def keep(request: aiohttp.ClientRequest, handle: _Handle) -> aiohttp.ClientResponse:
        kept.append(handle(request))
        raise LookupError

    async with accepting(server) as url:
        http = aiohttp.ClientSession(middlewares=[keep])
        async with transport_over(PATIENT, http) as transport:
            with pytest.raises(NotSent) as raised:
                await transport.exchange(POST.ready(url))
            with pytest.raises(aiohttp.ClientError):
                await kept[0]
    assert raised.value.outcome is Outcome.NOT_SENT
    assert server.bodies == []
