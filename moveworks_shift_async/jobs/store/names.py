"""Where a job is kept, as the user names it: the one place where a name is taken apart."""

from __future__ import annotations

import os

from .ports import Store
from .sqlite.job_store import SqliteStore


def name_of(given: str | os.PathLike[str]) -> str:
    """A job's name, as text."""
    return os.fspath(given)


def store_of(name: str) -> Store:
    """The store of a job of this name; `JournalError` if it can lead nowhere."""
    # Another kind is known by its beginning, in a line of its own before this one.
    return SqliteStore.at(name)
