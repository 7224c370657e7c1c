"""Values that are no text yet -> text as a person would write it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from .block import Block, Reading, entries_of
from .columns import Columns, find_column
from .refusals import quoted, refuse

#: Up to here a float holds every whole number exactly.
_EXACT = 2**53
_TEXT = frozenset({str, type(None)})


#: The lines of some rows, and what returns their cells in the column at a place.
TypedPart = tuple[Sequence[int], Callable[[int], Sequence[object]]]


def typed_reading(
    form: str,
    columns: Columns,
    parts: Callable[[list[int]], Iterator[TypedPart]],
    *,
    sheet: str | None = None,
) -> Reading:
    """Make a reading of columns of any type. `parts` takes the places of those that are needed."""
    at = find_column(columns)
    header = [name.strip() for name in columns.header or ()]
    column = header[at] if at < len(header) else None
    return Reading(
        format=form,
        column=column,
        column_number=at + 1,
        sheet=sheet,
        header=header,
        line=columns.line,
        unit="row",
        blocks=lambda places: (
            _block(*part, columns.name, column, at, places)
            for part in parts([at, *places.values()])
        ),
    )


def _block(
    lines: Sequence[int],
    cells: Callable[[int], Sequence[object]],
    name: str,
    column: str | None,
    at: int,
    places: Mapping[str, int],
) -> Block:
    return Block(
        lines=lines,
        entries=entries_of([cell or "" for cell in texts_of(cells(at), lines, column, name)]),
        values={
            wanted: texts_of(cells(place), lines, wanted, name) for wanted, place in places.items()
        },
    )


def texts_of(
    cells: Sequence[object], lines: Sequence[int], column: str | None, name: str, unit: str = "row"
) -> Sequence[str | None]:
    """Return the text of each cell of one column, None for nothing; `column` is for the error."""
    if _TEXT.issuperset(map(type, cells)):
        return cells  # type: ignore[return-value]  # seen above, in a tenth of the time
    texts = []
    for line, cell in zip(lines, cells, strict=True):
        try:
            texts.append(text_of(cell))
        except ValueError as error:
            why = "no text" if isinstance(error, UnicodeDecodeError) else "nested"
            of = "" if column is None else f" of {quoted(column)}"
            what = f"the value{of} is {why}; it must be a string"
            raise refuse(name, line, what, unit) from None
    return texts


def text_of(cell: object) -> str | None:
    """Write one value: 3.0 as 3, dates as ISO 8601. `ValueError` for what has no short text."""
    match cell:
        case None | str():
            return cell
        case bool():
            return json.dumps(cell)
        case float() if cell.is_integer() and abs(cell) < _EXACT:
            return str(int(cell))
        case Decimal() if cell.is_finite():
            return f"{cell:f}"
        case bytes() | bytearray() | memoryview():
            return bytes(cell).decode()
        case datetime.date() | datetime.time():
            return cell.isoformat()
        case Mapping() | Sequence() | set():
            raise ValueError("nested")
        case _:
            return str(cell)
