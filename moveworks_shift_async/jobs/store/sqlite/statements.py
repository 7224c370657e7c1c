"""The statements of `journal.sql`, by name, and the tables that they make."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cache

from ....storage import sqlite
from ....storage.statements import named_statements


def statements() -> Mapping[str, str]:
    """The statements of `journal.sql`, by name."""
    return named_statements(__package__, "journal.sql")


def tables() -> list[str]:
    """What makes an empty journal."""
    named = statements()
    return [*named["tables"].split(";"), named["count_steps"]]


@cache
def schema() -> list[tuple[str, ...]]:
    """As SQLite keeps the statements that make the tables."""
    with contextlib.closing(sqlite.scratch()) as db:
        for statement in tables():
            db.execute(statement)
        found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return sorted(found)
