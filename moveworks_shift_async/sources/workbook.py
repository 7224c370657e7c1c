"""Excel workbooks (xlsx), with openpyxl, row by row.

openpyxl reads about 25,000 rows a second and holds little but the texts that cells share: a full
sheet, a million rows, takes 220 MB. python-calamine is fifteen times as fast and takes 310 MB.
People can be told at 1,000 a second, so memory decides.
"""

from __future__ import annotations

import datetime
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import FileIO
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from ..errors import MoveworksError
from .block import BLOCK_ROWS, Block, Reading, cells_of
from .cells import text_of, typed_block
from .columns import Columns, find_column
from .decoding import EXPORT
from .document import refuse
from .opening import again, missing
from .tables import SAMPLE_ROWS, find_header

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_MAGIC = b"PK\x03\x04"
#: Rows of a worksheet, Excel's own limit. A file may name higher ones, and each costs a turn.
_MOST_ROWS = 1_048_576
#: The worksheets, which are never in memory as a whole.
_STREAMED = "xl/worksheets/"
#: Bytes that all else may take when it is unpacked, most of it the texts that cells share; a few
#: bytes of zip can become any number. Two million texts take a fifth.
_MOST_TEXT = 1 << 29

_Row = tuple[int, Sequence[Any]]


def is_workbook(file: FileIO) -> bool:
    """Tell an Excel workbook from other zip archives, and from what is none."""
    file.seek(0)
    if file.read(len(_MAGIC)) != _MAGIC:
        return False
    try:
        with zipfile.ZipFile(again(file)) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read_workbook(file: FileIO, name: str, wanted: str | None, stack: ExitStack) -> Reading:
    """Read the first worksheet that has rows."""
    with _broken(name):
        book = _open(file, name)
        stack.callback(book.close)
        sheet, rows = _first_rows(book)
        sample = list(islice(rows, SAMPLE_ROWS))
    if not sample:
        raise refuse(name, None, "the workbook is empty: nobody to send to")
    texts = [(line, [text_of(_day(cell)) or "" for cell in row]) for line, row in sample]
    place = find_header(texts, wanted)
    header = texts[place][1] if place is not None else None
    top = 0 if place is None else place + 1
    line = texts[max(top - 1, 0)][0]
    if len(texts) == top:
        raise refuse(name, line, "a header and no rows below it: nobody to send to", "row")
    at = find_column(Columns(name=name, wanted=wanted, header=header, line=line, unit="row",
                             rows=[row for _, row in texts[top:]]))  # fmt: skip
    column = header[at].strip() if header and at < len(header) else None
    return Reading(
        format="xlsx",
        column=column,
        column_number=at + 1,
        sheet=sheet,
        header=[cell.strip() for cell in header or ()],
        line=line,
        unit="row",
        blocks=lambda places: _blocks(chain(sample[top:], rows), name, column, at, places),
    )


def _open(file: FileIO, name: str) -> Workbook:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415  it is in the extra `sources`
    except ImportError:
        raise missing(name, "an Excel workbook", "openpyxl") from None
    with zipfile.ZipFile(again(file)) as archive:
        parts = [item for item in archive.infolist() if not item.filename.startswith(_STREAMED)]
    if sum(part.file_size for part in parts) > _MOST_TEXT:
        raise refuse(name, None, f"its texts are too long to be read at once; {EXPORT}")
    return load_workbook(again(file), read_only=True, data_only=True, keep_links=False)


def _first_rows(book: Workbook) -> tuple[str | None, Iterator[_Row]]:
    """Return the sheet's name, where there are several, and its rows."""
    for sheet in book.worksheets:
        rows = _rows(sheet)
        first = next(rows, None)
        if first is not None:
            return sheet.title if len(book.worksheets) > 1 else None, chain([first], rows)
    return None, iter(())


def _rows(sheet: Any) -> Iterator[_Row]:
    """Yield the rows that are not blank, each with its number in the sheet."""
    sheet.reset_dimensions()  # other programs write wrong ones
    for number, row in enumerate(sheet.iter_rows(max_row=_MOST_ROWS, values_only=True), 1):
        if any(cell is not None and cell != "" and not str(cell).isspace() for cell in row):
            yield number, row


def _blocks(
    rows: Iterator[_Row], name: str, column: str | None, at: int, places: Mapping[str, int]
) -> Iterator[Block]:
    while True:
        with _broken(name):
            part = list(islice(rows, BLOCK_ROWS))
        if not part:
            return
        lines, found = zip(*part, strict=True)

        def cells(place: int, rows: Sequence[Sequence[object]] = found) -> list[object]:
            return [*map(_day, cells_of(rows, place))]

        yield typed_block(lines, cells, name=name, column=column, at=at, places=places)


def _day(cell: object) -> object:
    """A date is stored as its midnight."""
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time.min:
        return cell.date()
    return cell


@contextmanager
def _broken(name: str) -> Iterator[None]:
    """Turn whatever openpyxl raises for a broken file into our error; its warnings are nobody's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MoveworksError:
        raise
    except Exception as error:
        what = f"a broken Excel workbook ({type(error).__name__}); {EXPORT}"
        raise refuse(name, None, what) from None
