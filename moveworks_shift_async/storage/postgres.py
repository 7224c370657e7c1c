"""PostgreSQL: connections, and one that comes back by itself.

What a URL leaves out comes from libpq's variables and files.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from attrs import define, field

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigurationError, JournalError
from .database_url import without_password
from .postgres_errors import AGAIN, Kind, driver, fault_of, reported

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
Connection: TypeAlias = "psycopg.AsyncConnection[Any]"
#: What is done in a transaction.
Work: TypeAlias = Callable[["Connection"], Awaitable[T]]


# A dead peer is found within 11 seconds, idle or with unsent data: keepalives find the first, the
# user timeout the second. libpq's own defaults wait for minutes.
_LIBPQ: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
    "application_name": "moveworks-shift",
    "client_encoding": "utf8",
}
# The server's own side of the same, and bounds in milliseconds for whoever holds a lock: a process
# that is frozen in a transaction must not stop all others.
_SERVER = (
    "-c search_path=moveworks_shift"
    # What was acknowledged is never lost, whatever the database's own default is.
    " -c synchronous_commit=on"
    " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c lock_timeout=3000 -c idle_in_transaction_session_timeout={idle} -c statement_timeout={}"
)
# Milliseconds between two statements of a transaction: of a step, and of whoever plans or reads,
# who may wait for a disk meanwhile.
_IDLE, _LONG_IDLE = 5_000, 60_000
# Seconds: the most that a step of a run takes, and its transaction with the network.
STATEMENT_SECONDS, _STEP_SECONDS = 5.0, 10.0
# Seconds between two tries to connect: the first, and the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0


def conninfo(url: str, statement_seconds: float = STATEMENT_SECONDS) -> dict[str, Any]:
    """The parameters of a connection; `ConfigurationError` for a URL that libpq cannot read."""
    psycopg = driver()
    try:
        given: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError(
            f"{without_password(url)} is no URL of a database; one looks like"
            " postgresql://host/database"
        ) from None
    idle = _IDLE if statement_seconds else _LONG_IDLE
    options = _SERVER.format(round(statement_seconds * 1000), idle=idle)
    options = f"{given['options']} {options}" if "options" in given else options
    return _LIBPQ | given | {"options": options}


async def connect(url: str, statement_seconds: float = STATEMENT_SECONDS) -> Connection:
    """A new connection; raises psycopg's errors."""
    psycopg = driver()
    made: Connection = await psycopg.AsyncConnection.connect(
        **conninfo(url, statement_seconds), autocommit=True, prepare_threshold=2
    )
    return made


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    """A connection for a while, whose statements may take as long as they need."""
    async with reporting(url):
        connection = await connect(url, 0)
        try:
            yield connection
        finally:
            connection.pgconn.finish()


@define(eq=False, repr=False)
class Session:
    """One connection for the steps of a process, one after the other; it comes back by itself.

    The first connection fails at once, for a wrong host or role looks like a server that is away;
    later ones are tried for as long as it takes.
    """

    url: str
    #: Of what is raised.
    _kind: Kind = JournalError
    _clock: Clock = SYSTEM_CLOCK
    _connection: Connection | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    #: Why the last try failed; None: it did not.
    away: str | None = field(default=None, init=False)

    async def open(self) -> None:
        """Connect; `JournalError` if that cannot be."""
        async with reporting(self.url, self._kind):
            self._connection = await connect(self.url)

    def close(self) -> None:
        """Let go of it at once."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    async def once(self, work: Work[T]) -> T:
        """What it does in a transaction; an error if it, or its commit, fails."""
        try:
            return await self._transact(work)
        except (driver().Error, OSError, TimeoutError) as error:
            raise reported(error, self.url, self._kind) from None

    async def surely(self, work: Work[T]) -> T:
        """What it does in a transaction, again and again while the server is away, busy or full.

        A commit whose answer was lost is done twice: the work must be the same then.
        """

        def told(why: str | None) -> None:
            self.away = why

        return await surely(
            lambda: self._transact(work), self.url, self._kind, told=told, clock=self._clock
        )

    async def _transact(self, work: Work[T]) -> T:
        async with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    async with asyncio.timeout(_STEP_SECONDS):
                        self._connection = await connect(self.url)
                with self._deadline(self._connection):
                    async with self._connection.transaction():
                        return await work(self._connection)
            except BaseException as error:
                # What became of the transaction is not known, or is not worth a round trip.
                if not (isinstance(error, driver().Error) and getattr(error, "sqlstate", None)):
                    self.close()
                raise

    @contextlib.contextmanager
    def _deadline(self, connection: Connection) -> Generator[None]:
        """Cut the connection when a step takes too long.

        A task that is cancelled in a step would wait for the server twice more; one whose
        connection ends hears of it at once.
        """
        timer = self._clock.call_later(_STEP_SECONDS, lambda: _cut(connection))
        try:
            yield
        finally:
            timer.cancel()


def _cut(connection: Connection) -> None:
    with contextlib.suppress(driver().Error, OSError):
        own = socket.socket(fileno=os.dup(connection.pgconn.socket))
        with own:
            own.shutdown(socket.SHUT_RDWR)


async def surely(
    act: Callable[[], Awaitable[T]],
    url: str,
    kind: Kind = JournalError,
    *,
    told: Callable[[str | None], None] = lambda why: None,
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """Do it until the server is there, not busy, and has room.

    `told` hears why it is not, and of the end of that. Whatever else the server says is raised as
    an error of this kind.
    """
    wait = _FIRST_WAIT
    while True:
        try:
            result = await act()
        except (driver().Error, OSError, TimeoutError) as error:
            failure = reported(error, url, kind)
            if fault_of(error) not in AGAIN:
                raise failure from None
            told(str(failure))
        else:
            told(None)
            return result
        # Not all at once, when a server is back; nothing secret hangs on it.
        await clock.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
        wait = min(2 * wait, _LONGEST_WAIT)


async def read_surely(url: str, read: Work[T]) -> T:
    """What it reads as of one moment, on a connection of its own; again while there is none."""

    async def once() -> T:
        connection = await connect(url, 0)
        try:
            async with snapshot(connection):
                return await read(connection)
        finally:
            connection.pgconn.finish()

    return await surely(once, url)


@contextlib.asynccontextmanager
async def reporting(url: str, kind: Kind = JournalError) -> AsyncGenerator[None]:
    """What psycopg raises inside, as one of ours."""
    try:
        yield
    except driver().Error as error:
        raise reported(error, url, kind) from None


@contextlib.asynccontextmanager
async def snapshot(connection: Connection) -> AsyncGenerator[None]:
    """All that is read inside is as of one moment, and nobody waits for it."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
