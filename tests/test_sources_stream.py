"""Sources as streams: blocks, the other columns, late errors, standard input, Python iterables."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.sources import (
    Block,
    async_blocks_of,
    block,
    blocks_of,
    csv_rows,
    decoding,
    json_values,
    open_recipients,
    plaintext,
)

from .gathering import error, gather, read


@pytest.fixture(params=[1, 2, 3])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of a few rows, so that boundaries fall everywhere."""
    for module in (csv_rows, block):
        monkeypatch.setattr(module, "BLOCK_ROWS", request.param)
    monkeypatch.setattr(json_values, "_WINDOW", request.param)
    return int(request.param)


# --- blocks -------------------------------------------------------------------------------

CSV = "id, First Name ,Mail,City\n1,Ann,a@x.io,Rome\n,,,\n2,Bob\n3,Cid,c@x.io,\n"


def test_blocks_hold_the_columns_asked_for(small: int) -> None:
    """By the name they were asked with; a cell that is not there is None, an empty one ""."""
    found = read(CSV, columns=["first name", "City"])
    assert found.source.names == ("id", "First Name", "Mail", "City")
    assert found.entries == ("a@x.io", "", "c@x.io")
    assert found.lines == (2, 4, 5)
    assert found.values == {"first name": ("Ann", "Bob", "Cid"), "City": ("Rome", None, "")}


def test_lines_are_a_range_where_no_row_spans_lines(tmp_path: Path) -> None:
    """Ten million numbers would be most of the memory."""
    (tmp_path / "p.csv").write_text("id,mail\n" + "1,a@x.io\n" * 5_000)
    with open_recipients(tmp_path / "p.csv") as source:
        assert "rows" not in source.describe()
        parts = list(source.blocks())
        assert source.describe().endswith('CSV, comma, UTF-8, 5,000 rows, column "mail"')
    assert [type(part.lines) for part in parts] == [range] * len(parts)
    assert len(parts) > 2
    assert "@" not in repr(parts[0])


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        (
            CSV,
            "frist_name",
            'line 1: there is no column "frist_name"; the columns are "id", "First',
        ),
        ("1,a@x.io\n2,b@x.io\n", "City", 'line 1: there is no column "City"; no column has a name'),
        ("a@x.io\n", "City", ': there is no column "City"; no column has a name'),
        ("mail,City,City\na@x.io,,\n", "City", '2 columns could be "City"; give each a name'),
        ('{"mail": "a@x.io"}', "City", 'the columns are "mail"'),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    text: str, column: str, said: str
) -> None:
    """At once, before any row is read."""
    with pytest.raises(InvalidInput, match=r"^people\.csv") as caught:
        read(text, columns=[column])
    assert said in str(caught.value)


def test_a_source_is_read_once_and_while_it_is_open(tmp_path: Path) -> None:
    """A second reading, and one after the end, are errors and no silent nothing."""
    (tmp_path / "p.csv").write_text(CSV)
    with open_recipients(tmp_path / "p.csv") as source:
        left = source.blocks()
        with pytest.raises(InvalidInput, match="read already"):
            source.blocks()
    with pytest.raises(InvalidInput, match="closed before all"):
        next(left)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('id,mail\n{rows}1,"a@x.io\n', 50_002),
        ("{objects}oops\n", 50_001),
        ("[{array}oops]", 50_001),
        ("{objects}3\n", 50_001),
        ('{objects}{{"mail": ["a@x.io"]}}\n', 50_001),
        ('{strings}{{"mail": "a@x.io"}}\n', 50_001),
    ],
)
def test_a_late_error_comes_when_the_reading_gets_there(
    tmp_path: Path, text: str, line: int
) -> None:
    """The rows before it were given out, and the error names its line."""
    n = 50_000
    (tmp_path / "p.csv").write_text(
        text.format(
            rows="1,a@x.io\n" * n,
            objects='{"mail": "a@x.io"}\n' * n,
            array='{"mail": "a@x.io"},\n' * n,
            strings='"a@x.io"\n' * n,
        )
    )
    seen: list[int] = []
    with (
        pytest.raises(InvalidInput, match=rf"p\.csv, line {line}:"),
        open_recipients(tmp_path / "p.csv") as source,
    ):
        seen += (len(part.lines) for part in source.blocks())
    assert n - 3_000 < sum(seen) <= n


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Three megabytes are read within two, as a table, as JSON and as plain text."""
    one = {"csv": "a@example.com,Ann,Rome\n", "jsonl": '{"mail": "a@example.com"}\n',
           "json": '{"mail": "a@example.com"},\n', "txt": "a@example.com\n"}  # fmt: skip
    for kind, row in one.items():
        path = tmp_path / f"p.{kind}"
        text = row * (3_000_000 // len(row))
        path.write_text(f"[{text[:-2]}]" if kind == "json" else text)
        del text
        with open_recipients(path) as source:
            blocks = source.blocks()
            next(blocks)
            tracemalloc.start()
            for _ in blocks:
                pass
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 2_000_000


def test_a_row_of_several_lines_is_no_alarm(small: int) -> None:
    """Neither in the header, nor where its lines look like others' rows but are not."""
    found = read('"na\nme",mail\n"a\r\nb",a@x.io\n\n"c,d",b@x.io\n"e\rf",c@x.io\n')
    assert found.lines == (3, 6, 7)
    assert found.source.names == ("na\nme", "mail")


# --- laws ---------------------------------------------------------------------------------

CELLS = st.text(alphabet='abé "\n\r,;x@.', max_size=6)


@given(
    table=st.lists(st.tuples(CELLS, CELLS), max_size=9),
    size=st.integers(1, 4),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_any_rows_come_back_over_any_block_boundary(
    table: list[tuple[str, str]], size: int, quoting: int
) -> None:
    """All cells and first lines, wherever the blocks are cut."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n", quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["mail", "one", "two"])
    lines = []
    for one, two in [("first", ""), *table]:
        lines.append(len(io.StringIO(out.getvalue(), newline=None).readlines()) + 1)
        writer.writerow(["a@example.com", one, two])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "BLOCK_ROWS", size)
        found = read(out.getvalue(), columns=["one", "two"])
    assert found.lines == tuple(lines)
    # A space before a quote is taken for one that stands behind the delimiter, as some write it.
    for at, name in enumerate(("one", "two")):
        got = [cell.lstrip(" ") for cell in found.values[name] if cell is not None]
        assert got == [row[at].lstrip(" ") for row in [("first", ""), *table]]


VALUES = st.recursive(
    st.text(alphabet='ab\n"\\[]{},é\U0001f600', max_size=5) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(
    extra=st.lists(VALUES, max_size=6), window=st.integers(1, 9), indent=st.sampled_from([0, None])
)
def test_an_array_is_read_through_any_window(
    extra: list[object], window: int, indent: int | None
) -> None:
    """A value that the window cuts is read on; lines are counted across windows."""
    values: list[object] = [{"mail": "a@x.io", "extra": value} for value in extra] or ["a@x.io"]
    text = json.dumps(values, indent=indent, ensure_ascii=False)
    starts, at = [], 1
    decoder = json.JSONDecoder()
    for _ in values:
        at += len(text[at:]) - len(text[at:].lstrip(" \n,"))
        starts.append(text.count("\n", 0, at) + 1)
        at = decoder.raw_decode(text, at)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "_WINDOW", window)
        assert read(text).lines == tuple(starts)


# --- arrays -------------------------------------------------------------------------------


def test_a_broken_array_names_its_place_through_any_window(small: int) -> None:
    """The column counts what went out of the window before it."""
    assert "line 1: column 23: not JSON" in error('[ "a@x.io", "b@x.io", oops]')
    assert "line 2: column 4: not JSON" in error('["a@x.io",\n   oops]')
    assert "the array does not end" in error('["a@x.io"')


def test_a_value_without_end_is_not_read_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quote left open would take in the rest of the file, and all of the memory."""
    monkeypatch.setattr(json_values, "_LONGEST", 200_000)
    monkeypatch.setattr(json_values, "_WINDOW", 1_000)
    text = '["a@x.io",\n"b@x.io' + " " * 2_000_000
    tracemalloc.start()
    message = error(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "line 2: column 1: not JSON, Unterminated string" in message
    assert peak < 20_000_000


# --- JSON values --------------------------------------------------------------------------


def test_json_values_are_written_as_a_person_would() -> None:
    """Whole numbers without a point, true and false, nothing for null and for bare addresses."""
    text = (
        '{"mail": "a@x.io", "v": 3.0}\n{"mail": "b@x.io", "v": 2.5}\n{"mail": 3, "v": true}\n'
        '{"mail": null, "v": null}\n"c@x.io"\n{"mail": "d@x.io", "v": 1e300}\n\xa0"e@x.io"\n'
    )
    found = read(text, columns=["v"])
    assert found.values["v"] == ("3", "2.5", "true", None, None, "1e+300", None)
    assert found.entries == ("a@x.io", "b@x.io", "3", "", "c@x.io", "d@x.io", "e@x.io")


def test_a_nested_value_of_a_template_is_an_error() -> None:
    """It names the line and the column, not the value."""
    with pytest.raises(InvalidInput, match='line 2: the value of "v" is nested') as caught:
        read('{"mail": "a@x.io", "v": 1}\n{"mail": "b@x.io", "v": {"x": "secret"}}', columns=["v"])
    assert "secret" not in str(caught.value)


def test_a_name_that_is_an_address_is_not_repeated() -> None:
    """Keys may be people."""
    assert error('{"ann@example.com": 1}').endswith(
        'the columns are "...": choose one with --column NAME'
    )


# --- encodings ----------------------------------------------------------------------------


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes come three at a time."""
    monkeypatch.setattr(decoding, "_CHUNK", 3)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp932"])
def test_a_character_may_lie_across_chunks(codec: str) -> None:
    """Every encoding is decoded across their ends."""
    text = "Name,Email\n" + "田中太郎、東京都,j@x.io\n" * 10
    assert read(text, encoding=codec).entries == ("j@x.io",) * 10


@pytest.mark.usefixtures("chunks")
def test_the_line_of_a_wrong_byte_is_found_across_chunks() -> None:
    """Half a character before the end, a NUL, and bytes that break their mark."""
    bom = codecs.BOM_UTF8
    assert "line 3: a byte" in error(bom + b"Name,Email\nA,a@x.io\nJ\xc3,j@x.io\n")
    assert "line 3: a byte" in error(bom + b"Name,Email\nA,a@x.io\nJ,j@x.io\xc3")
    assert "line 2: control" in error(b"Name,Email\nA,a@x.io\x00\n")
    assert "line 3: a NUL" in error(b"Name,Email\nJ\xe9,a@x.io\n\x00\n")


def test_no_encoding_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that no candidate knows are a binary file."""
    monkeypatch.setattr(decoding, "_LEGACY", ["cp1252"])
    assert "line 2: neither UTF-8 nor" in error(b"Name,Email\n\x81\x8d,j@x.io\n" * 30)


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    """Bytes that were good when it was opened are not any more."""
    path = tmp_path / "p.csv"
    path.write_text("Name,Email\n" + "Ann,a@x.io\n" * 100_000)
    with open_recipients(path) as source:
        with path.open("r+b") as file:
            file.seek(500_000)
            file.write(b"\xff" * 1000)
        with pytest.raises(InvalidInput, match="changed while it was read"):
            list(source.blocks())


# --- where it comes from ------------------------------------------------------------------


def test_standard_input_is_read_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be read only once is copied to a file of nobody else's."""
    seen: list[os.stat_result] = []
    make = tempfile.TemporaryFile

    def look(**how: Any) -> Any:
        copy = make(**how)
        seen.append(os.fstat(copy.fileno()))
        return copy

    monkeypatch.setattr(tempfile, "TemporaryFile", look)
    reading, writing = os.pipe()
    os.write(writing, b"mail,n\na@x.io,1\n")
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        found = gather("-", columns=["n"])
    assert found.describe() == 'standard input: CSV, comma, UTF-8, 1 row, column "mail"'
    assert found.values == {"n": ("1",)}
    assert [(stat.st_nlink, stat.st_mode & 0o077) for stat in seen] == [(0, 0)]


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a program that was started without one."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InvalidInput, match="standard input cannot be read: it is closed"):
        gather("-")


def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    """As a shell's <(command) is."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_text, args=("a@x.io\n",))
    thread.start()
    assert gather(path).entries == ("a@x.io",)
    thread.join()


def test_a_path_may_be_a_path(tmp_path: Path) -> None:
    """Messages have it as it was given."""
    (tmp_path / "p.txt").write_text("a@x.io\n")
    assert gather(tmp_path / "p.txt").describe() == f"{tmp_path}/p.txt: plain text, UTF-8, 1 entry"
    with pytest.raises(InvalidInput, match=r"gone\.txt cannot be read: No such file"):
        gather(tmp_path / "gone.txt")
    with pytest.raises(InvalidInput, match="a query needs a database URL"):
        gather(tmp_path / "p.txt", query="select 1")


def test_a_disk_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that failed from the start."""
    (tmp_path / "p.txt").write_text("a@x.io\n")

    def fail(*_: object) -> Iterator[tuple[int, str]]:
        raise OSError(5, "Input/output error")

    with open_recipients(tmp_path / "p.txt") as source:
        monkeypatch.setattr(plaintext, "_pieces", fail)
        with pytest.raises(InvalidInput, match=r"p\.txt cannot be read: Input/output error"):
            list(source.blocks())


# --- Python iterables ---------------------------------------------------------------------


async def later(items: list[Any]) -> AsyncIterator[Any]:
    """The same from an async iterable."""
    for item in items:
        yield item


async def both(items: list[Any], **given: Any) -> list[Block]:
    """Blocks of an iterable, after checking that the async twin gives the same."""
    parts = list(blocks_of(iter(items), **given))
    assert [part async for part in async_blocks_of(later(items), **given)] == parts
    return parts


async def test_bare_addresses_are_blocks() -> None:
    """The line is the position, 1 for the first."""
    items = [f"a{n}@x.io" for n in range(5_000)]
    parts = await both(items)
    assert [entry for part in parts for entry in part.entries] == items
    assert [line for part in parts for line in part.lines] == [*range(1, 5_001)]
    assert await both([]) == []
    assert len(await both(items[: 2 * block.BLOCK_ROWS])) == 2


async def test_mappings_are_blocks() -> None:
    """The key of the address is found as in JSON, or named; other keys come as text."""
    items = [{"Mail": "Ann <a@x.io>", "n": 3.0}, {"Mail": None}, "b@x.io", {"n": 2, 7: 8}]
    (part,) = await both(items, columns=["N"])
    assert part.entries == ["a@x.io", "", "b@x.io", ""]
    assert part.values == {"N": ["3", None, None, "2"]}
    (part,) = await both([{"x": "a@x.io", "y": "b@x.io"}], column="y")
    assert part.entries == ["b@x.io"]


@pytest.mark.parametrize(
    ("items", "given", "said"),
    [
        (["a@x.io", 7], {}, "recipients, row 2: neither a string nor a mapping, but int"),
        (["a@x.io"] * 3_000 + [b"b"], {}, "recipients, row 3001: neither .* but bytes"),
        ([{"mail": "a@x.io"}, {"mail": ["b"]}], {}, 'row 2: the value of "mail" is nested'),
        (["a@x.io"] * 3_000 + [{"mail": "b@x.io"}], {}, "row 3001: an object among bare"),
        ([{"mail": "a@x.io"}], {"columns": ["city"]}, 'row 1: there is no column "city"'),
        ([{"mail": "a@x.io"}], {"column": "city"}, 'row 1: there is no column "city"'),
        (["a@x.io"], {"column": "mail"}, "no key"),
    ],
)
async def test_what_is_no_recipient_is_named_by_position(
    items: list[Any], given: dict[str, Any], said: str
) -> None:
    """Its type is named, its text is not."""
    with pytest.raises(InvalidInput, match=said) as caught:
        await both(items, **given)
    assert "@" not in str(caught.value)
