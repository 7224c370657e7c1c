"""The rows of an SQL query, through SQLAlchemy: fetched in parts, and nothing is ever committed.

A database URL holds a password, and SQLAlchemy's errors quote statements and parameters. So no
error of it leaves this file: ours is raised when its handling is over, and holds of the driver's
words only what has neither a secret nor an address in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from .address_text import holds_address
from .block import BLOCK_ROWS, Reading, cells_of
from .columns import Columns
from .files import missing
from .refusals import refuse
from .typed_cells import TypedPart, typed_reading

if TYPE_CHECKING:
    from sqlalchemy import URL, CursorResult

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+_.-]*://")
#: Where a password may stand, for in the URL of a command it shows in the list of processes.
_ELSEWHERE = "PostgreSQL's is taken from PGPASSWORD or ~/.pgpass, or give the URL in a variable"
#: Characters of what a driver says that are shown.
_LONGEST = 300
_T = TypeVar("_T")
_Rows = Sequence[Sequence[Any]]


def is_url(where: str) -> bool:
    """Tell a database URL from a path."""
    return _URL.match(where) is not None


def read_query(
    where: str, query: str | None, wanted: str | None, stack: ExitStack
) -> tuple[str, Reading]:
    """Run the query; return the URL without its secrets, and the rows to be read."""
    access = _access(where)
    if query is None:
        raise refuse(access.name, None, "a database needs a query: a SELECT of the recipients")
    found = _execute(access, query, stack)
    names = [str(name) for name in found.keys()]  # noqa: SIM118  no mapping
    first = _fetch(access, found)
    if not first:
        raise refuse(access.name, None, "the query found no rows: nobody to send to")
    sample = [[cell if isinstance(cell, str) else "" for cell in row] for row in first]
    columns = Columns(
        name=access.name, wanted=wanted, header=names, rows=sample, line=None, unit="row"
    )
    parts = chain([first], iter(partial(_fetch, access, found), []))
    return access.name, typed_reading("sql", columns, lambda _: _parts(parts))


@frozen(kw_only=True)
class _Access:
    """A database, and what must never be said of it."""

    #: The URL without its password and options.
    name: str
    url: URL = field(repr=False)
    secrets: frozenset[str] = field(repr=False)

    def run(self, call: Callable[[], _T], *, quiet: bool = False) -> _T:
        """Call the driver. `quiet` leaves its words out: while rows come they may quote a cell."""
        try:
            return call()
        except Exception as error:
            what = self._said(error, quiet=quiet)
        # Outside of the `except`, so that the driver's error is not this one's `__context__`.
        raise refuse(self.name, None, what)

    def _said(self, error: Exception, *, quiet: bool) -> str:
        cause = getattr(error, "orig", None) or error
        kind, text = type(cause).__name__, " ".join(str(cause).split())[:_LONGEST]
        # The driver says so itself, in words that hold no secret.
        if "password" in text.lower() and not self.url.password:
            return f"the database cannot be read: {kind}: it asks for a password; {_ELSEWHERE}"
        secret = holds_address(text) or any(secret in text for secret in self.secrets)
        if quiet or secret or not text or type(error).__name__ == "DataError":
            return f"the database cannot be read: {kind}"
        return f"the database cannot be read: {kind}: {text}"


def _access(where: str) -> _Access:
    shown = f"{where.partition('://')[0]}://..."
    try:
        from sqlalchemy import make_url  # noqa: PLC0415  it is in the extra `sources`
    except ImportError:
        raise missing(shown, "a database", "SQLAlchemy") from None
    try:
        url = make_url(where)
    except Exception as error:
        kind = type(error).__name__
    else:
        plain = url.set(query={})
        secrets = {str(url.password or ""), *_texts(url.query.values())}
        secrets |= {form(secret) for secret in secrets for form in (quote, quote_plus)}
        name = plain.render_as_string(hide_password=True)
        return _Access(name=name, url=url, secrets=frozenset(filter(None, secrets)))
    raise refuse(shown, None, f"this is no database URL ({kind}); is every part of it quoted?")


def _texts(values: Iterable[str | tuple[str, ...]]) -> Iterator[str]:
    for value in values:
        yield from (value,) if isinstance(value, str) else value


def _execute(access: _Access, query: str, stack: ExitStack) -> CursorResult[Any]:
    """Run the query with a cursor on the server, where there are such."""
    from sqlalchemy import NullPool, create_engine  # noqa: PLC0415  it is in the extra `sources`

    if access.run(access.url.get_dialect).is_async:
        raise refuse(access.name, None, "an async driver; name one that is not, like +psycopg")
    file = access.url.database if access.url.get_backend_name() == "sqlite" else None
    if file and not file.startswith((":", "file:")) and not Path(file).exists():
        raise refuse(access.name, None, "cannot be read: No such file or directory")
    engine = access.run(lambda: create_engine(access.url, poolclass=NullPool))
    connection = access.run(engine.connect)
    stack.callback(_quietly, connection.close)
    options = {"stream_results": True, "yield_per": BLOCK_ROWS, "no_parameters": True}
    found = access.run(lambda: connection.exec_driver_sql(query, execution_options=options))
    stack.callback(_quietly, found.close)
    if not found.returns_rows:
        raise refuse(access.name, None, "the query gives no rows; it must be a SELECT")
    return found


def _fetch(access: _Access, found: CursorResult[Any]) -> _Rows:
    return access.run(lambda: list(found.fetchmany(BLOCK_ROWS)), quiet=True)


def _quietly(close: Callable[[], None]) -> None:
    with suppress(Exception):  # everything was read, or another error says why not
        close()


def _parts(parts: Iterable[_Rows]) -> Iterator[TypedPart]:
    row = 1
    for part in parts:
        yield range(row, row + len(part)), partial(cells_of, part)
        row += len(part)
