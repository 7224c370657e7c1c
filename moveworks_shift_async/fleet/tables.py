"""Our tables and the engine's: made, brought up to date, looked for.

The engine's changes are files whose names sort in their order, and it keeps no record of which were
made: ours does.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from attrs import frozen
from procrastinate.schema import SchemaManager

from ..errors import JournalError
from ..jobs.store.postgres.schema import make_tables
from ..storage.database_url import without_password
from ..storage.postgres import Connection, connected
from .engine import SCHEMA, row, sql


@frozen(kw_only=True)
class Made:
    """What `make_fleet` did."""

    #: Our tables were not there before.
    ours: bool
    #: The engine's were not there before.
    engine: bool
    #: Changes that were made to the engine's tables.
    migrations: int
    #: The release that they are of.
    release: str


async def make_fleet(url: str) -> Made:
    """Make the tables, or bring them up to date; raises `JournalError`."""
    ours = await make_tables(url)
    async with connected(url) as connection:
        await connection.execute("SELECT pg_advisory_lock(hashtext('moveworks_shift.engine'))")
        there, applied = await _engine(connection, url)
        if not there:
            await _make(connection)
        missing = [name for name in _migrations() if there and name > applied]
        for name in missing:
            await _apply(connection, name)
    return Made(ours=ours, engine=not there, migrations=len(missing), release=_release())


async def check_engine(connection: Connection, url: str) -> None:
    """Raise `JournalError` unless the engine's tables are there, and of this release."""
    there, applied = await _engine(connection, url)
    if not there or applied < _newest():
        raise JournalError(
            f"{without_password(url)} lacks tables of procrastinate {_release()}; make them"
            f" with: moveworks-shift fleet init {without_password(url)}"
        )


def grants() -> str:
    """What a worker's role needs, what a submitter's, and what a planner's, as SQL."""
    return files(__package__).joinpath("grants.sql").read_text("utf-8").strip()


async def _engine(connection: Connection, url: str) -> tuple[bool, str]:
    """Whether its tables are there, and which change was the last."""
    there, applied = await row(connection, "engine") or (False, None)
    if there and applied is None:
        raise JournalError(
            f"the tables of procrastinate in the schema {SCHEMA} of {without_password(url)} were"
            " not made by `moveworks-shift fleet init`; remove that schema"
        )
    if there and applied > _newest():
        raise JournalError(
            f"the tables of procrastinate in {without_password(url)} are of a newer release than"
            f" {_release()}, which is installed here; install that one"
        )
    return bool(there), applied or ""


async def _make(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        await connection.execute(f"SET LOCAL search_path = {SCHEMA}")
        await connection.execute(SchemaManager.get_schema())
        await connection.execute("SET LOCAL search_path = moveworks_shift")
        values = {"release": _release(), "migration": _newest()}
        await connection.execute(sql("engine_made"), values)


async def _apply(connection: Connection, migration: str) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL search_path = {SCHEMA}")
        await connection.execute(_change(migration))
        await connection.execute("SET LOCAL search_path = moveworks_shift")
        values = {"release": _release(), "migration": migration}
        await connection.execute(sql("engine_updated"), values)


def _migrations() -> list[str]:
    return sorted(path.name for path in _folder().glob("*.sql"))


def _change(migration: str) -> bytes:
    return (_folder() / migration).read_bytes()


def _folder() -> Path:
    return Path(SchemaManager.get_migrations_path())


def _newest() -> str:
    return _migrations()[-1]


def _release() -> str:
    return version("procrastinate")
