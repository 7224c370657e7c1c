"""CSV, TSV and their kin: choose the delimiter and find the header from the first rows.

The `csv` module parses; its Sniffer is not used, because it guesses from single characters and
fails on quoted names and on one-column files. The delimiter is the one under which the first
rows show an e-mail column by its name, then the most addresses, then the most even rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING

from .address_text import looks_like_address
from .block import Reading
from .columns import Columns, find_column, names_an_address, plain
from .csv_rows import Row, Table, TableRows, is_filled
from .document import SAMPLE_TEXT, Document
from .refusals import refuse

if TYPE_CHECKING:
    from _csv import Reader  # the csv module gives its reader's type no public name

_DELIMITERS = ",;\t|"
#: Rows that the delimiter, the header and the column are found from.
SAMPLE_ROWS = 1_000
#: How many rows may stand above the header: titles, dates of export.
_PREAMBLE = 20
#: Excel's own first line, which names the delimiter.
_SEP = re.compile(r'"?sep=([^\s\w"]|\t)"?(?:\r\n|\r|\n|$)', re.IGNORECASE)


def find_table(document: Document) -> Table | None:
    """Return how to read the text as a table, or None where it is plain text."""
    sep = _SEP.match(document.head)
    start, line = (sep.end(), 2) if sep else (0, 1)
    choices = [_table(document, d, start, line) for d in (sep[1] if sep else _DELIMITERS)]
    best = max(choices, key=_fitness)
    return best if sep or (best.width > 1 and not _is_list(best)) else None


def read_table(document: Document, table: Table) -> Reading:
    """Read every row below the header; a row without the e-mail field gives an empty entry."""
    top = 0 if table.header is None else table.header + 1
    header = table.sample[table.header][1] if table.header is not None else None
    line = table.sample[max(top - 1, 0)][0] if table.sample else None
    rows = TableRows(document=document, table=table, skip=top)
    sample = [row for _, row in table.sample[top:]]
    if not sample:
        deque(rows.parts(), maxlen=0)  # raises where an open quote hides the rows
        if not document.whole:
            what = f"this row and the next have more than {SAMPLE_TEXT:,} characters"
            raise refuse(document.name, line, f"{what}; is it a table of people?")
        raise refuse(document.name, line, "a header and no rows below it: nobody to send to")
    at = find_column(Columns(name=document.name, wanted=document.wanted, header=header,
                             rows=sample, line=line))  # fmt: skip
    return Reading(
        format="tsv" if table.delimiter == "\t" else "csv",
        delimiter=table.delimiter,
        column=header[at].strip() if header and at < len(header) else None,
        column_number=at + 1,
        header=[name.strip() for name in header or ()],
        line=line,
        blocks=lambda places: rows.blocks(at, places),
    )


def _table(document: Document, delimiter: str, start: int, first_line: int) -> Table:
    text = document.head[start:]
    end = re.escape(delimiter)
    spaced = re.search(rf'(?m)^[^"\n]*{end} +"|(?<!")"{end} +"(?!")', text) is not None
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=delimiter, strict=False, skipinitialspace=spaced)
    sample = _sample(reader, first_line)
    if len(sample) > 1 and not document.whole:
        del sample[-1]  # the beginning may end in the middle of it
    return Table(
        delimiter=delimiter,
        start=start,
        first_line=first_line,
        spaced=spaced,
        sample=sample,
        header=find_header(sample, document.wanted),
    )


def _sample(reader: Reader, first_line: int) -> list[tuple[int, Row]]:
    rows: list[tuple[int, Row]] = []
    before = 0
    # A field over the limit ends the sample; strict reading reports it with its line.
    with suppress(csv.Error):
        for row in reader:
            if is_filled(row):
                rows.append((first_line + before, row))
            before = reader.line_num
            if len(rows) == SAMPLE_ROWS:
                break
    return rows


def find_header(sample: Sequence[tuple[int, Row]], wanted: str | None) -> int | None:
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
    width = table.width
    hits = [sum(map(looks_like_address, row)) for _, row in table.sample]
    even = sum(len(row) == width for _, row in table.sample) if width > 1 else 0
    return table.named and width > 1, sum(map(bool, hits)), even, sum(hits), width


def _is_list(table: Table) -> bool:
    """Tell lists of addresses with commas between them from tables: hardly anything else there."""
    rows = [row for _, row in table.sample if not row[0].startswith("#")]
    cells = [cell for row in rows for cell in row if cell.strip()]
    return not table.named and 3 * sum(map(looks_like_address, cells)) > 2 * len(cells)
