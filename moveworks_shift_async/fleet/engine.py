"""The engine's connections and names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import procrastinate

from ..storage.postgres import Connection, connected, conninfo
from ..storage.postgres_errors import reported
from ..storage.statements import named_statements

#: Of the jobs, and of what looks after them. They are ours alone: whoever else listens on a queue
#: without our tasks makes the engine give our jobs up as failed.
QUEUE, CARE_QUEUE = "moveworks_shift", "moveworks_shift_care"
#: Before the names of our tasks in an app of our own.
NAMESPACE = "moveworks_shift"
#: Of the engine's tables.
SCHEMA = "moveworks_shift_queue"

# Connections at once at most: the task that ends, the heartbeat, the queue, and one to spare.
_CONNECTIONS = 4
# Seconds to wait for one, and to try to connect before it is reported: the engine's loop goes on
# trying itself.
_TIMEOUT, _RECONNECT = 10.0, 5.0


def make_app(url: str) -> procrastinate.App:
    """An app on this database, without our tasks; not open yet."""
    parameters = conninfo(url)
    # The engine's functions name their tables without a schema.
    parameters["options"] += f" -c search_path={SCHEMA}"
    connector = procrastinate.PsycopgConnector(
        kwargs=parameters,
        min_size=1,
        max_size=_CONNECTIONS,
        timeout=_TIMEOUT,
        reconnect_timeout=_RECONNECT,
    )
    return procrastinate.App(connector=connector)


@contextlib.asynccontextmanager
async def both(url: str) -> AsyncGenerator[Connection]:
    """A connection that sees the engine's tables beside ours; `JournalError` for what breaks."""
    try:
        async with connected(url) as connection:
            await connection.execute(f"SET search_path = {SCHEMA}, moveworks_shift")
            yield connection
    except procrastinate.exceptions.ConnectorException as error:
        raise reported(error.__cause__ or error, url) from None


def sql(name: str) -> str:
    """One statement of `fleet.sql`."""
    return named_statements(__package__, "fleet.sql")[name]


async def row(connection: Connection, name: str, values: Any = ()) -> tuple[Any, ...] | None:
    """The first row that it finds."""
    return await (await connection.execute(sql(name), values)).fetchone()
