"""The rows that come out of a source, some thousand at a time and column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from attrs import field, frozen

from .address_text import bare

_T = TypeVar("_T")
#: Rows in a block. Enough to make the work for a block negligible for each row.
BLOCK_ROWS = 2_048
#: Characters of rows after which a block ends early, so that rows of any length are held in bounded
#: memory: a cell of few characters takes twenty times as much.
BLOCK_TEXT = 1 << 22


@frozen(kw_only=True)
class Block:
    """Some rows, in their order; every sequence in it has one item a row."""

    #: Where each row starts: the line of a text file, the row of a worksheet, 1 for the first; or
    #: the place of the record, 1 for the first.
    lines: Sequence[int] = field(repr=lambda lines: f"{len(lines)} rows")
    #: The raw e-mail entries; "" where the row has none. Not cleaned, checked or made unique.
    entries: Sequence[str] = field(repr=False)
    #: The cells of each column asked for, by the name it was asked for with; None where the row
    #: has no such cell or the cell holds nothing. An empty cell of a CSV file is "".
    values: Mapping[str, Sequence[str | None]] = field(repr=False)


@frozen(kw_only=True)
class Reading:
    """What a source was taken for, and how its rows are read."""

    #: csv, tsv, jsonl, json, text, parquet, xlsx or sql.
    format: str
    #: A Python codec name; None where the format says how text is written.
    encoding: str | None = None
    #: The first line that is not UTF-8, where the encoding is a guess.
    guessed_at: int | None = None
    #: One character; None where the format has none.
    delimiter: str | None = None
    #: The e-mail column's name in the header, or the key; None where there is none.
    column: str | None = None
    #: The e-mail column's place, 1 for the first; None where columns have no place.
    column_number: int | None = None
    #: The worksheet, where the workbook has others too.
    sheet: str | None = None
    #: The names of all columns in their places; empty where they have none.
    header: Sequence[str] = ()
    #: The header's line, to name when a column is not there.
    line: int | None = None
    #: What `Block.lines` counts: "line" or "row".
    unit: str = "line"
    #: Names of columns asked for with their places in `header` -> the rows, once.
    blocks: Callable[[Mapping[str, int]], Iterator[Block]] = field(repr=False)


def parts_of(items: Iterable[tuple[int, int, _T]]) -> Iterator[list[tuple[int, _T]]]:
    """Cut items into parts of a block each; an item is its line, its size in characters, itself."""
    part: list[tuple[int, _T]] = []
    held = 0
    for line, size, item in items:
        part.append((line, item))
        held += size
        if len(part) == BLOCK_ROWS or held > BLOCK_TEXT:
            yield part
            part, held = [], 0
    if part:
        yield part


def cells_of(rows: Sequence[Sequence[_T]], at: int) -> list[_T | None]:
    """Take one column out of rows that may be too short for it: None where they are."""
    try:
        return [row[at] for row in rows]
    except IndexError:
        return [row[at] if at < len(row) else None for row in rows]


def entries_of(cells: Sequence[str]) -> Sequence[str]:
    """Make e-mail entries of the cells of a column."""
    # One search in all of them: few files have `Name <a@b.c>` anywhere.
    return [*map(bare, cells)] if ">" in "".join(cells) else cells
