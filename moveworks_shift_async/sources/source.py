"""One open source of recipients, whatever it is read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import define, field

from ..errors import InvalidInput
from ..storage.system import refused
from ..text import plural
from .address_text import looks_like_address
from .block import Block, Reading
from .columns import template_columns
from .files import CHANGED, nothing
from .refusals import quoted, refuse

_FORMATS = {
    "csv": "CSV",
    "tsv": "TSV",
    "jsonl": "JSON Lines",
    "json": "JSON",
    "text": "plain text",
    "parquet": "Parquet",
    "xlsx": "Excel",
    "sql": "SQL",
}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with BOM",
    "utf-16": "UTF-16 with BOM",
    "utf-32": "UTF-32 with BOM",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
}


@define(eq=False)
class RecipientSource:
    """The recipients of one file, of standard input or of a query; to be read once."""

    #: For messages: as the caller gave it; a database URL without its password and options.
    name: str
    reading: Reading
    #: Raises where what is read was changed meanwhile.
    _verify: Callable[[], None] = field(default=nothing, repr=False)
    #: Called before each block; may raise.
    _go_on: Callable[[], None] = field(default=nothing, repr=False)
    _count: int | None = None
    _taken: bool = False
    _closed: bool = field(default=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `blocks` takes, each once; empty where columns have no names."""
        return tuple(dict.fromkeys(filter(None, map(str.strip, self.reading.header))))

    def blocks(self, columns: Sequence[str] = ()) -> Iterator[Block]:
        """Read all rows, with the cells of `columns` beside the addresses; may be called once.

        Raises `InvalidInput` at once for a column that is not there, or whose text would be a
        guess; while iterating, at the row that cannot be read, and at the end if no entry looks
        like an address.
        """
        if columns and self.reading.guessed_at is not None:
            taken = "texts take columns from it, and a wrong one would spoil them"
            raise self._guess(self.reading.guessed_at, taken)
        found = self.reading
        places = template_columns(
            columns, found.header, name=self.name, line=found.line, unit=found.unit
        )
        if self._taken:
            raise InvalidInput(f"{self.name}: its rows were read already; open it again")
        self._taken = True
        return self._checked(self.reading.blocks(places))

    def describe(self) -> str:
        """Say in one line what it was taken for, and how many rows it has once they were read."""
        found = self.reading
        parts = [_FORMATS[found.format]]
        if found.sheet is not None:
            parts.append(f"sheet {quoted(found.sheet)}")
        if found.delimiter is not None:
            parts.append(_DELIMITERS.get(found.delimiter, repr(found.delimiter)))
        if found.encoding is not None:
            guess = "" if found.guessed_at is None else " (a guess)"
            parts.append(_ENCODINGS.get(found.encoding, found.encoding) + guess)
        if self._count is not None:
            one, more = ("entry", "entries") if found.format == "text" else ("row", "rows")
            parts.append(plural(self._count, one, more))
        if found.column is not None:
            parts.append(f"{'key' if 'json' in found.format else 'column'} {quoted(found.column)}")
        elif found.column_number is not None:
            parts.append(f"column {found.column_number} (no header)")
        return f"{self.name}: {', '.join(parts)}"

    def close(self) -> None:
        """End the reading; what is under it is no longer there."""
        self._closed = True

    def _checked(self, blocks: Iterator[Block]) -> Iterator[Block]:
        count, anybody = 0, False
        failed: list[int] = []
        for block in self._read(blocks):
            count += len(block.lines)
            if self.reading.guessed_at is not None:
                self._check_ascii(block)
            if not anybody:
                anybody = any(map(looks_like_address, block.entries))
                failed = [*failed, *block.lines[:3]][:3]
            yield block
        self._verify()
        self._count = count
        if not anybody:
            raise self._nobody(count, failed)

    def _check_ascii(self, block: Block) -> None:
        """No guess can hurt an address in ASCII; another may be another's."""
        for line, entry in zip(block.lines, block.entries, strict=True):
            if not entry.isascii():
                raise self._guess(line, "this entry's letters depend on it")

    def _guess(self, line: int, why: str) -> InvalidInput:
        """Build the error for a guess that may do harm."""
        what = f"not UTF-8; that it is {self.reading.encoding} is a guess, and {why}"
        fix = "name the encoding (--encoding cp1252 is western, cp1250 central European)"
        return refuse(self.name, line, f"{what}: {fix}, or save the file as UTF-8")

    def _read(self, blocks: Iterator[Block]) -> Iterator[Block]:
        while True:
            self._go_on()
            if self._closed:
                raise InvalidInput(f"{self.name}: it was closed before all its rows were read")
            try:
                block = next(blocks, None)
            except OSError as error:
                raise refused(InvalidInput, f"{self.name} cannot be read", error) from None
            except UnicodeDecodeError:
                raise refuse(self.name, None, CHANGED) from None
            if block is None:
                return
            yield block

    def _nobody(self, count: int, failed: list[int]) -> InvalidInput:
        if not failed:
            return refuse(self.name, None, "no entries: nobody to send to")
        unit = self.reading.unit
        column = self.reading.column
        where = f" of column {quoted(column)}" if column is not None else ""
        what = f"none of {count:,} entries{where} is an e-mail address"
        first = f"(the first are in {unit}s {', '.join(map(str, failed))})"
        fix = "correct them, or choose another column with --column"
        return refuse(self.name, failed[0], f"{what} {first}; {fix}", unit)
