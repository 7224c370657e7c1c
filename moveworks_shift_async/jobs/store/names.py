"""Where a job is kept, as the user names it: the one place where a name is taken apart."""

from __future__ import annotations

import os

from attrs import evolve

from ...errors import InvalidInput
from ...storage.database_url import is_other_url, is_url, without_password
from .ports import Store
from .postgres.run_store import LEAST_LEASE, MOST_LEASE
from .postgres.store import PostgresStore
from .sqlite.job_store import SqliteStore


def name_of(given: str | os.PathLike[str]) -> str:
    """A job's name, as text."""
    return os.fspath(given)


def store_of(name: str) -> Store:
    """The store of a job of this name; `InvalidInput` or `JournalError` if it can lead nowhere."""
    if is_other_url(name):
        raise InvalidInput(
            f"{without_password(name)} names no job: a job is a file, or is in"
            " postgresql://host/database#name"
        )
    if is_url(name):
        return PostgresStore.at(name)
    return SqliteStore.at(name)


def with_lease(store: Store, seconds: float) -> Store:
    """The same job, in which a run of this process may be silent for so many seconds."""
    if not isinstance(store, PostgresStore):
        raise InvalidInput(
            "a lease is for a job in PostgreSQL: a file is locked for as long as its process lives"
        )
    check_lease(seconds)
    return evolve(store, lease=seconds)


def check_lease(seconds: float) -> None:
    """Raise `InvalidInput` for a lease that no run could keep."""
    if not LEAST_LEASE <= seconds <= MOST_LEASE:
        raise InvalidInput(f"a lease is {LEAST_LEASE:g} to {MOST_LEASE:g} seconds")
