"""Where a job is kept, as the user names it: the one place where a name is taken apart."""

from __future__ import annotations

import os

from .ports import Store
from .postgres.store import SCHEMES, PostgresStore
from .sqlite.store import SqliteStore


def name_of(given: str | os.PathLike[str]) -> str:
    """A job's name, as text."""
    return os.fspath(given)


def store_of(name: str) -> Store:
    """The store of a job of this name; `JournalError` if it can lead nowhere."""
    if name.startswith(SCHEMES):
        return PostgresStore.at(name)
    return SqliteStore.at(name)
