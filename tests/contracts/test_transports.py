"""What every transport promises, whatever it sends through; see `transport.port.Transport`.

A new kind is one more entry in `KINDS`. Behind each stands a server that says what it got.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from attrs import define, field

from moveworks_shift_async.errors import ConnectionFailed, NotSent, OutcomeUnknown
from moveworks_shift_async.settings import Timeouts
from moveworks_shift_async.transport.aiohttp_transport import AiohttpTransport
from moveworks_shift_async.transport.port import Transport
from moveworks_shift_async.wire.http import Request, Response

from ..fakes import FakeTransport, request_of, until
from ..servers import accepting, read_request, reset

BODY = b'{"message":"hi"}'
POST = request_of(
    "POST",
    "/rest/v1/things",
    query={"a": "1 &"},
    headers={"Authorization": "Bearer t", "Content-Type": "application/json"},
    body=BODY,
)


@define(eq=False)
class Vendor:
    """A server as a transport meets it."""

    transport: Transport
    url: str
    #: `answer` at once, `silence` for ever, `drop` the connection after the whole request; or
    #: `away`: there is none.
    does: str = "answer"
    #: Whole requests that came.
    came: int = 0
    #: Heads of requests as they came, and their bodies.
    heads: list[bytes] = field(factory=list)
    bodies: list[bytes] = field(factory=list)


@contextlib.asynccontextmanager
async def through_aiohttp(does: str) -> AsyncIterator[Vendor]:
    """A real server on loopback."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        head, _, body = request.partition(b"\r\n\r\n")
        vendor.heads.append(head)
        vendor.bodies.append(body)
        vendor.came += 1
        if does == "silence":
            await asyncio.Event().wait()
        elif does == "drop":
            await reset(writer)
        else:
            writer.write(b"HTTP/1.1 202 X\r\nX-Request-Id: r1\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

    transport = AiohttpTransport(Timeouts(connect=60.0, total=60.0))
    async with accepting(handle) as url:
        vendor = Vendor(transport, url)
        if does != "away":
            yield vendor
    if does == "away":  # its port is closed by now
        yield vendor
    await transport.close()


@contextlib.asynccontextmanager
async def a_fake(does: str) -> AsyncIterator[Vendor]:
    """A list of answers."""

    async def answer(request: Request) -> Response:
        vendor.heads.append(_head(request))
        vendor.bodies.append(request.body or b"")
        vendor.came += 1
        if does == "silence":
            await asyncio.Event().wait()
        if does == "drop":
            raise OutcomeUnknown("reset")
        return Response(status=202, headers={"X-Request-Id": "r1"}, body=b"{}")

    fake = FakeTransport([ConnectionFailed("refused") if does == "away" else answer])
    vendor = Vendor(fake, "https://example.test")
    yield vendor


def _head(request: Request) -> bytes:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    query = query.replace(" &", "+%26")
    lines = [f"{request.method} {request.path}?{query} HTTP/1.1"]
    return "\r\n".join([*lines, *map(": ".join, request.headers.items())]).encode()


KINDS: dict[str, Callable[[str], AbstractAsyncContextManager[Vendor]]] = {
    "aiohttp": through_aiohttp,
    "fake": a_fake,
}
Open = Callable[[str], AbstractAsyncContextManager[Vendor]]


@pytest.fixture(params=KINDS)
def vendor_that(request: pytest.FixtureRequest) -> Open:
    """A vendor that does this, behind one kind of transport."""
    return KINDS[request.param]


async def test_an_answer_comes_back_whole(vendor_that: Open) -> None:
    """Its status, its body, and its headers by names in lower case."""
    async with vendor_that("answer") as vendor:
        response = await vendor.transport.exchange(POST.ready(vendor.url))
    assert (response.status, response.body) == (202, b"{}")
    assert response.headers["x-request-id"] == "r1"


async def test_a_request_leaves_as_it_is_and_once(vendor_that: Open) -> None:
    """Method, path, query, headers and body."""
    async with vendor_that("answer") as vendor:
        await vendor.transport.exchange(POST.ready(vendor.url))
    (head,), (body,) = vendor.heads, vendor.bodies
    assert head.startswith(b"POST /rest/v1/things?a=1+%26 HTTP/1.1\r\n")
    for name, value in POST.headers.items():
        assert f"{name}: {value}".encode() in head
    assert body == BODY


async def test_many_requests_may_be_out_at_once(vendor_that: Open) -> None:
    """None waits for another."""
    async with vendor_that("answer") as vendor:
        calls = (vendor.transport.exchange(POST.ready(vendor.url)) for _ in range(20))
        answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {202}
    assert vendor.came == 20


async def test_a_server_that_is_not_there_was_told_nothing(vendor_that: Open) -> None:
    """It is certain, so it is said."""
    async with vendor_that("away") as vendor:
        with pytest.raises(ConnectionFailed):
            await vendor.transport.exchange(POST.ready(vendor.url))
    assert vendor.came == 0


async def test_a_request_without_an_answer_may_have_been_heard(vendor_that: Open) -> None:
    """And it is not sent again."""
    async with vendor_that("drop") as vendor:
        with pytest.raises(OutcomeUnknown):
            await vendor.transport.exchange(POST.ready(vendor.url))
    assert vendor.came == 1


async def test_a_cancellation_denies_nothing_that_the_server_has_seen(vendor_that: Open) -> None:
    """`NotSent` behind it would be the proof that nothing had left."""
    async with vendor_that("silence") as vendor:
        call = asyncio.ensure_future(vendor.transport.exchange(POST.ready(vendor.url)))
        await until(lambda: vendor.came)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await call
    assert not isinstance(raised.value.__cause__, NotSent)


async def test_closing_twice_is_harmless(vendor_that: Open) -> None:
    """A client may be closed twice."""
    async with vendor_that("answer") as vendor:
        await vendor.transport.exchange(POST.ready(vendor.url))
        await vendor.transport.close()
        await vendor.transport.close()
