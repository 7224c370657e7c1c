"""Parquet files, Excel workbooks, SQL queries: real ones, whole, broken, without a library."""

from __future__ import annotations

import datetime
import sqlite3
import sys
import threading
import warnings
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import sqlalchemy
from sqlalchemy.exc import DataError, OperationalError

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.sources import bounded_zip, open_recipients, sql

from .gathering import gather

HEADER = ["id", "E-Mail", "First name", "joined"]
DAY = datetime.date(2026, 3, 9)


def refusal(where: Path | str, **given: Any) -> str:
    """The error, which has one line and no address."""
    with pytest.raises(InvalidInput) as caught:
        gather(where, **given)
    message = str(caught.value)
    assert "\n" not in message
    assert "@" not in message.replace("@localhost", "")
    return message


# --- Excel --------------------------------------------------------------------------------


def book(path: Path, **sheets: Sequence[Sequence[object]]) -> Path:
    """Write a workbook under any name: only the content counts."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_a_workbook_is_read(tmp_path: Path) -> None:
    """The rows have Excel's numbers; values are written as they look there."""
    rows: list[Sequence[object]] = [
        ["Our people"],
        [],
        HEADER,
        [1.0, "Ann <a@x.io>", "Ann", DAY],
        [2.5, None, True, datetime.datetime(2026, 3, 9, 8, 30)],  # noqa: DTZ001  as Excel's are
        [None, "  ", ""],
        [3, "c@x.io"],
    ]
    found = gather(book(tmp_path / "p.csv", People=rows), columns=["id", "first name", "joined"])
    assert found.format == "xlsx"
    assert found.describe() == f'{tmp_path}/p.csv: Excel, 3 rows, column "E-Mail"'
    assert (found.encoding, found.delimiter, found.column_number) == (None, None, 2)
    assert found.source.names == tuple(HEADER)
    assert found.entries == ("a@x.io", "", "c@x.io")
    assert found.lines == (4, 5, 7)
    assert found.values == {
        "id": ("1", "2.5", "3"),
        "first name": ("Ann", "true", None),
        "joined": ("2026-03-09", "2026-03-09T08:30:00", None),
    }


def test_the_first_sheet_with_rows_is_read_and_named(tmp_path: Path) -> None:
    """Empty sheets before it do not count, and a header is not needed."""
    path = book(tmp_path / "p.xlsx", Cover=[], Staff=[["Ann", "a@x.io"], ["Bob", "b@x.io"]],
                Left=[["Email"], ["z@x.io"]])  # fmt: skip
    found = gather(path)
    assert found.describe().endswith('Excel, sheet "Staff", 2 rows, column 2 (no header)')
    assert found.entries == ("a@x.io", "b@x.io")
    assert "there is no column" in refusal(path, column="Boss")


def test_many_rows_of_a_workbook_are_blocks(tmp_path: Path) -> None:
    """More than one block, with the right numbers."""
    rows = [["Email"], *([f"a{n}@x.io"] for n in range(5_000))]
    found = gather(book(tmp_path / "p.xlsx", People=rows))
    assert found.lines == (*range(2, 5_002),)
    assert found.entries[-1] == "a4999@x.io"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "the workbook is empty"),
        ([["Name", "Email"]], "row 1: a header and no rows below it"),
        (
            [["Name", "Town"], ["Ann", "Rome"]],
            "row 1: no column holds e-mail addresses; the columns",
        ),
        ([["Email"], ["nobody"]], 'row 2: none of 1 entries of column "Email"'),
    ],
)
def test_a_workbook_without_people_is_an_error(
    tmp_path: Path, rows: list[list[object]], said: str
) -> None:
    """As in a table of text, with the row's number."""
    assert said in refusal(book(tmp_path / "p.xlsx", People=rows))


def test_other_archives_and_broken_workbooks_are_refused(tmp_path: Path) -> None:
    """Each says what it is and what to do."""
    path = tmp_path / "p.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "a@x.io")
    assert "an Excel workbook (xlsx) or a zip archive" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<oops")
    assert "a broken Excel workbook" in refusal(path)


def test_a_sheet_that_breaks_further_down_is_an_error(tmp_path: Path) -> None:
    """When the reading gets there; warnings of the library stay away."""
    rows = [["Email"], *([f"a{n}@x.io"] for n in range(5_000))]
    whole = book(tmp_path / "whole.xlsx", People=rows)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "p.xlsx", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[: len(data) * 9 // 10] if "sheet1" in name else data)
    with open_recipients(tmp_path / "p.xlsx") as source, warnings.catch_warnings():
        parts = source.blocks()
        next(parts)
        with pytest.raises(InvalidInput, match=r"a broken Excel workbook \(ParseError\); export"):
            list(parts)


def test_texts_without_end_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small zip may hold any number of zeros."""
    monkeypatch.setattr(bounded_zip, "_MOST_PART", 100)
    path = book(tmp_path / "p.xlsx", People=[["Email"], ["a@x.io"]])
    assert "its texts or styles are too long" in refusal(path)


# --- Parquet ------------------------------------------------------------------------------


def parquet(path: Path, **columns: Any) -> Path:
    """Write a Parquet file."""
    pq.write_table(pa.table(columns), path, row_group_size=3_000)
    return path


def test_a_parquet_file_is_read(tmp_path: Path) -> None:
    """Only the columns asked for, as text; the line is the number of the record."""
    moment = datetime.datetime(2026, 3, 9, 8, 30, tzinfo=datetime.UTC)
    path = parquet(
        tmp_path / "p.csv",
        n=[1, None, 3],
        mail=pa.array(["A <a@x.io>", None, "c@x.io"]).dictionary_encode(),
        price=[Decimal("1.50"), Decimal("2.00"), None],
        day=[DAY, None, DAY],
        at=pa.array([moment, None, moment], pa.timestamp("ns", "UTC")),
        hour=pa.array([1_000_000_001, None, None], pa.time64("ns")),
        raw=[b"Ann", b"B\xc3\xb6b", None],
        deep=[{"x": 1}, None, None],
    )
    columns = ["n", "price", "day", "at", "hour", "raw"]
    found = gather(path, columns=columns)
    assert found.describe() == f'{path}: Parquet, 3 rows, column "mail"'
    assert (found.format, found.column_number, found.encoding) == ("parquet", 2, None)
    assert found.source.names == ("n", "mail", "price", "day", "at", "hour", "raw", "deep")
    assert found.entries == ("a@x.io", "", "c@x.io")
    assert found.lines == (1, 2, 3)
    assert found.values == {
        "n": ("1", None, "3"),
        "price": ("1.50", "2.00", None),
        "day": ("2026-03-09", None, "2026-03-09"),
        "at": ("2026-03-09T08:30:00+00:00", None, "2026-03-09T08:30:00+00:00"),
        "hour": ("00:00:01", None, None),
        "raw": ("Ann", "Böb", None),
    }
    assert 'row 1: the value of "deep" is nested' in refusal(path, columns=["deep"])
    assert 'row 1: the value of "deep" is nested' in refusal(path, column="deep")
    assert 'there is no column "City"; the columns are "n", "mail"' in refusal(
        path, columns=["City"]
    )


def test_many_records_are_blocks(tmp_path: Path) -> None:
    """Across row groups; the column is found by its content, or taken as asked."""
    people = [f"a{n}@x.io" for n in range(10_000)]
    path = parquet(tmp_path / "p", b=["x"] * 10_000, a=people, c=[b"\xff"] * 10_000)
    found = gather(path, columns=["b"])
    assert found.entries == tuple(people)
    assert found.lines == (*range(1, 10_001),)
    assert 'row 1: the value of "c" is no text' in refusal(path, column="3")


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """By their place; a template cannot name them."""
    cells = [["x"], ["a@x.io"], ["y"]]
    table = pa.Table.from_arrays([*map(pa.array, cells)], names=["n", "n", "m"])
    pq.write_table(table, tmp_path / "p")
    assert gather(tmp_path / "p", columns=["m"]).entries == ("a@x.io",)
    assert '2 columns could be "n"' in refusal(tmp_path / "p", columns=["n"])


def test_a_parquet_file_without_people_is_an_error(tmp_path: Path) -> None:
    """No rows, or no column of addresses."""
    assert "no rows: nobody to send to" in refusal(
        parquet(tmp_path / "p", mail=pa.array([], pa.string()))
    )
    assert "no column holds e-mail addresses" in refusal(parquet(tmp_path / "p", n=[1, 2]))


def test_a_broken_parquet_file_is_an_error(tmp_path: Path) -> None:
    """At the opening, or where its pages are broken."""
    path = parquet(tmp_path / "p", mail=[f"a{n}@x.io" for n in range(20_000)])
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-100])
    assert "a broken Parquet file (ArrowInvalid); write it again" in refusal(path)
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xff" * 20_000
    path.write_bytes(data)
    with open_recipients(path) as source:
        parts = source.blocks()
        next(parts)
        with pytest.raises(InvalidInput, match="a broken Parquet file"):
            list(parts)


# --- SQL ----------------------------------------------------------------------------------


@pytest.fixture
def staff(tmp_path: Path) -> str:
    """The URL of a database of three people."""
    path = tmp_path / "staff.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table staff (mail text, name text, n real, bits blob)")
        rows = [
            ("A <a@x.io>", "Ann", 3.0, None),
            (None, "100%", 2.5, None),
            ("c@x.io", None, 1, b"\xff"),
        ]
        connection.executemany("insert into staff values (?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{path}"


def test_a_query_is_read(staff: str) -> None:
    """As it stands: neither : nor % is anything special in it."""
    query = "select mail, name, n, ':x %s' as odd from staff where name is null or name like '%'"
    found = gather(staff, query=query, columns=["name", "N", "odd"])
    assert found.describe() == f'{staff}: SQL, 3 rows, column "mail"'
    assert (found.format, found.column_number) == ("sql", 1)
    assert found.source.names == ("mail", "name", "n", "odd")
    assert found.entries == ("a@x.io", "", "c@x.io")
    assert found.lines == (1, 2, 3)
    assert found.values == {
        "name": ("Ann", "100%", None),
        "N": ("3", "2.5", "1"),
        "odd": (":x %s",) * 3,
    }


def test_many_rows_of_a_query_are_blocks_in_any_thread(tmp_path: Path) -> None:
    """Fetched in parts, also by another thread than the one that opened it."""
    with sqlite3.connect(tmp_path / "p.db") as connection:
        connection.execute("create table p (mail text)")
        connection.executemany("insert into p values (?)", [(f"a{n}@x.io",) for n in range(5_000)])
    connection.close()
    sizes: list[int] = []
    with open_recipients(f"sqlite:///{tmp_path}/p.db", query="select * from p") as source:
        thread = threading.Thread(
            target=lambda: sizes.extend(len(part.lines) for part in source.blocks())
        )
        thread.start()
        thread.join()
    assert sum(sizes) == 5_000
    assert len(sizes) > 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (None, "a database needs a query"),
        ("select mail from gone", "OperationalError: no such table: gone"),
        ("select mail from staff where mail = 'a@x.io' x", "the database cannot be read: "),
        ("select mail from staff where 1 = 2", "the query found no rows"),
        ("insert into staff (mail) values ('z@x.io')", "it must be a SELECT"),
        ("select n from staff", 'no column holds e-mail addresses; the columns are "n"'),
        ("select mail, bits from staff", 'row 3: the value of "bits" is no text'),
    ],
)
def test_a_query_that_gives_nobody_is_an_error(staff: str, query: str | None, said: str) -> None:
    """One line, and nothing is written to the database."""
    columns = ["bits"] if query and "bits" in query else []
    assert said in refusal(staff, query=query, columns=columns)
    assert len(gather(staff, query="select mail from staff").entries) == 3


def test_a_cell_that_the_driver_quotes_is_not_repeated(staff: str) -> None:
    """SQLite quotes what it cannot decode."""
    message = refusal(staff, query="select mail, cast(x'536563726574ff' as text) from staff")
    assert message == f"{staff}: the database cannot be read: OperationalError"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """SQLite would make an empty one."""
    url = f"sqlite:///{tmp_path}/gone.db"
    assert "No such file or directory" in refusal(url, query="select 1")
    assert not (tmp_path / "gone.db").exists()
    assert "no column holds" in refusal("sqlite://", query="select 1")


def test_an_async_driver_is_refused() -> None:
    """Its rows would have to be awaited."""
    assert "an async driver" in refusal("postgresql+asyncpg://h/d", query="select 1")


SECRET = "hunter2&/%"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+nodriver://u:{0}@localhost/d?sslpassword={0}",
         "postgresql+nodriver://u:***@localhost/d"),
        ("oops://u:{0}@localhost/d", "oops://u:***@localhost/d"),
        ("postgresql://u:{0}@localhost:port/d", "postgresql://..."),
        ("sqlite:///gone/{0}?password={0}", None),
    ],
)  # fmt: skip
def test_a_password_is_nowhere(url: str, shown: str | None) -> None:
    """Not in the error, not in what led to it, not in its parts."""
    where = url.format("hunter2%26%2F%25")
    with pytest.raises(InvalidInput) as caught:
        gather(where, query="select 'hunter2'")
    error = caught.value
    assert shown is None or str(error).startswith(f"{shown}: ")
    assert error.__context__ is None
    assert error.__cause__ is None
    if shown is not None:
        assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("no route to the server", "ValueError: no route to the server"),
        (f"login u:{SECRET} failed", "ValueError"),
        ("login u:hunter2%26/%25 failed", "ValueError"),
        ("key k-123 is not valid", "ValueError"),
        ("bad value ann@x.io", "ValueError"),
        ("", "ValueError"),
    ],
)
def test_the_drivers_words_are_repeated_where_they_tell_nothing(
    monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    """A secret in any spelling or an address, and only the kind of error is told."""

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("select secret", {"x": SECRET}, ValueError(words))

    monkeypatch.setattr(sqlalchemy, "create_engine", fail)
    url = sqlalchemy.URL.create("sqlite", "u", SECRET, "localhost", query={"k": ("k-123", "y-9")})
    where = url.render_as_string(hide_password=False)
    message = refusal(where, query="select 1").removeprefix("sqlite://u:***@localhost")
    assert message == f": the database cannot be read: {said}"


def test_a_password_that_is_missing_may_stand_elsewhere() -> None:
    """Not only in a URL, which everybody sees who may see the processes."""
    access = sql._access("postgresql://u@localhost/d")
    said = access._said(ValueError("fe_sendauth: no password supplied"), quiet=False)
    assert "ValueError: it asks for a password; PostgreSQL's is taken from PGPASSWORD" in said


def test_what_is_said_of_bad_data_is_not_repeated() -> None:
    """It quotes the data."""
    access = sql._access("sqlite://")
    said = access._said(DataError("x", None, ValueError("Rome")), quiet=False)
    assert said == "the database cannot be read: ValueError"


# --- without the libraries ----------------------------------------------------------------


@pytest.mark.parametrize("library", ["openpyxl", "pyarrow.parquet", "sqlalchemy"])
def test_a_missing_library_is_named_with_what_installs_it(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text files need none of them."""
    where: Path | str
    query = None
    if library == "openpyxl":
        where = book(tmp_path / "p", People=[["Email"], ["a@x.io"]])
    elif library == "sqlalchemy":
        where, query = f"sqlite://u:{SECRET}@h/p.db", "select 1"
    else:
        where = parquet(tmp_path / "p", mail=["a@x.io"])
    monkeypatch.setitem(sys.modules, library, None)
    message = refusal(where, query=query)
    assert f"-m pip install {library.partition('.')[0]}" in message
    assert library.partition(".")[0] in message.lower()
    assert "hunter2" not in message
