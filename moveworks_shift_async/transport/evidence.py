"""What is known of one request: did its body begin to leave, and is what came the answer to it?

Theory of operation. aiohttp writes the head of a request together with the first bytes of its
body, and asks the body to write itself. So the body knows, better than any exception says, whether
anything has left: it writes itself once, and after a failure it is withdrawn, so that "not sent"
stays true. While it leaves, a listener stands between the connection and aiohttp. What comes
before the last byte of the body was handed to the system is no answer to it, and neither is the
second half of what had begun to come before.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from ..errors import ConnectionFailed, OutcomeUnknown

# Every answer begins so (RFC 9112, section 4).
_BEGINNING = b"HTTP/"
# Under TLS the event loop keeps up to 64 KiB of its own that nobody can see. Writing in pieces of
# as much bounds what may still wait there when the last one is handed over.
_PIECE = 65_536


class Body(aiohttp.Payload):
    """The body of one request. It leaves at most once, whoever sends the request again."""

    _autoclose = True

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content
        self._size = len(content)
        self._withdrawn = False
        self._listener: _Listener | None = None
        #: aiohttp was asked to send the request.
        self.handed_over = False
        #: The first byte may have left.
        self.begun: bool = False
        #: Somebody has read it, and may have sent it by a way that is not ours.
        self.copied: bool = False
        #: What the server answered.
        self.answer: aiohttp.ClientResponse | None = None

    @property
    def may_have_left(self) -> bool:
        """False is proof: nothing has left. After `withdraw` it stays so."""
        return self.begun or self.copied

    def check_answer(self) -> None:
        """Raise unless what has come on the connection began after all of the body had left."""
        if self.begun and not (self._listener and self._listener.answered):
            raise OutcomeUnknown(
                "the server spoke before it had the whole request; told or not told"
            )
        if self.handed_over and not self.may_have_left:
            raise ConnectionFailed("the server spoke before it was asked; nothing was sent")

    def withdraw(self) -> None:
        """Let nothing of it leave from now on, and leave no answer open.

        In debug mode aiohttp writes the URL of one that is dropped open into the log.
        """
        self._withdrawn = True
        if self.answer is not None:
            self.answer.close()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        self.copied = True
        return self._content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write it to a connection on which nothing has come yet; raise before the first byte if
        it may not leave."""
        if self.begun or self._withdrawn:
            raise aiohttp.ClientConnectionError("a request is sent once")
        transport: Any = writer.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionError("the connection was lost before the request")
        protocol = transport.get_protocol()  # aiohttp's ResponseHandler
        if protocol.should_close:  # true on a new connection if something has come, or it broke
            raise aiohttp.ClientConnectionError("the server spoke before it was asked")
        protocol.force_close()  # whatever comes later on this connection answers nobody
        self._listener = _Listener(transport, protocol)
        self.begun = True
        # Not 0: asyncio's TLS transport would then pause for ever with nothing to write.
        transport.set_write_buffer_limits(high=1, low=0)
        for start in range(0, max(1, len(self._content)), _PIECE):
            await writer.write(memoryview(self._content)[start : start + _PIECE])
            await writer.drain()  # until the connection keeps nothing back
        self._listener.asked = True


class _Listener(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and notes how the answer begins, and when."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        self._transport, self._protocol = transport, protocol
        self._first = b""
        self._early = False
        #: The whole request has left.
        self.asked = False
        transport.set_protocol(self)

    @property
    def answered(self) -> bool:
        return self.asked and not self._early and self._first == _BEGINNING

    def data_received(self, data: bytes) -> None:
        self._early = self._early or not self.asked
        self._first = (self._first + data)[: len(_BEGINNING)]
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
