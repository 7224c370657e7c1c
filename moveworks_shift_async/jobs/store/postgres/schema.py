"""The tables: made, and looked for."""

from __future__ import annotations

from ....errors import JournalError
from ....limits.shared.row import tables as gate_tables
from ....storage.postgres import Connection, connected
from .statements import sql

#: Of the tables. A release that needs others takes another number.
VERSION = 3


async def make_tables(url: str) -> bool:
    """Make the schema and its tables, in one transaction; False: they are there already."""
    async with connected(url) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('moveworks_shift.tables'))")
        if await version_of(connection) is not None:
            return False
        await connection.execute("CREATE SCHEMA IF NOT EXISTS moveworks_shift")
        for tables in (sql("tables"), gate_tables()):
            await connection.execute(tables)
        await connection.execute("INSERT INTO version VALUES (%s)", (VERSION,))
        return True


async def may_see_jobs(connection: Connection) -> bool:
    """Whether this role may read the tables, which are there; a sender shares their gate alone."""
    found = await connection.execute("SELECT has_table_privilege('version', 'SELECT')")
    return await found.fetchone() == (True,)


async def version_of(connection: Connection) -> int | None:
    """Of the tables that are there; None: there are none."""
    found = await connection.execute("SELECT to_regclass('moveworks_shift.version')")
    if await found.fetchone() == (None,):
        return None
    (number,) = await (await connection.execute("SELECT number FROM version")).fetchone() or (0,)
    if number != VERSION:
        raise JournalError(
            f"the tables are of another release (their version is {number}, this one needs"
            f" {VERSION}); go on with that release"
        )
    return int(number)
