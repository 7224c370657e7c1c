"""The rows of a CSV file as blocks: lines counted, blank rows left out, open quotes found.

A quote that is never closed makes a parser swallow rows. Three rules find it: strict parsing
(text after a closing quote, or the end of the file inside quotes), the field limit, and a look
at every row of several lines for a line that would be a row of its own.

Nothing is done row by row that can be done for a block: while a block has as many lines as rows,
no row of it spans lines, and the lines are a range.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice
from typing import TextIO

from attrs import define, field, frozen

from ..errors import InvalidInput
from .address_text import looks_like_address
from .block import BLOCK_ROWS, BLOCK_TEXT, Block, cells_of, entries_of
from .columns import names_an_address
from .document import Document
from .refusals import refuse

Row = list[str]
#: Rows taken from the parser at once, and the most characters that they may have together.
_FETCHED, _MOST_FETCHED = 64, 1 << 24
#: Characters of lines read at once.
_HINT = 1 << 16
#: What ends the parsing of rows that are too long.
_TOO_LONG = "rows too long"


@frozen(kw_only=True)
class Table:
    """How to read the text as a table."""

    delimiter: str
    #: The rows' text starts here, in characters, and in this line.
    start: int
    first_line: int
    #: True where quotes stand behind a delimiter and a space.
    spaced: bool
    #: The first rows, each with its line.
    sample: Sequence[tuple[int, Row]] = field(repr=False)
    #: Place of the header in the sample.
    header: int | None

    @property
    def named(self) -> bool:
        """True where the header has a column that is named for addresses."""
        return self.header is not None and any(map(names_an_address, self.sample[self.header][1]))

    @property
    def width(self) -> int:
        """The number of columns: the header's, or the commonest; of two, the smaller."""
        if self.named and self.header is not None:
            return len(self.sample[self.header][1])
        counts = Counter(len(row) for _, row in self.sample if not row[0].startswith("#"))
        return min(counts, key=lambda width: (-counts[width], width), default=1)


@frozen(kw_only=True)
class TableRows:
    """All rows of a table, to be read once."""

    document: Document
    table: Table
    #: Rows from the first on that hold no data: the header and what stands above it.
    skip: int

    def blocks(self, at: int, places: Mapping[str, int]) -> Iterator[Block]:
        """Yield the data rows; the address is in column `at`."""
        skip, width = self.skip, self.table.width
        for part in self.parts():
            lines, rows = part
            multiline = not isinstance(lines, range)
            cells = None if skip else _all_filled(rows, at)
            if cells is None:
                rows, lines = _filled(rows, lines)
                skip, rows, lines = max(skip - len(rows), 0), rows[skip:], lines[skip:]
                cells = [row[at] if at < len(row) else "" for row in rows]
            for line, row in zip(lines, rows, strict=True) if multiline else ():
                if _height(row) > 1 and _swallowed(row, at, width, self.table.delimiter):
                    raise _unclosed(self.document, line)
            if rows:
                values = {name: cells_of(rows, place) for name, place in places.items()}
                yield Block(lines=lines, entries=entries_of(cells), values=values)

    def parts(self) -> Iterator[tuple[Sequence[int], list[Row]]]:
        """Yield some rows at a time, blank ones and the header too, with the lines they start in.

        The lines are a range where every row has one line.
        """
        with self.document.text("") as source:
            source.read(self.table.start)
            feed = _Feed(source)
            reader = csv.reader(chain.from_iterable(feed.batches()), strict=True,
                                delimiter=self.table.delimiter,
                                skipinitialspace=self.table.spaced)  # fmt: skip
            before, broken = 0, ""
            while not broken:
                rows: list[Row] = []
                try:
                    feed.fetch(reader, rows)
                except csv.Error as error:
                    broken = str(error)  # the rows above it are in the list, and come first
                if not rows:
                    break
                first = self.table.first_line + before
                lines = range(first, first + len(rows))
                one_line_each = reader.line_num - before == len(rows)
                yield lines if one_line_each else _starts(rows, first), rows
                before = reader.line_num if not broken else before + sum(map(_height, rows))
        if broken:
            raise self._broken(before, reader.line_num, broken)

    def _broken(self, before: int, end: int, error: str) -> InvalidInput:
        """Build the error for a row that takes the lines from `before` to `end`, from 0."""
        if error == _TOO_LONG:
            what = f"rows of more than {_MOST_FETCHED:,} characters, perhaps an open quote"
            return refuse(self.document.name, self.table.first_line + before, what)
        with self.document.text("") as source:
            source.read(self.table.start)
            text = "".join(islice(source, before, end))
        line = self.table.first_line + before + _bad_field(text, self.table.delimiter)
        return _unclosed(self.document, line, long="limit" in error)


@define(eq=False, repr=False)
class _Feed:
    """The lines of a text for the parser, a list of them at a time, and how many characters."""

    source: TextIO
    #: Characters read since the last fetch began, and since the block did.
    fetched: int = 0
    held: int = 0

    def batches(self) -> Iterator[list[str]]:
        """Yield lines. `csv.Error` if one fetch takes too many of them."""
        while lines := self.source.readlines(_HINT):
            self.fetched += _HINT + len(lines[-1])
            if self.fetched > _MOST_FETCHED:
                raise csv.Error(_TOO_LONG)
            yield lines

    def fetch(self, reader: Iterator[Row], rows: list[Row]) -> None:
        """Add the rows of a block. After an error those before it are in `rows`."""
        self.held = count = 0
        while len(rows) == count < BLOCK_ROWS and self.held < BLOCK_TEXT:
            self.fetched = 0
            rows.extend(islice(reader, min(_FETCHED, BLOCK_ROWS - count)))
            self.held += self.fetched
            count += _FETCHED


def is_filled(row: Row) -> bool:
    """Blank lines, and the rows of bare delimiters that Excel leaves at the end, are no rows."""
    return any(map(str.strip, row))


def _starts(rows: list[Row], first: int) -> Sequence[int]:
    """Return the line of each row, where some rows have several lines."""
    return [*accumulate(map(_height, rows[:-1]), initial=first)]


def _filled(rows: list[Row], lines: Sequence[int]) -> tuple[list[Row], Sequence[int]]:
    """Leave out the blank rows."""
    kept = [place for place, row in enumerate(rows) if is_filled(row)]
    if len(kept) == len(rows):
        return rows, lines
    return [rows[place] for place in kept], [lines[place] for place in kept]


def _all_filled(rows: list[Row], at: int) -> list[str] | None:
    """Return the e-mail column if every row has something in it, and so is no blank one."""
    try:
        cells = [row[at] for row in rows]
    except IndexError:
        return None
    return cells if all(map(str.strip, cells)) else None


def _height(row: Row) -> int:
    r"""Count the lines of a row. Its cells keep their line ends: \n, \r, or \r\n as one."""
    text = " ".join(row)
    if "\n" not in text and "\r" not in text:
        return 1
    return 1 + text.count("\n") + text.count("\r") - text.count("\r\n")


def _swallowed(row: Row, at: int, width: int, delimiter: str) -> bool:
    """Tell whether a row of several lines holds another person's row, taken in by a stray quote."""
    lines = [line.split(delimiter) for line in delimiter.join(row).splitlines()]
    others = [cells[at] for cells in lines if len(cells) == width > at]
    return any(looks_like_address(cell) and cell != row[at] for cell in others)


def _bad_field(row: str, delimiter: str) -> int:
    """Count the lines from the start of the broken row to the field that breaks it."""
    end = re.escape(delimiter)
    whole = re.compile(rf' *"[^"]*(?:""[^"]*)*"{end}|[^"{end}\r\n][^{end}\r\n]*{end}|{end}')
    at = 0
    while found := whole.match(row, at):
        at = found.end()
    return sum(1 for _ in io.StringIO(row[:at] + ".", newline="")) - 1


def _unclosed(document: Document, line: int, *, long: bool = False) -> InvalidInput:
    what = "a quote that opens here is not closed at the end of its field"
    if long:
        what = f"a field of more than {csv.field_size_limit():,} characters, perhaps an open quote"
    fix = "close it, or write a quote inside a field twice"
    return refuse(document.name, line, f"{what}: later rows would be lost; {fix}")
