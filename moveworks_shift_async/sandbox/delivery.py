"""Answers and faults on a real connection: the last step, where bytes go out or do not."""

from __future__ import annotations

import socket
import struct
from http import HTTPStatus

from aiohttp import web
from attrs import evolve

from .decisions import SUCCESS_BODIES, Answer
from .faults import Reads

#: `SO_LINGER` switched on with zero seconds: closing sends a reset in place of a FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


def to_response(answer: Answer) -> web.Response:
    """The answer for aiohttp to send."""
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers=[("Content-Type", answer.content_type), *answer.headers],
    )


async def read_body(request: web.BaseRequest, reads: Reads) -> bytes:
    """Read as much of the body as a fault allows; b"" for anything but all of it."""
    if reads is Reads.ALL:
        return await request.read()
    if reads is Reads.HALF:
        await request.content.read(max(1, (request.content_length or 0) // 2))
    return b""


def reset(request: web.BaseRequest) -> web.Response:
    """End the connection with a TCP reset; what is returned reaches nobody."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        transport.abort()
    return web.Response()


def breakable(answer: Answer) -> Answer:
    """The answer, with a body to break off: a 204 would be whole without one."""
    if answer.body:
        return answer
    return evolve(answer, status=200, body=SUCCESS_BODIES["received"])


def send_half(request: web.BaseRequest, answer: Answer) -> web.Response:
    """Announce the whole body, send half of it, end the connection in the ordinary way."""
    transport = request.transport
    if transport is not None:
        transport.write(_half(answer))
        transport.close()
    return web.Response()


def _half(answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(answer.body)}\r\n\r\n"
    )
    return head.encode() + answer.body[: len(answer.body) // 2]
