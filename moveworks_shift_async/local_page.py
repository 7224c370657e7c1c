"""Pages that are served on this machine: what a browser is told of them, and whom they obey.

Any page of the web that is open in a browser here can send requests to this machine's ports. So:
what changes state is taken from the page itself or from no browser at all; nothing is given to a
name that is not this machine's, since its owner may point it here at any time (DNS rebinding; a
number cannot be pointed); and the browser is told to load nothing from elsewhere, and to show the
page in no frame of anybody. `Feed` keeps a page live.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from aiohttp import web
from attrs import define, field

#: Scripts and styles are files of the page: none stands inside of it, where foreign text may be.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
#: What asks for nothing to be changed.
_READING = ("GET", "HEAD")

# Seconds between two events: whatever happens meanwhile is in the later one, and eyes see it live.
_PACE = 0.1
# Seconds without news until a word is sent all the same: it shows that a browser has gone.
_HEARTBEAT = 15.0
# Seconds for which a browser may take nothing; it asks again by itself.
_PATIENCE = 30.0
# Bytes that the system may hold of what a browser has not taken: some events, not minutes of them.
_HELD = 64 * 1024


def headers(policy: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every answer of a page says to a browser.

    `policy` are directives of the content security policy that are not as usual: the usual one lets
    nothing in but what the same server gives, and nothing that stands inside of the page. An empty
    value is a directive without one, such as `sandbox`.
    """
    directives = _POLICY | dict(policy or {})
    return {
        "Content-Security-Policy": "; ".join(
            f"{name} {value}".strip() for name, value in directives.items()
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def foreign(request: web.BaseRequest, served_as: str = "localhost") -> str | None:
    """Why a request must not be answered, in words; None where it may be.

    Everything but GET and HEAD counts as a change, which only the page itself may ask for, or what
    is no browser and names no origin. `served_as` is the host that the server was given; numbers
    and `localhost` are always good.
    """
    host = request.headers.get("Host", "")
    if not _is_ours(host, served_as):
        return "this page is served to a browser on this machine, under no other name"
    if request.method in _READING:
        return None
    origin = request.headers.get("Origin", f"{request.scheme}://{host}")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if origin != f"{request.scheme}://{host}" or site not in ("same-origin", "none"):
        return "another page asks for this, and only this one may"
    return None


def asked_by_page(request: web.BaseRequest) -> bool:
    """Whether a page in a browser asks, of whatever origin; not somebody at the address bar."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    return "Origin" in request.headers or site != "none"


def _is_ours(host: str, served_as: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", served_as) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def log_of(module: str) -> logging.Logger:
    """A log for defects of a server itself, without what came over the wire."""
    logger = logging.getLogger(module)
    logger.addFilter(_is_our_own)
    return logger


def _is_our_own(record: logging.LogRecord) -> bool:
    # aiohttp reports broken HTTP with an excerpt of the bytes, which may be somebody's body. A
    # browser that tries HTTPS first, as they do, is broken HTTP already.
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not kind.__module__.startswith("aiohttp.")


@define(eq=False, kw_only=True)
class Feed:
    """The newest state to every browser that listens, as server-sent events.

    Nothing is queued: a browser that has not taken the last event gets no other until it has, and
    then the state as it is by that time. One that takes nothing for half a minute is let go.
    """

    #: The state as one line of text, such as JSON; asked for only where somebody listens.
    state: Callable[[], str]
    #: Set when there is news; the next news has an event of its own.
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _listeners: set[asyncio.Transport] = field(factory=set, init=False)
    _closed: bool = field(default=False, init=False)

    def changed(self) -> None:
        """The state is another now. Cheap, however often; in the event loop."""
        if self._timer is None and self._listeners:
            self._timer = asyncio.get_running_loop().call_later(_PACE, self._tell)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a browser's `EventSource`, until it goes or the feed is closed."""
        response = web.StreamResponse(headers=headers() | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if (transport := request.transport) is None:
            return response  # the browser has gone already
        _hold_little(transport)
        self._listeners.add(transport)
        try:
            await self._send(transport, response)
        except ConnectionError:
            pass  # it has gone meanwhile
        finally:
            self._listeners.discard(transport)
        return response

    def close(self) -> None:
        """End every answer, so that the server can close; in the event loop."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._tell()
        for transport in self._listeners:
            if _is_behind(transport):
                transport.abort()

    def _tell(self) -> None:
        self._timer = None
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _send(self, transport: asyncio.Transport, response: web.StreamResponse) -> None:
        sent, last = "", asyncio.get_running_loop().time()
        while not self._closed:
            news, text = self._news, self.state()
            now = asyncio.get_running_loop().time()
            if not _is_behind(transport):
                last = now
                if text != sent:
                    sent = text
                    await response.write(f"data: {text}\n\n".encode())
            elif now - last > _PATIENCE:
                transport.abort()
                return
            else:
                self.changed()  # which wakes this one as well, to look again
            await self._wait(news, response)

    async def _wait(self, news: asyncio.Event, response: web.StreamResponse) -> None:
        try:
            # The loop's own time: a browser is no part of what tests make short.
            async with asyncio.timeout(_HEARTBEAT):
                await news.wait()
        except TimeoutError:
            await response.write(b":\n\n")


def _hold_little(transport: asyncio.Transport) -> None:
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD)


def _is_behind(transport: asyncio.Transport) -> bool:
    """Has the browser something to take yet?"""
    return transport.get_write_buffer_size() > 0
