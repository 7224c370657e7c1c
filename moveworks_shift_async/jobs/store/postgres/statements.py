"""The statements of `jobs.sql`, by name."""

from __future__ import annotations

from typing import Any, TypeVar

from ....storage.postgres import Connection
from ....storage.statements import named_statements
from ...schedule.schedule import Schedule
from ..rows import value_of

T = TypeVar("T")
Row = tuple[Any, ...]


def sql(name: str) -> str:
    """One statement."""
    return named_statements(__package__, "jobs.sql")[name]


async def run(connection: Connection, name: str, values: Any = ()) -> int:
    """Run it; how many rows it changed."""
    return (await connection.execute(sql(name), values)).rowcount


async def rows(connection: Connection, name: str, values: Any = ()) -> list[Row]:
    """All that it finds."""
    return await (await connection.execute(sql(name), values)).fetchall()


async def values(connection: Connection, kind: type[T], name: str, given: Any = ()) -> list[T]:
    """A value of this class for each row that it finds."""
    return [value_of(kind, found) for found in await rows(connection, name, given)]


async def row(connection: Connection, name: str, values: Any = ()) -> Row | None:
    """The first that it finds."""
    return await (await connection.execute(sql(name), values)).fetchone()


async def value(connection: Connection, name: str, values: Any = ()) -> Any:
    """The one value of a statement that always finds one."""
    found = await row(connection, name, values)
    assert found is not None  # noqa: S101 - for the type checker
    return found[0]


async def set_schedule(connection: Connection, job: int, schedule: Schedule) -> None:
    """When the job may send from now on."""
    await run(connection, "set_schedule", (*schedule.columns, job))
