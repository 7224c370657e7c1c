"""Parquet files, with pyarrow: only the columns that are needed, a few thousand rows at a time.

A few bytes can stand for any number of values, where a page says "this word of the dictionary, a
million times" or "the value above, and one letter more". So the rows that are decoded at once are
as many as fit into a bound if each held the longest value that its column can have.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any, BinaryIO

from attrs import frozen

from .block import BLOCK_ROWS, Reading
from .columns import Columns
from .decoding import EXPORT
from .files import SteadyFile, missing
from .refusals import broken, quoted, refuse
from .tables import SAMPLE_ROWS
from .typed_cells import TypedPart, typed_reading

_MAGIC = b"PAR1"
#: Bytes read of a column at once.
_BUFFER = 1 << 16
#: Bytes that the values of a batch may take, and those of a column in a group of rows. Writers make
#: groups of 128 MB for all columns, and dictionaries of 1 MB.
_MOST_BATCH, _MOST_GROUP = 1 << 26, 1 << 28
#: As in a worksheet.
_MOST_COLUMNS = 16_384
#: Cells that the column of the addresses is found from.
_SAMPLE_CELLS = 1_000_000
#: Where values share their beginnings, one of them may be as long as all that is stored.
_SHARING = "DELTA_BYTE_ARRAY"
#: `PageHeader` of parquet.thrift in Thrift's compact protocol: a number in the next field of a
#: structure; the number of a page that is a dictionary.
_NUMBER, _DICTIONARY = 0x15, 2


def is_parquet(file: SteadyFile) -> bool:
    """Tell a Parquet file by its first bytes, and its last ones or the page that must follow."""
    file.seek(0)
    head = file.read(len(_MAGIC) + 1)
    file.seek(-min(len(_MAGIC), len(head)), os.SEEK_END)
    return head.startswith(_MAGIC) and (head == _MAGIC + b"\x15" or file.read() == _MAGIC)


def read_parquet(file: SteadyFile, wanted: str | None, stack: ExitStack) -> Reading:
    """Read the records in their order; the first thousand show which column has the addresses."""
    name = file.title
    with _broken(name):
        reader = file.again()
        found = _open(reader, name)
        stack.callback(found.close)
        fields = list(found.schema_arrow)
    names = [field.name for field in fields]
    if len(names) > _MOST_COLUMNS:
        raise refuse(name, None, f"{len(names):,} columns; export those that are needed")
    if not found.metadata.num_rows:
        raise refuse(name, None, "no rows: nobody to send to")
    with _broken(name):
        texts = [place for place, field in enumerate(fields) if _is_text(field)]
        rows = _sample(_Lengths(file, reader), found, names, texts)
    columns = Columns(name=name, wanted=wanted, header=names, rows=rows, line=None, unit="row")
    return typed_reading("parquet", columns, partial(_parts, _Lengths(file, reader), found, names))


def _open(reader: BinaryIO, name: str) -> Any:
    try:
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        raise missing(name, "a Parquet file", "pyarrow") from None
    # Without pre_buffer it holds the pages it is at, not all of a row group.
    return ParquetFile(reader, pre_buffer=False, buffer_size=_BUFFER)


def _sample(lengths: _Lengths, found: Any, names: list[str], texts: list[int]) -> list[list[str]]:
    """Return the first rows; what is no column of text is "" in them, it can be no address."""
    size = min(SAMPLE_ROWS, max(_SAMPLE_CELLS // len(names), 1))
    batch = next(_batches(lengths, found, names, texts, size))
    columns = {place: column.to_pylist() for place, column in batch.items()}
    height = max(map(len, columns.values()), default=0)
    blank = [None] * height
    cells = zip(*[columns.get(place, blank) for place in range(len(names))], strict=True)
    return [[cell or "" for cell in row] for row in cells]


def _parts(
    lengths: _Lengths, found: Any, names: list[str], needed: list[int]
) -> Iterator[TypedPart]:
    name = lengths.file.title
    from pyarrow import types  # type: ignore[import-untyped]  # noqa: PLC0415

    for place in needed:
        if types.is_nested(found.schema_arrow[place].type):
            what = f"the value of {quoted(names[place])} is nested; it must be a string"
            raise refuse(name, 1, what, "row")
    row = 1
    with _broken(name):
        for batch in _batches(lengths, found, names, needed, BLOCK_ROWS):
            cells = {place: _plain(column).to_pylist() for place, column in batch.items()}
            lines = range(row, row + len(cells[needed[0]]))
            row = lines.stop
            yield lines, cells.__getitem__


def _batches(
    lengths: _Lengths, found: Any, names: list[str], needed: list[int], size: int
) -> Iterator[dict[int, Any]]:
    """Yield the columns at some places. Two may have one name, and then both are read."""
    wanted = dict.fromkeys(names[place] for place in needed)
    longest = lengths.longest(found.metadata, wanted)
    size = max(1, min(size, _MOST_BATCH // max(longest, 1)))
    for batch in found.iter_batches(size, columns=[*wanted], use_threads=False):
        columns: dict[int, Any] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            place = next(at for at, one in enumerate(names) if one == name and at not in columns)
            columns[place] = column
        yield columns


@frozen
class _Lengths:
    """How long the values of a file may be, from its own figures."""

    file: SteadyFile
    #: What pyarrow reads the file with: two readers would share the file's position.
    reader: BinaryIO

    def longest(self, metadata: Any, wanted: Container[str]) -> int:
        """Return the bytes that no value of these columns is longer than, if it comes repeatedly.

        A value that comes once is in the bytes of its column, which are bounded too.
        """
        longest, row = 0, 1
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            self.file.go_on()
            columns = map(group.column, range(group.num_columns))
            for column in (one for one in columns if one.path_in_schema in wanted):
                longest = max(longest, self._longest_of(column, row))
            row += group.num_rows
        return longest

    def _longest_of(self, column: Any, row: int) -> int:
        size = column.total_uncompressed_size
        if size > _MOST_GROUP:
            what = f"column {quoted(column.path_in_schema)} has {size:,} bytes in a group of rows"
            raise refuse(self.file.title, row, f"{what}; write it again with smaller groups", "row")
        if _SHARING in column.encodings:
            return int(size)
        starts = filter(None, (column.data_page_offset, column.dictionary_page_offset))
        dictionary = self._dictionary(min(starts))
        return int(size) if dictionary is None else dictionary

    def _dictionary(self, at: int) -> int | None:
        """Return the bytes of the dictionary that begins there; 0 where there is none."""
        self.reader.seek(at)
        head = iter(self.reader.read(32))
        kind = _number(head)
        return 0 if kind not in {None, _DICTIONARY} else _number(head)


def _number(head: Iterator[int]) -> int | None:
    """Read one field: seven bits a byte, the lowest first, and the sign in the lowest of all."""
    value = shift = 0
    if next(head, None) != _NUMBER:
        return None
    for byte in head:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value >> 1


def _is_text(field: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

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


def _broken(name: str) -> AbstractContextManager[None]:
    return broken(name, "Parquet file", fix=f"write it again, or {EXPORT}")
