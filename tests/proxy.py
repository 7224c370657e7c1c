"""A TCP proxy before PostgreSQL that loses what a test wants lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from attrs import define, field

from .servers import accepting

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# As psycopg ends a transaction: a simple query.
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


@define(eq=False)
class Proxy:
    """Passes bytes on; cuts, swallows or withholds them when told to."""

    _host: str
    #: Where new connections lead.
    port: int
    #: Nothing passes any more, and nobody hears of an end.
    silent: bool = False
    #: New connections are refused.
    closed: bool = False
    #: Whether the answer to this commit is lost, and with it the connection.
    loses: Callable[[], bool] = lambda: False
    #: Commits that were passed on, and answers to them that were lost.
    commits: int = field(default=0, init=False)
    lost: int = field(default=0, init=False)
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False)
    _writers: set[asyncio.StreamWriter] = field(factory=set, init=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        with contextlib.ExitStack() as ends:
            ends.callback(writer.transport.abort)
            if self.closed:
                return
            server_reader, server_writer = await asyncio.open_connection(self._host, self.port)
            ends.callback(server_writer.transport.abort)
            self._writers |= {writer, server_writer}
            await self._both((reader, writer), (server_reader, server_writer))
        self._writers -= {writer, server_writer}

    async def _both(self, client: Pair, server: Pair) -> None:
        losing: list[bool] = []
        ways = [
            asyncio.ensure_future(self._pass(client[0], server[1], losing, up=True)),
            asyncio.ensure_future(self._pass(server[0], client[1], losing, up=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        losing: list[bool],
        *,
        up: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                while self.silent:  # noqa: ASYNC110 - the test ends it
                    await asyncio.sleep(0.01)
                if up and data.endswith(_COMMIT):
                    self.commits += 1
                    if self.loses():
                        losing.append(True)
                elif not up and losing:
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()

    def cut(self) -> None:
        """End all connections at once."""
        for writer in [*self._writers]:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def before(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the server of this URL, and the URL that leads through it."""
    access, _, database = url.removeprefix("postgresql://").rpartition("/")
    user, _, place = access.rpartition("@")
    host, _, port = place.partition(":")
    proxy = Proxy(host, int(port))
    async with accepting(proxy.serve) as ours:
        try:
            yield proxy, f"postgresql://{user}@{urlsplit(ours).netloc}/{database}"
        finally:
            proxy.silent = False
