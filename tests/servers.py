"""Bare TCP servers on loopback that answer as a test says: early, late, twice, half, or never; and
a transport to reach them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from moveworks_shift_async.settings import Timeouts
from moveworks_shift_async.transport.aiohttp_transport import AiohttpTransport

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.asynccontextmanager
async def accepting(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A bare server that lets `handler` have each connection, with TLS or without; its URL."""
    connections: dict[asyncio.Task[None], asyncio.WriteTransport] = {}
    ending = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if ending:
            return writer.transport.abort()
        connections[asyncio.create_task(serve(reader, writer))] = writer.transport
        return None

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls) as server:
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            ending = True
            for connection in connections:
                connection.cancel()
            if connections:
                await asyncio.wait(connections)
            for transport in connections.values():  # also where the task never began
                transport.abort()


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A bare TCP server that reads the head first; its URL and the heads it has read."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await handler(reader, writer)

    async with accepting(serve) as url:
        yield url, heads


def noting(asked: list[list[bytes]]) -> Handler:
    """Answers every request and keeps the connection; what was asked for on each, in order."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        asked.append(mine)
        while True:
            mine.append((await read_request(reader)).split(b" ")[1])
            writer.write(OK)
            await writer.drain()

    return handler


@contextlib.asynccontextmanager
async def transport_over(
    timeouts: Timeouts, http: aiohttp.ClientSession | None = None
) -> AsyncIterator[AiohttpTransport]:
    """A transport with a session of its own, or with this one; both are closed at the end."""
    transport = AiohttpTransport(timeouts, http=http)
    try:
        yield transport
    finally:
        await transport.close()
        if http is not None:
            await http.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One whole request with a `Content-Length`, or without a body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return head + await reader.readexactly(int(length or 0))


async def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
