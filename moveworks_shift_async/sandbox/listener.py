"""The listening port and its connections: opened, closed for a while, closed for good."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from attrs import define, field

from ..clock import Clock
from ..local_page import log_of

#: Connections that wait to be accepted: a thousand tasks may call at once.
_BACKLOG = 2048
#: Bytes of a body. The largest good one is below a mebibyte; a too large one is for the rules.
_BODY_MAX = 64 * 1024**2
#: Seconds for aiohttp to let go of a connection when the port is closed for good.
_GRACE = 0.05
#: Turns of the event loop until a connection that was told to close is gone.
_CLOSING_TURNS = 5

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@define(eq=False, kw_only=True)
class Listener:
    """One loopback port and the connections through it."""

    handler: Handler
    host: str
    #: 0: any free port, kept from the first opening on.
    port: int
    clock: Clock
    _socket: socket.socket | None = field(default=None, init=False)
    _listener: asyncio.Server | None = field(default=None, init=False)
    _server: web.Server | None = field(default=None, init=False)
    #: Connections with a request that is served -> the task that does so.
    _busy: dict[object, asyncio.Task[Any] | None] = field(factory=dict, init=False)
    #: Refusals for a while that nobody waits for.
    _refusals: set[asyncio.Task[None]] = field(factory=set, init=False)

    async def open(self) -> None:
        """Begin to accept connections. Raises `OSError` if the port is taken."""
        self._server = web.Server(
            self._serve,
            request_factory=_make_request,
            # A client that goes ends its request, or silence would outlive it.
            handler_cancellation=True,
            access_log=None,
            logger=log_of(__name__),
        )
        self._socket = self._bind()
        await self.start_listening()

    async def close(self) -> None:
        """Close for good and at once; unfinished requests end with their connections."""
        tasks = self._refusals | {task for task in self._busy.values() if task is not None}
        self._close_port()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown(_GRACE)
        for _ in range(_CLOSING_TURNS):
            await _one_turn()

    async def start_listening(self) -> None:
        """Accept connections again; without effect where they are accepted."""
        if self._socket is None or self._server is None:
            return
        bound, self._socket = self._socket, None
        # In two steps, so that a cancellation between them leaves nothing open unseen.
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, sock=bound, backlog=_BACKLOG, start_serving=False
        )
        await self._listener.start_serving()

    async def stop_listening(self) -> None:
        """Refuse connections; idle ones end now, those with a request after its answer."""
        if self._listener is None:
            return
        self._close_port()
        # A socket that is bound and does not listen refuses, and nobody else gets the port.
        self._socket = self._bind()
        await _one_turn()

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for some seconds."""
        await self.stop_listening()
        try:
            await self.clock.sleep(seconds)
        finally:
            await self.start_listening()

    def refuse_soon(self, seconds: float) -> None:
        """Begin to refuse connections and do not wait for the end of it."""
        task = asyncio.get_running_loop().create_task(self.refuse(seconds))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.transport
        self._busy[connection] = asyncio.current_task()
        try:
            response = await self.handler(request)
        finally:
            self._busy.pop(connection, None)
        if self._listener is None:
            response.force_close()
        return response

    def _close_port(self) -> None:
        """Close the port and every connection that is idle."""
        if self._listener is not None:
            self._listener.close()
        if self._socket is not None:
            self._socket.close()
        self._listener = self._socket = None
        for connection in self._server.connections if self._server is not None else ():
            if connection.transport not in self._busy:
                connection.force_close()

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        return bound


def _make_request(
    message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
) -> web.BaseRequest:
    """Like aiohttp's own, with room for a body that the rules shall refuse."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=_BODY_MAX
    )


async def _one_turn() -> None:
    """Let the event loop do what is due."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn
