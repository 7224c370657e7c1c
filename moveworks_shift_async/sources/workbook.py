"""Excel workbooks (xlsx), with openpyxl, row by row.

openpyxl reads about 25,000 rows a second and holds little but the texts that cells share: a full
sheet, a million rows, takes 220 MB. python-calamine is fifteen times as fast and takes 310 MB.
People can be told at 1,000 a second, so memory decides.

What its parts may inflate to is bounded (`bounded_zip`).
"""

from __future__ import annotations

import datetime
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from typing import Any

from attrs import frozen

from .block import Reading, parts_of
from .bounded_zip import MOST_ROW, Archive, Part
from .columns import Columns
from .decoding import EXPORT
from .files import SteadyFile, missing
from .refusals import broken, refuse
from .tables import SAMPLE_ROWS, find_header
from .typed_cells import TypedPart, text_of, typed_reading

_MAGIC = b"PK\x03\x04"
#: Rows and columns of a worksheet: Excel's own limits.
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
#: Cells that the column and the header are found from.
_SAMPLE_CELLS = 1_000_000
#: Bytes that may stand before the first row or shared text, and of all shared texts together.
_MOST_BEFORE, _MOST_TEXT = 1 << 23, 1 << 28
#: Shared texts: each takes some 70 bytes beside its letters.
_MOST_TEXTS = 5_000_000

#: Row's number, and its cells by their column from 0 on; those that are there.
_Row = tuple[int, Mapping[int, Any]]


def is_workbook(file: SteadyFile) -> bool:
    """Tell an Excel workbook from other zip archives, and from what is none."""
    file.seek(0)
    if file.read(len(_MAGIC)) != _MAGIC:
        return False
    try:
        with zipfile.ZipFile(file.again()) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read_workbook(file: SteadyFile, wanted: str | None, stack: ExitStack) -> Reading:
    """Read the first worksheet that has rows."""
    name = file.title
    with _broken(name):
        book = _open(file)
        stack.callback(book.archive.close)
        sheet, rows = _first_rows(book)
        parts = parts_of((line, _size(row), row) for line, row in rows)
        first = next(parts, [])
    if not first:
        raise refuse(name, None, "the workbook is empty: nobody to send to")
    texts = _sample(first)
    place = find_header(texts, wanted)
    header = texts[place][1] if place is not None else None
    top = 0 if place is None else place + 1
    line = texts[max(top - 1, 0)][0]
    if len(first) == top:
        raise refuse(name, line, "a header and no rows below it: nobody to send to", "row")
    columns = Columns(name=name, wanted=wanted, header=header, line=line, unit="row",
                      rows=[row for _, row in texts[top:]])  # fmt: skip
    rest = chain([first[top:]], parts)
    return typed_reading("xlsx", columns, lambda _: _parts(name, rest), sheet=sheet)


@frozen
class _Book:
    """An open workbook."""

    name: str
    archive: Archive
    #: (title, name of its part) of each worksheet.
    sheets: Sequence[tuple[str, str]]
    #: What openpyxl needs to make values of cells.
    parser: Any


def _open(file: SteadyFile) -> _Book:
    try:
        import openpyxl  # noqa: F401, PLC0415  it is in the extra `sources`
        from openpyxl.reader.excel import ExcelReader  # noqa: PLC0415
        from openpyxl.styles.stylesheet import apply_stylesheet  # noqa: PLC0415
    except ImportError:
        raise missing(file.title, "an Excel workbook", "openpyxl") from None
    # Its steps one by one, for `load_workbook` reads more than is needed, without bounds.
    reader: Any = ExcelReader(file.again(), read_only=True, data_only=True, keep_links=False)
    reader.archive = archive = Archive(file)
    reader.read_manifest()
    reader.read_workbook()
    apply_stylesheet(archive, reader.wb)
    sheets = [
        (sheet.name, relation.target)
        for sheet, relation in reader.parser.find_sheets()
        if relation.target in reader.valid_files and "chart" not in relation.Type
    ]
    texts = _texts(archive, reader.package)
    return _Book(file.title, archive, sheets, lambda part: _parser(part, texts, reader.wb))


def _parser(part: Part, texts: list[str], book: Any) -> Any:
    from openpyxl.worksheet._reader import WorkSheetParser  # noqa: PLC0415

    return WorkSheetParser(
        part, texts, data_only=True, epoch=book.epoch, date_formats=book._date_formats,
        timedelta_formats=book._timedelta_formats,
    )  # fmt: skip


def _texts(archive: Archive, package: Any) -> list[str]:
    """Return the texts that cells share; not their pronunciation, which stands beside some."""
    from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS  # noqa: PLC0415
    from openpyxl.xml.functions import iterparse  # noqa: PLC0415

    texts: list[str] = []
    item, run, letters = (f"{{{SHEET_MAIN_NS}}}{tag}" for tag in ("si", "r", "t"))
    found = package.find(SHARED_STRINGS)
    if found is None:
        return texts
    with archive.part(found.PartName[1:], _MOST_BEFORE, _MOST_TEXT) as part:
        for _, node in iterparse(part):
            if node.tag != item:
                continue
            parts = [node, *node.findall(run)]
            text = "".join(part.findtext(letters) or "" for part in parts)
            texts.append(text.replace("x005F_", ""))
            node.clear()
            part.allow(MOST_ROW)
            if len(texts) > _MOST_TEXTS:
                raise part.too_much()
    return texts


def _first_rows(book: _Book) -> tuple[str | None, Iterator[_Row]]:
    """Return the sheet's name, where there are several, and its rows."""
    for title, path in book.sheets:
        rows = _rows(book, path)
        first = next(rows, None)
        if first is not None:
            return title if len(book.sheets) > 1 else None, chain([first], rows)
    return None, iter(())


def _rows(book: _Book, path: str) -> Iterator[_Row]:
    """Yield the rows that are not blank, each with its number in the sheet."""
    from openpyxl.worksheet._reader import DATA_TAG, ROW_TAG  # noqa: PLC0415
    from openpyxl.xml.functions import iterparse  # noqa: PLC0415

    with book.archive.part(path, _MOST_BEFORE, _MOST_BEFORE + _MOST_ROWS * MOST_ROW) as part:
        parser = book.parser(part)
        for _, node in iterparse(part):
            if node.tag == DATA_TAG:
                return  # what follows the rows is links and formats
            if node.tag != ROW_TAG:
                continue
            above, (number, cells) = part.row or 0, parser.parse_row(node)
            node.clear()
            part.allow(MOST_ROW)
            part.row = number
            row = {cell["column"] - 1: cell["value"] for cell in cells if _is_filled(cell["value"])}
            _check(book.name, number, above, row)
            if row:
                yield number, row


def _check(name: str, number: int, above: int, row: Mapping[int, Any]) -> None:
    """Refuse what no worksheet can have; a reader that passed over it would lose people."""
    if number <= above:
        what = f"it comes below row {above}; {EXPORT}"
    elif number > _MOST_ROWS:
        what = f"a worksheet has {_MOST_ROWS:,} rows at most; {EXPORT}"
    elif max(row, default=0) >= _MOST_COLUMNS:
        what = f"more than {_MOST_COLUMNS:,} columns; {EXPORT}"
    else:
        return
    raise refuse(name, number, what, "row")


def _is_filled(cell: object) -> bool:
    return cell is not None and cell != "" and not str(cell).isspace()


def _size(row: Mapping[int, Any]) -> int:
    """Count the characters of a row, as a text with separators would have them."""
    return sum(len(cell) if isinstance(cell, str) else 8 for cell in row.values()) + 8 * len(row)


def _sample(rows: Sequence[_Row]) -> list[tuple[int, list[str]]]:
    """Return the first rows as rows of text."""
    texts: list[tuple[int, list[str]]] = []
    cells = 0
    for line, row in rows[:SAMPLE_ROWS]:
        width = max(row) + 1
        cells += width
        if cells > _SAMPLE_CELLS and texts:
            break
        texts.append((line, [text_of(_date_if_midnight(row.get(at))) or "" for at in range(width)]))
    return texts


def _parts(name: str, parts: Iterator[list[_Row]]) -> Iterator[TypedPart]:
    while True:
        with _broken(name):
            part = next(parts, None)
        if part is None:
            return
        if part:
            yield [line for line, _ in part], partial(_cells, part)


def _cells(part: list[_Row], place: int) -> list[object]:
    return [_date_if_midnight(row.get(place)) for _, row in part]


def _date_if_midnight(cell: object) -> object:
    """A date is stored as its midnight."""
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time.min:
        return cell.date()
    return cell


@contextmanager
def _broken(name: str) -> Iterator[None]:
    """As `broken`; openpyxl's warnings are nobody's."""
    with broken(name, "Excel workbook", fix=EXPORT), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
