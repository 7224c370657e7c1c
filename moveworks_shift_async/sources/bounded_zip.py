"""The parts of a workbook's zip archive, each with a bound.

A few bytes of zip can become any number, so every part is read through `Part`, which counts what it
inflates to: since the last row, since the last text, or altogether.
"""

from __future__ import annotations

import zipfile
from typing import IO, Any

from attrs import define

from ..errors import MoveworksError
from .decoding import EXPORT
from .files import SteadyFile
from .refusals import refuse

#: Bytes that a row or a shared text may take when it is unpacked. In memory a row may take a
#: hundred times as much.
MOST_ROW = 1 << 20
#: Bytes and elements of every other part, most of it styles: Excel has 65,490 of them at most.
_MOST_PART, _MOST_ELEMENTS = 1 << 24, 250_000


@define(eq=False, repr=False)
class Part:
    """A part of the archive as a file, which ends in an error where it inflates to too much."""

    _file: IO[bytes]
    _whole: SteadyFile
    #: Bytes that may come before the next `allow`, and in all.
    _left: int
    _most: int
    #: Elements that may come in all; None for as many as there are.
    _elements: int | None = None
    #: The last row that was read.
    row: int | None = None

    def allow(self, size: int) -> None:
        """Let so many bytes come from now on."""
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """Read some bytes, or all."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 16), b""))
        self._whole.go_on()
        data = self._file.read(size)
        self._left -= len(data)
        self._most -= len(data)
        if self._elements is not None:
            self._elements -= data.count(b"<")
        if min(self._left, self._most, self._elements or 0) < 0:
            raise self.too_much()
        return data

    def too_much(self) -> MoveworksError:
        """Build the error that names the row above it."""
        if self.row is not None:
            what = f"the row below it has more than {MOST_ROW:,} bytes; {EXPORT}"
            return refuse(self._whole.title, self.row, what, "row")
        return refuse(self._whole.title, None, f"its texts or styles are too long; {EXPORT}")

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    close = __exit__


class Archive(zipfile.ZipFile):
    """The parts of a workbook; `open` is for those that are read whole."""

    def __init__(self, file: SteadyFile) -> None:
        super().__init__(file.again())
        self._steady = file

    def part(self, name: str, left: int, most: int, elements: int | None = None) -> Part:
        """Open a part, of which `most` bytes may come."""
        file = super().open(name)
        return Part(file, self._steady, left=left, most=most, elements=elements)

    def open(self, name: Any, *_: Any, **__: Any) -> Any:
        """Open a part for reading, as openpyxl does."""
        return self.part(name, _MOST_PART, _MOST_PART, _MOST_ELEMENTS)
