"""The statements of `journal.sql`, by name, and the tables that they make."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from ....storage import sqlite


@cache
def statements() -> Mapping[str, str]:
    """The statements of `journal.sql`, by name."""
    text = files(__package__).joinpath("journal.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


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
