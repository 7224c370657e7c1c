"""The way to the server: proxy, name, connection and TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ...errors import ConnectionFailed
from ...settings import proxy_from_env
from ...transport.causes import no_connection
from .finding import Finding, ok, skipped
from .setup import TIMEOUTS, Setup

_NO_SERVER = "it is not known which server"
_NO_WAY = "it is not known which way leads to the server"
_PORTS = {"https": 443, "http": 80}


async def proxy(setup: Setup) -> Finding:
    """Which one requests go through."""
    if setup.base_url is None:
        return skipped("proxy", _NO_SERVER)
    found = proxy_from_env(setup.base_url)
    setup.next_url = found or setup.base_url
    if found is None:
        return ok("proxy", "none for this server")
    # Its user and password are nobody's business.
    host, port = _place(urlsplit(found))
    scheme = urlsplit(setup.base_url).scheme
    return ok("proxy", f"{host}:{port}, from {scheme.upper()}_PROXY or the system's settings")


async def name(setup: Setup) -> Finding:
    """Whether the name of the next machine on the way leads somewhere."""
    if setup.next_url is None:
        return skipped("name", _NO_WAY)
    host, port = _place(urlsplit(setup.next_url))
    try:
        async with asyncio.timeout(TIMEOUTS.connect):
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except (OSError, UnicodeError):  # of a label that is too long
        raise ConnectionFailed(f"the host name {host} does not resolve") from None
    setup.resolved = True
    addresses = sorted({str(address[4][0]) for address in found})
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return ok("name", f"{host} leads to {addresses[0]}{more}")


async def connection(setup: Setup) -> Finding:
    """Whether a connection comes about, and what TLS says of it."""
    if setup.next_url is None:
        return skipped("connection", _NO_WAY)
    if not setup.resolved:
        return skipped("connection", "the name does not resolve")
    host, port = _place(urlsplit(setup.next_url))
    direct = setup.next_url == setup.base_url
    tls = direct and setup.next_url.startswith("https:")
    try:
        async with asyncio.timeout(TIMEOUTS.connect):
            _, writer = await asyncio.open_connection(host, port, ssl=tls or None)
    except (OSError, TimeoutError) as error:
        raise no_connection(f"tcp://{host}:{port}", error) from None
    told = _tls(writer) if tls else "without TLS, on this machine" if direct else "to the proxy"
    writer.transport.abort()
    setup.connected = True
    return ok("connection", f"{host}:{port}, {told}")


def _tls(writer: asyncio.StreamWriter) -> str:
    used: ssl.SSLObject = writer.get_extra_info("ssl_object")
    certificate: Any = used.getpeercert() or {}
    return f"{used.version()}, certificate valid until {certificate.get('notAfter', 'some day')}"


def _place(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or _PORTS.get(url.scheme, 80)
