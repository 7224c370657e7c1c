"""CSV, TSV and their kin: choose the delimiter, find the header, and lose no row.

The `csv` module parses; its Sniffer is not used, because it guesses from single characters and
fails on quoted names and on one-column files. The delimiter is the one under which the first
rows show an e-mail column by its name, then the most addresses, then the most even rows.

A quote that is never closed makes a parser swallow rows. Three rules find it: strict parsing
(text after a closing quote, or the end of the file inside quotes), the field limit, and a look
at every row of several lines for a line that would be a row of its own.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..errors import InvalidInput
from .columns import Columns, find_column, names_an_address, plain
from .document import Document, RecipientFile, bare, looks_like_address, refuse

if TYPE_CHECKING:
    from _csv import Reader  # the csv module gives its reader's type no public name

_DELIMITERS = ",;\t|"
#: Rows, and characters, that the delimiter, the header and the column are found from.
_SAMPLE_ROWS, _SAMPLE_TEXT = 1_000, 400_000
#: How many rows may stand above the header: titles, dates of export.
_PREAMBLE = 20
#: Excel's own first line, which names the delimiter.
_SEP = re.compile(r'"?sep=([^\s\w"]|\t)"?(?:\r\n|\r|\n|$)', re.IGNORECASE)

Row = list[str]


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


def find_table(document: Document) -> Table | None:
    """Return how to read the text as a table, or None where it is plain text."""
    sep = _SEP.match(document.text)
    start, line = (sep.end(), 2) if sep else (0, 1)
    choices = [_table(document, d, start, line) for d in (sep[1] if sep else _DELIMITERS)]
    best = max(choices, key=_fitness)
    return best if sep or (_width(best) > 1 and not _is_list(best)) else None


def read_table(document: Document, table: Table) -> RecipientFile:
    """Read every row below the header; a row without the e-mail field gives an empty entry."""
    top = 0 if table.header is None else table.header + 1
    header = table.sample[table.header][1] if table.header is not None else None
    line = table.sample[max(top - 1, 0)][0] if table.sample else None
    rows = [row for _, row in table.sample[top:]]
    if not rows:
        deque(_rows(document, table), maxlen=0)  # a quote left open may hide the rows
        raise refuse(document.name, line, "a header and no rows below it: nobody to send to")
    at = find_column(Columns(header=header, rows=rows, line=line), document)
    entries, lines = _entries(document, table, at, top)
    return RecipientFile(
        name=document.name,
        format="tsv" if table.delimiter == "\t" else "csv",
        encoding=document.encoding,
        delimiter=table.delimiter,
        column=header[at].strip() if header and at < len(header) else None,
        column_number=at + 1,
        entries=entries,
        lines=lines,
    )


def _entries(
    document: Document, table: Table, at: int, top: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    width = _width(table)
    entries: list[str] = []
    lines: list[int] = []
    for line, row, many in islice(_rows(document, table), top, None):
        entry = row[at] if at < len(row) else ""
        if many and _swallowed(row, at, width, table.delimiter):
            raise _unclosed(document, line)
        entries.append(bare(entry))
        lines.append(line)
    return tuple(entries), tuple(lines)


def _rows(document: Document, table: Table) -> Iterator[tuple[int, Row, bool]]:
    """Yield each row with the line it starts in, and whether it has more than that line."""
    source = io.StringIO(document.text[table.start :], newline="")
    reader = _reader(source, table.delimiter, strict=True, spaced=table.spaced)
    before = 0
    try:
        for row in reader:
            if _filled(row):
                yield table.first_line + before, row, reader.line_num - before > 1
            before = reader.line_num
    except csv.Error as error:
        line = table.first_line + before + _bad_field(document, table, before)
        raise _unclosed(document, line, long="limit" in str(error)) from None


def _reader(source: io.StringIO, delimiter: str, *, strict: bool, spaced: bool) -> Reader:
    return csv.reader(source, delimiter=delimiter, strict=strict, skipinitialspace=spaced)


def _filled(row: Row) -> bool:
    """Blank lines, and the rows of bare delimiters that Excel leaves at the end, are no rows."""
    return any(map(str.strip, row))


def _table(document: Document, delimiter: str, start: int, first_line: int) -> Table:
    text = document.text[start : start + _SAMPLE_TEXT]
    end = re.escape(delimiter)
    spaced = re.search(rf'(?m)^[^"\n]*{end} +"|(?<!")"{end} +"(?!")', text) is not None
    source = io.StringIO(text, newline="")
    sample = _sample(_reader(source, delimiter, strict=False, spaced=spaced), first_line)
    if len(sample) > 1 and start + _SAMPLE_TEXT < len(document.text):
        del sample[-1]  # the cut went through it
    return Table(
        delimiter=delimiter,
        start=start,
        first_line=first_line,
        spaced=spaced,
        sample=sample,
        header=_header(sample, document.wanted),
    )


def _sample(reader: Reader, first_line: int) -> list[tuple[int, Row]]:
    rows: list[tuple[int, Row]] = []
    before = 0
    # A field over the limit ends the sample; strict reading reports it with its line.
    with suppress(csv.Error):
        for row in reader:
            if _filled(row):
                rows.append((first_line + before, row))
            before = reader.line_num
            if len(rows) == _SAMPLE_ROWS:
                break
    return rows


def _header(sample: Sequence[tuple[int, Row]], wanted: str | None) -> int | None:
    """Find the header: above the first address, with a telling name or at least only words."""
    lead = [row for _, row in takewhile(lambda item: "@" not in "".join(item[1]), sample)]
    for at, row in enumerate(lead[:_PREAMBLE]):
        if len(row) > 1 and any(_is_named(cell, wanted) for cell in row):
            return at
    return 0 if lead and not any(cell.strip().isdecimal() for cell in lead[0]) else None


def _is_named(cell: str, wanted: str | None) -> bool:
    return names_an_address(cell) or (wanted is not None and plain(cell) == plain(wanted) != "")


def _fitness(table: Table) -> tuple[bool, int, int, int, int]:
    """Rank a delimiter: a named column, rows with an address, even rows, addresses, columns."""
    width = _width(table)
    hits = [sum(map(looks_like_address, row)) for _, row in table.sample]
    even = sum(len(row) == width for _, row in table.sample) if width > 1 else 0
    return table.named and width > 1, sum(map(bool, hits)), even, sum(hits), width


def _width(table: Table) -> int:
    """Return the number of columns: the header's, or the commonest; of two, the smaller."""
    if table.named and table.header is not None:
        return len(table.sample[table.header][1])
    counts = Counter(len(row) for _, row in table.sample if not row[0].startswith("#"))
    return min(counts, key=lambda width: (-counts[width], width), default=1)


def _is_list(table: Table) -> bool:
    """Tell lists of addresses with commas between them from tables: hardly anything else there."""
    rows = [row for _, row in table.sample if not row[0].startswith("#")]
    cells = [cell for row in rows for cell in row if cell.strip()]
    return not table.named and 3 * sum(map(looks_like_address, cells)) > 2 * len(cells)


def _swallowed(row: Row, at: int, width: int, delimiter: str) -> bool:
    """Tell whether a row of several lines holds another person's row, taken in by a stray quote."""
    lines = [line.split(delimiter) for line in delimiter.join(row).splitlines()]
    others = [cells[at] for cells in lines if len(cells) == width > at]
    return any(looks_like_address(cell) and cell != row[at] for cell in others)


def _bad_field(document: Document, table: Table, before: int) -> int:
    """Count the lines from the start of the broken row to the field that breaks it."""
    lines = io.StringIO(document.text[table.start :], newline="")
    row = "".join(islice(lines, before, None))
    end = re.escape(table.delimiter)
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
