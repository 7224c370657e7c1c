"""SQLite files are made for their owner, opened where they are, and their errors told apart."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from moveworks_shift_async.storage import sqlite
from moveworks_shift_async.storage.sqlite import Fault


def told(connection: sqlite.Connection, statement: str) -> Fault:
    """What an error means that this statement meets."""
    with pytest.raises(sqlite.Error) as caught:
        connection.execute(statement).fetchall()
    return sqlite.fault_of(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A new file."""
    made = str(tmp_path / "file")
    sqlite.make(made)
    return made


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the user's mask is; one that is there stays as it is, and a folder is no file."""
    path = tmp_path / "file"
    before = os.umask(0)
    try:
        sqlite.make(str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("mine")
    sqlite.make(str(path))
    assert path.read_text() == "mine"
    with pytest.raises(IsADirectoryError):
        sqlite.make(str(tmp_path))


@pytest.mark.parametrize("name", ["absent", ":memory:", "file:absent?mode=rwc", "a b%20#?.db"])
def test_opening_makes_no_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would make it for everybody to read; every name is a file's."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sqlite.Error) as caught, closing(sqlite.connect(name)) as connection:
        connection.execute("SELECT 1 FROM sqlite_schema")
    assert sqlite.fault_of(caught.value) is Fault.FORBIDDEN
    assert not any(tmp_path.iterdir())
    sqlite.make(name)
    with closing(sqlite.connect(name)) as connection:
        connection.execute("CREATE TABLE a (b)")
    assert Path(name).stat().st_size > 0


def test_a_mark_is_read_as_it_was_set(path: str) -> None:
    """A new file has none."""
    with closing(sqlite.connect(path)) as connection:
        assert sqlite.mark_of(connection) == (0, 0)
        sqlite.set_mark(connection, 77, 3)
    with closing(sqlite.connect(path, "ro")) as connection:
        assert sqlite.mark_of(connection) == (77, 3)


def test_errors_are_told_apart(path: str) -> None:
    """By what they mean for whoever uses the file."""
    with closing(sqlite.connect(path)) as one, closing(sqlite.connect(path, busy_seconds=0)) as two:
        one.execute("CREATE TABLE a (b)")
        one.execute("BEGIN IMMEDIATE")
        assert told(two, "BEGIN IMMEDIATE") is Fault.BUSY
        assert told(two, "SELECT * FROM nothing") is Fault.DAMAGED
        one.execute("INSERT INTO a VALUES (CAST(x'ff' AS TEXT))")
        assert told(one, "SELECT b FROM a") is Fault.DAMAGED
    assert told(one, "SELECT 1") is Fault.OTHER
    with closing(sqlite.connect(path, "ro")) as reader:
        assert told(reader, "CREATE TABLE c (d)") is Fault.FORBIDDEN
    with closing(sqlite.scratch()) as full:
        full.execute("PRAGMA max_page_count = 1")
        assert told(full, "CREATE TABLE a (b)") is Fault.DISK
    Path(path).write_bytes(b"somebody's own text " * 100)
    with closing(sqlite.connect(path)) as foreign:
        assert told(foreign, "SELECT * FROM a") is Fault.FOREIGN


def test_a_number_says_more_where_it_can() -> None:
    """Some are known by the whole number, an unknown one is named."""
    moved = sqlite3.OperationalError("the text may quote")
    moved.sqlite_errorcode, moved.sqlite_errorname = sqlite3.SQLITE_READONLY_DBMOVED, "MOVED"
    assert (sqlite.fault_of(moved), sqlite.name_of(moved)) == (Fault.MOVED, "MOVED")
    moved.sqlite_errorcode = sqlite3.SQLITE_READONLY_CANTINIT
    assert sqlite.fault_of(moved) is Fault.FORBIDDEN
    moved.sqlite_errorcode = sqlite3.SQLITE_MISUSE
    assert sqlite.fault_of(moved) is Fault.OTHER
    assert sqlite.name_of(sqlite3.OperationalError("the text may quote")) == "OperationalError"
