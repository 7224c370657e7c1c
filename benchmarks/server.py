"""The servers that the benchmarks talk to, on loopback, most in a process of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from typing import Any, ClassVar, cast

from attrs import frozen

from moveworks_shift_async import ApiKey, MoveworksClient, RateLimit
from moveworks_shift_async.sandbox import Sandbox

# Seconds that a server has to start or to stop.
_SECONDS = 20.0
_BODY = b'{"data":{"status":"RECEIVED"}}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


@frozen
class Tally:
    """What a server has done since its start."""

    #: POSTs read to the last byte and answered.
    answered: int
    #: CPU seconds of its process.
    cpu: float


@frozen
class Server:
    """A server that runs in another process."""

    url: str
    _pipe: Connection

    def ask(self) -> Any:
        """What the server says of itself: a `Tally`, or the sandbox's stats."""
        self._pipe.send(None)
        return self._pipe.recv()


@asynccontextmanager
async def sandbox_and_client(limit: RateLimit) -> AsyncIterator[tuple[Sandbox, MoveworksClient]]:
    """A sandbox in this process, with the limit that its client keeps."""
    async with (
        Sandbox(limit=limit.requests, window=limit.per) as sandbox,
        MoveworksClient(ApiKey(sandbox.api_key), base_url=sandbox.url, rate_limit=limit) as client,
    ):
        yield sandbox, client


@contextmanager
def serving(target: Callable[..., None], *args: object) -> Iterator[Server]:
    """Run `target(pipe, *args)` in a process until the block ends."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_SECONDS):
            raise TimeoutError("the server did not start")
        yield Server(ours.recv(), ours)
    finally:
        process.terminate()
        process.join(_SECONDS)


def answer_all(pipe: Connection) -> None:
    """A server that reads each POST and answers 200; asked, it tells its `Tally`."""
    asyncio.run(_answer_all(pipe))


def check_all(pipe: Connection) -> None:
    """The sandbox with its limit open: reads the JSON, checks each address; tells its `Tally`."""
    asyncio.run(_check_all(pipe))


def be_sandbox(pipe: Connection, limit: int, window: float) -> None:
    """The package's sandbox with a sliding log; asked, it tells its own stats."""
    asyncio.run(_be_sandbox(pipe, limit, window))


async def _answer_all(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await _report(
        pipe,
        f"http://127.0.0.1:{port}",
        lambda: Tally(_Answering.answered, time.process_time()),
    )


async def _check_all(pipe: Connection) -> None:
    answered = 0

    def tally() -> Tally:
        nonlocal answered
        answered += sandbox.stats().accepted
        sandbox.reset()  # 500 addresses a request would fill the memory
        return Tally(answered, time.process_time())

    async with Sandbox(limit=10**9) as sandbox:
        await _report(pipe, sandbox.url, tally)


async def _be_sandbox(pipe: Connection, limit: int, window: float) -> None:
    async with Sandbox(limit=limit, window=window, limiter="sliding-log") as sandbox:
        await _report(pipe, sandbox.url, sandbox.stats)


async def _report(pipe: Connection, url: str, ask: Callable[[], Any]) -> None:
    """Tell the address, then answer each question until the process is told to end."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def answer() -> None:
        try:
            pipe.recv()
            pipe.send(ask())
        except (EOFError, OSError):  # the benchmark has gone
            done.set()

    loop.add_signal_handler(signal.SIGTERM, done.set)
    loop.add_reader(pipe.fileno(), answer)
    pipe.send(url)
    await done.wait()
    loop.remove_reader(pipe.fileno())


class _Answering(asyncio.Protocol):
    """Counts the bytes of one request after the other and answers each; no pipelining."""

    #: Requests answered on all connections.
    answered: ClassVar[int] = 0

    def __init__(self) -> None:
        self._head = b""
        #: Bytes of the body still to come; None while the head is incomplete.
        self._missing: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._missing is None:
            self._read_head(data)
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._transport.write(_ANSWER)
            _Answering.answered += 1
            self._missing, self._head = None, b""

    def _read_head(self, data: bytes) -> None:
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if end:
            length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self._missing = int(length) - len(body)
