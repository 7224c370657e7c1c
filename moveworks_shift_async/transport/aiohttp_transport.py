"""The transport that goes through aiohttp.

The answer to "did it go out?" is the body's own: "not sent" needs proof that no byte of it left,
whatever the error is called. An answer counts if it began after the whole request had left, on a
connection that nobody has used before. So no connection is used twice: at 2 requests a second a
handshake costs nothing, while a connection that the server closes just now costs 500 people who
may have been told or not, and what comes late on it would answer the next request.

aiohttp's own exceptions carry URLs, in their texts and in `strerror`, and a SHIFT URL carries a
secret in its query. So they are never chained to ours and never quoted: each is translated and
dropped. The query itself is added as the last thing before the connection: whoever hears of a
session's requests (its `trace_configs`, its middlewares, what Sentry and others hang into every
session of a process) sees the URL without it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

import aiohttp
from attrs import define, field

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import (
    ClientClosed,
    ConfigurationError,
    MoveworksError,
    NotSent,
    OutcomeUnknown,
)
from ..settings import Timeouts
from ..tasks import is_cancelled
from ..wire.http import Request, Response
from .answers import read
from .bound import within
from .causes import NEVER_CONNECTED, Lost, cause_of, no_connection
from .evidence import Body

logger: logging.Logger = logging.getLogger(__name__)
_Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


@define(eq=False)
class AiohttpTransport:
    """Sends through a session of its own, opened at the first request, or through the caller's."""

    timeouts: Timeouts
    #: The caller's session: used, never closed.
    http: aiohttp.ClientSession | None = field(default=None, repr=False)
    #: The one that the variables name; a session of the caller's takes its own.
    proxy: str | None = field(default=None, repr=False)
    clock: Clock = SYSTEM_CLOCK
    _own: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)
    _timeout: aiohttp.ClientTimeout = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.http is not None and self.proxy is not None:
            self.proxy = None  # which one its session uses is the caller's business
            _say_what_is_lost(self.http)
        # `connect` bounds a place in the caller's pool, the name, all addresses and TLS together.
        self._timeout = aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect)

    async def exchange(self, request: Request) -> Response:
        """Send it once and return the whole answer; no redirect is followed."""
        body = Body(request.body or b"")  # without one, an empty one says whether it went out
        try:
            async with within(self.timeouts.total):
                return await self._send(request, body)
        except asyncio.CancelledError as cancelled:
            # Whoever was cancelled while he handled an error of aiohttp's has it in his context.
            cancelled.__cause__ = cancelled.__context__ = None
            if not is_cancelled():
                failure = self._failure(cancelled, request, body)
            elif not body.may_have_left:
                raise cancelled from NotSent("cancelled before the request was sent")
            else:
                raise cancelled from OutcomeUnknown("cancelled after the request was sent")
        except MoveworksError:
            raise
        except Exception as error:  # aiohttp's, or of the caller's session: auth, middlewares
            failure = self._failure(error, request, body)
        finally:
            body.withdraw()
        raise failure

    async def close(self) -> None:
        """Close the session, if this transport opened one."""
        if self._own is not None:
            await self._own.close()

    async def _send(self, request: Request, body: Body) -> Response:
        session = self._session()
        async with session.request(
            request.method,
            request.url,
            headers=request.headers if session is self._own else {**_HEADERS, **request.headers},
            data=body,
            skip_auto_headers=None if "Content-Type" in request.headers else ("Content-Type",),
            allow_redirects=False,
            raise_for_status=False,  # whatever the caller's session does by itself
            auto_decompress=False,
            timeout=self._timeout,
            proxy=self.proxy,
            middlewares=(*_middlewares_of(session), self._last_step(request, body)),
        ) as answer:
            body.check_answer()
            if answer.status < 200:
                raise OutcomeUnknown(f"HTTP {answer.status} is no answer; told or not told")
            return Response(
                status=answer.status,
                headers=answer.headers,
                body=await read(answer),
                asked=request,
                received=self.clock.utcnow(),
            )

    def _session(self) -> aiohttp.ClientSession:
        if self.http is not None:
            if self.http.closed:
                raise ClientClosed("the session given as `http` is closed; nothing was sent")
            return self.http
        if self._own is None:
            # limit=0: the gate is the queue, the pool never is.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._own = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=_HEADERS
            )
        return self._own

    def _last_step(
        self, ours: Request, body: Body
    ) -> Callable[[aiohttp.ClientRequest, _Handler], Awaitable[aiohttp.ClientResponse]]:
        """The innermost middleware: after it comes the connection."""

        async def send(request: aiohttp.ClientRequest, handler: _Handler) -> aiohttp.ClientResponse:
            if request.body is not body:
                raise RuntimeError("a middleware has replaced the body")
            if body.begun:
                raise aiohttp.ClientConnectionError("a request is sent once")
            _check_framing(request, body)
            if ours.method == "GET":  # it has none to measure
                request.headers.popall("Content-Length", None)
            if ours.query:
                request.url = request.url.extend_query(ours.query)
            body.handed_over = True
            if self.http is not None:
                _take_a_new_connection(request)
            try:
                body.answer = await handler(request)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                if isinstance(error, NEVER_CONNECTED):
                    raise
                raise Lost(cause_of(error)) from None
            return body.answer

        return send

    def _failure(self, error: BaseException, request: Request, body: Body) -> MoveworksError:
        """Our error for one of aiohttp's or of the caller's session, without its text."""
        ours = isinstance(error, (aiohttp.ClientError, OSError))
        cause = cause_of(error) if ours else type(error).__name__
        if not body.may_have_left:
            if ours:
                return no_connection(request.base_url, error)
            return NotSent(f"{cause} before anything was sent: {self._advice()}")
        return OutcomeUnknown(f"sent, but no usable answer: {cause}; told or not told")

    def _advice(self) -> str:
        if self.http is not None:
            return "look at the session given as `http`"
        return (
            "something else in this program has changed how aiohttp sends."
            " aioresponses up to 0.7.9 works with aiohttp 3.12 and 3.13, not with 3.14"
        )


# An answer is a few bytes: packing them would only add a way to break.
_HEADERS = {
    "User-Agent": "moveworks-shift-async",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def _middlewares_of(session: aiohttp.ClientSession) -> tuple[aiohttp.ClientMiddlewareType, ...]:
    """The caller's own, which the middlewares of a request would replace."""
    try:
        return tuple(session._middlewares)
    except AttributeError:
        raise ConfigurationError(
            "this version of aiohttp hides the middlewares of a session; nothing was sent"
        ) from None


def _say_what_is_lost(session: aiohttp.ClientSession) -> None:
    """A proxy that the variables name, where nothing of the session's takes its place."""
    plain = type(session.connector) is aiohttp.TCPConnector
    if plain and not session.trust_env and getattr(session, "_default_proxy", None) is None:
        logger.warning(
            "the environment names a proxy, and the session given as `http` does not use it; make"
            " the session with trust_env=True, or with a proxy of its own"
        )


# What a session sends by itself may change where the body ends, what it says, or when it leaves.
_FRAMING = ("Expect", "Transfer-Encoding", "Content-Encoding")


def _check_framing(request: aiohttp.ClientRequest, body: Body) -> None:
    """Raise if the body would leave in another form than it has."""
    changed = [name for name in _FRAMING if name in request.headers]
    if request.headers.getall("Content-Length", []) != [str(body.size)]:
        changed.append("Content-Length")
    if changed:
        raise ConfigurationError(
            f"a default header or a middleware of the session given as `http` sets {changed[0]},"
            " which changes how the body is sent; nothing was sent"
        )


def _take_a_new_connection(request: aiohttp.ClientRequest) -> None:
    """Keep the caller's idle connections out of it, which stay as they are.

    aiohttp looks for an idle connection by a key, and these headers are part of it. They are for
    a proxy; where there is none, nobody sees them.
    """
    headers = {**(request.proxy_headers or {}), "X-Request-Id": uuid.uuid4().hex}
    request.proxy_headers = headers  # type: ignore[assignment]
