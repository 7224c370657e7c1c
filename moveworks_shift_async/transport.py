"""One request out, one response in. The only client-side importer of aiohttp.

The answer to "did it go out?" is made here, from two witnesses that must agree before a request
counts as never sent: the body has not begun to be written (we own the payload that aiohttp
writes), and the error is one of those that aiohttp raises before it has a connection. aiohttp's
other classes can mean either, so they mean unknown.

aiohttp's own exceptions carry URLs, and a SHIFT URL carries a secret in its query. So they are
never chained to ours: each is translated and dropped.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from attrs import define, field

from .clock import SYSTEM_CLOCK, Clock
from .errors import (
    ClientClosed,
    Concerns,
    ConnectionFailed,
    MoveworksError,
    NotSent,
    OutcomeUnknown,
)
from .settings import Timeouts
from .wire.http import Request, Response

# Servers close idle connections after 5 s (Node, uvicorn), 60 s (AWS load balancers) or later. A
# POST that meets the closing ends unknown for 500 people, so ours are dropped first.
KEEPALIVE = 4.0

_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class Transport(Protocol):
    """The seam between the session and the network."""

    base_url: str

    async def exchange(self, request: Request) -> Response:
        """Send it once and return the whole answer.

        Raises `ConnectionFailed` or `OutcomeUnknown`. Cancelled after the body began to leave, it
        raises `CancelledError` from `OutcomeUnknown`.
        """

    async def close(self) -> None:
        """Close what this transport opened."""


class _Body(aiohttp.Payload):
    """A request body that remembers whether aiohttp has begun to write it."""

    _autoclose = True
    started = False

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content
        self._size = len(content)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.started = True
        await writer.write(self._content)


@define(eq=False)
class AiohttpTransport:
    """Sends through one pool, opened at the first request, or through the caller's own session."""

    base_url: str
    timeouts: Timeouts
    #: The caller's session: used, never closed.
    http: aiohttp.ClientSession | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    clock: Clock = SYSTEM_CLOCK
    _own: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def exchange(self, request: Request) -> Response:
        """Send it once and return the whole answer; no redirect is followed."""
        body = None if request.body is None else _Body(request.body)
        try:
            return await self._send(request, body)
        except asyncio.CancelledError as cancelled:
            if body is None or not body.started:
                raise
            raise cancelled from OutcomeUnknown("cancelled after the request was sent")
        except MoveworksError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            failure = self._translate(error, started=body is not None and body.started)
        except Exception as error:  # of the caller's session: its auth, its middlewares
            failure = _foreign(error, started=body is None or body.started)
        raise failure

    async def close(self) -> None:
        """Close the pool, if this transport opened one."""
        if self._own is not None:
            await self._own.close()

    async def _send(self, request: Request, body: _Body | None) -> Response:
        async with self._session().request(
            request.method,
            self.base_url + request.path,
            params=request.query,
            headers={**_HEADERS, **request.headers},
            data=body,
            allow_redirects=False,
            raise_for_status=False,  # whatever the caller's session does by itself
            timeout=self._timeout(),
            proxy=self.proxy,
            middlewares=(_once,) if body is None and self.http is None else None,
        ) as answer:
            content = await _read(answer)
            return Response(
                status=answer.status,
                headers=answer.headers,
                body=content,
                received=self.clock.utcnow(),
            )

    def _session(self) -> aiohttp.ClientSession:
        if self.http is not None:
            if self.http.closed:
                raise ClientClosed("the session given as `http` is closed; nothing was sent")
            return self.http
        if self._own is None:
            # limit=0: the gate is the queue, the pool never is.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE)
            self._own = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._own

    def _timeout(self) -> aiohttp.ClientTimeout:
        # Not `connect`: that one counts the wait for a place in the caller's own pool as well.
        return aiohttp.ClientTimeout(total=self.timeouts.total, sock_connect=self.timeouts.connect)

    def _translate(self, error: Exception, *, started: bool) -> MoveworksError:
        """Our error for aiohttp's, in words that hold no URL."""
        # The bare class is what aiohttp raises when its connector is closed under a request.
        never = isinstance(error, _NEVER_CONNECTED) or type(error) is aiohttp.ClientConnectionError
        # Without a byte of the body written, a proxy has seen no more than its CONNECT.
        if not started and (never or self.proxy is not None):
            refused = isinstance(error, aiohttp.ClientHttpProxyError) and error.status == 407
            return ConnectionFailed(
                f"no connection: {_cause(error)}; nothing was sent",
                concerns=Concerns.EVERYBODY if refused else None,  # it wants a password
            )
        return OutcomeUnknown(f"sent, but no usable answer: {_cause(error)}; told or not told")


# An answer is a few bytes: packing them would only add a way to break.
_HEADERS = {
    "User-Agent": "moveworks-shift-async",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body; of a refusal, whatever of it can be read, for its status has said enough."""
    try:
        return await answer.read()
    except (aiohttp.ClientError, OSError):
        if 400 <= answer.status < 500:
            return b""
        raise


def _foreign(error: Exception, *, started: bool) -> MoveworksError:
    kind = type(error).__name__
    if started:
        return OutcomeUnknown(f"{kind} while the request was out; told or not told")
    return NotSent(f"{kind} before anything was sent: look at the session given as `http`")


async def _once(
    request: aiohttp.ClientRequest,
    handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    """Hide a reset from aiohttp, which would send a GET again by itself, past gate and policy."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if isinstance(error, _NEVER_CONNECTED):
            raise
        raise aiohttp.ClientPayloadError("reset") from None


def _cause(error: Exception) -> str:
    """What went wrong, without the URL that aiohttp puts into its texts."""
    if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
        return "the host name does not resolve"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS failed (certificate or protocol)"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "connect timeout"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {error.status}"
    if isinstance(error, TimeoutError):
        return "no whole answer within the timeout"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended in the middle"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection was lost"
