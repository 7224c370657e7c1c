"""Parquet files, with pyarrow: only the columns that are needed, a few thousand rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import FileIO
from typing import Any

from ..errors import MoveworksError
from .block import BLOCK_ROWS, Block, Reading
from .cells import typed_block
from .columns import Columns, find_column
from .decoding import EXPORT
from .document import refuse
from .opening import again, missing
from .tables import SAMPLE_ROWS

_MAGIC = b"PAR1"
#: Bytes read of a column at once.
_BUFFER = 1 << 16


def is_parquet(file: FileIO) -> bool:
    """Tell a Parquet file by its first bytes, and its last ones or the page that must follow."""
    file.seek(0)
    head = file.read(len(_MAGIC) + 1)
    file.seek(-min(len(_MAGIC), len(head)), os.SEEK_END)
    return head.startswith(_MAGIC) and (head == _MAGIC + b"\x15" or file.read() == _MAGIC)


def read_parquet(file: FileIO, name: str, wanted: str | None, stack: ExitStack) -> Reading:
    """Read the records in their order; the first thousand show which column has the addresses."""
    with _broken(name):
        found = _open(file, name)
        stack.callback(found.close)
        fields = list(found.schema_arrow)
    names = [field.name for field in fields]
    if not found.metadata.num_rows:
        raise refuse(name, None, "no rows: nobody to send to")
    with _broken(name):
        texts = [place for place, field in enumerate(fields) if _is_text(field)]
        rows = _sample(found, names, texts)
    at = find_column(Columns(name=name, wanted=wanted, header=names, rows=rows, line=None))
    return Reading(
        format="parquet",
        column=names[at].strip(),
        column_number=at + 1,
        header=names,
        unit="row",
        blocks=lambda places: _blocks(found, name, names, at, places),
    )


def _open(file: FileIO, name: str) -> Any:
    try:
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        raise missing(name, "a Parquet file", "pyarrow") from None
    # Without pre_buffer it holds the pages it is at, not all of a row group.
    return ParquetFile(again(file), pre_buffer=False, buffer_size=_BUFFER)


def _sample(found: Any, names: list[str], texts: list[int]) -> list[list[str]]:
    """Return the first rows; what is no column of text is "" in them, it can be no address."""
    batch = next(_batches(found, names, texts, SAMPLE_ROWS))
    columns = {place: column.to_pylist() for place, column in batch.items()}
    height = max(map(len, columns.values()), default=0)
    blank = [None] * height
    cells = zip(*[columns.get(place, blank) for place in range(len(names))], strict=True)
    return [[cell or "" for cell in row] for row in cells]


def _blocks(
    found: Any, name: str, names: list[str], at: int, places: Mapping[str, int]
) -> Iterator[Block]:
    batches = _batches(found, names, [at, *places.values()], BLOCK_ROWS)
    row = 1
    while True:
        with _broken(name):
            batch = next(batches, None)
            if batch is None:
                return
            cells = {place: _plain(column).to_pylist() for place, column in batch.items()}
        lines = range(row, row + len(cells[at]))
        row = lines.stop
        yield typed_block(
            lines, cells.__getitem__, name=name, column=names[at], at=at, places=places
        )


def _batches(
    found: Any, names: list[str], needed: list[int], size: int
) -> Iterator[dict[int, Any]]:
    """Yield the columns at some places. Two may have one name, and then both are read."""
    wanted = dict.fromkeys(names[place] for place in needed)
    for batch in found.iter_batches(size, columns=[*wanted], use_threads=False):
        columns: dict[int, Any] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            place = next(at for at, one in enumerate(names) if one == name and at not in columns)
            columns[place] = column
        yield columns


def _is_text(field: Any) -> bool:
    from pyarrow import types  # type: ignore[import-untyped]  # noqa: PLC0415

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _plain(column: Any) -> Any:
    """Python's times end at microseconds; what is below is cut off."""
    import pyarrow  # noqa: PLC0415

    kind = column.type
    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
    if kind == pyarrow.time64("ns"):
        return column.cast(pyarrow.time64("us"), safe=False)
    return column


@contextmanager
def _broken(name: str) -> Iterator[None]:
    """Turn what pyarrow raises for a broken file into our error; its text may hold cells."""
    try:
        yield
    except MoveworksError:
        raise
    except Exception as error:
        what = f"a broken Parquet file ({type(error).__name__}); write it again, or {EXPORT}"
        raise refuse(name, None, what) from None
