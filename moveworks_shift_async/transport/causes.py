"""What went wrong on a connection, in words that are ours or the system's."""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp

from ..errors import Concerns, ConnectionFailed

NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class Lost(aiohttp.ClientPayloadError):
    """A connection that broke, with words of ours.

    aiohttp's own classes for it make aiohttp send a GET or a PUT again, past gate and policy.
    """


# What to look at, by OpenSSL's number of what it found at a certificate (x509_vfy.h).
_NOT_NOW = "its certificate is not valid now; see that the clock of this machine is right"
_NO_ISSUER = "who issued its certificate is not known here; SSL_CERT_FILE names a file of more"
_CERTIFICATE_FAULTS = {
    9: _NOT_NOW,
    10: _NOT_NOW,
    18: _NO_ISSUER,
    19: _NO_ISSUER,
    20: _NO_ISSUER,
    62: "its certificate is another host's",
}


def no_connection(base_url: str, error: BaseException) -> ConnectionFailed:
    """The error of a request for which there was no connection."""
    refused = isinstance(error, aiohttp.ClientHttpProxyError) and error.status == 407
    host = base_url.partition("://")[2].partition("/")[0]
    cause = "connect timeout" if isinstance(error, TimeoutError) else cause_of(error)
    return ConnectionFailed(
        f"no connection to {host}: {cause}; nothing was sent",
        concerns=Concerns.EVERYBODY if refused else None,  # it wants a password
    )


def cause_of(error: BaseException) -> str:
    """What went wrong, in words that are ours or the system's."""
    if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
        return "the host name does not resolve"
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return _tls_cause(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {error.status}"
    if isinstance(error, aiohttp.InvalidURL):
        return "base_url is no URL"
    if isinstance(error, TimeoutError):
        return "no whole answer within the timeout"
    if isinstance(error, Lost):
        return str(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended in the middle"
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno > 0:
        return os.strerror(error.errno)
    return "the connection was lost"


def _tls_cause(error: BaseException) -> str:
    found = getattr(error, "certificate_error", error)
    fault = _CERTIFICATE_FAULTS.get(getattr(found, "verify_code", 0))
    return "TLS failed (certificate or protocol)" if fault is None else f"TLS failed: {fault}"
