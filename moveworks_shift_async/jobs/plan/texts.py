"""The different texts of a job, numbered from 0 in order of first appearance.

A text is a message with its context. In memory stay 16 bytes of each one's digest and its place in
a nameless file: about 200 bytes a text. So a million texts take 200 MB; they are also a
million requests, and six days of sending.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Sequence
from typing import IO

from attrs import define, field

from ...errors import InvalidInput
from ...sources.refusals import quoted, refuse
from ...wire.moveworks import Content, check_message
from .odd_values import odd_values
from .spool import NUMBERS
from .template import Template, missing

Row = tuple[str | None, ...]

# Rows of values whose number is known without rendering, and their characters: about 20 MB.
_CACHED, _CACHED_TEXT = 100_000, 10_000_000


@define(eq=False, repr=False)
class Texts:
    """Renders rows and tells equal texts by their number."""

    _template: Template
    _event_id: str | None
    #: The source, for errors.
    _source: str
    _file: IO[bytes]
    _numbers: dict[bytes, int] = field(factory=dict)
    #: Where each text ends in the file, after a 0 for where the first one begins.
    _ends: array[int] = field(factory=lambda: array(NUMBERS, [0]))
    _known: dict[Row, int] = field(factory=dict)
    #: Characters in these rows.
    _held: int = 0

    def number(self, rows: Sequence[Row], lines: Sequence[int]) -> array[int]:
        """The number of the text of each row; a row holds the values of the template's columns.

        Raises `InvalidInput` with the line of a row that lacks a value, or whose text the vendor
        would refuse.
        """
        if len(self._known) > _CACHED or self._held > _CACHED_TEXT:
            self._known.clear()
            self._held = 0
        known = self._known
        found = [*map(known.get, rows)]
        for place, number in enumerate(found):
            if number is None:
                row = rows[place]
                found[place] = known[row] = (
                    known[row] if row in known else self._render(row, lines[place])
                )
        return array(NUMBERS, found)  # type: ignore[arg-type]  # no None is left

    def read(self, number: int) -> tuple[Content, str | None]:
        """The text of a number, and what is odd about a value in it."""
        self._file.seek(self._ends[number])
        stored = self._file.read(self._ends[number + 1] - self._ends[number])
        message, context, odd = json.loads(stored)
        return Content(event_id=self._event_id, message=message, context=context), odd

    def _render(self, row: Row, line: int) -> int:
        for name in missing(self._template.columns, row):
            raise refuse(self._source, line, f"no value in column {quoted(name)}")
        values = [value or "" for value in row]
        try:
            message, context = self._template.render(values)
            check_message(message, context)
        except InvalidInput as error:
            raise refuse(self._source, line, str(error)) from None
        stored = json.dumps([message, context]).encode()
        self._held += sum(len(value or "") for value in row)
        digest = hashlib.blake2b(stored, digest_size=16).digest()
        number = self._numbers.setdefault(digest, len(self._numbers))
        if number == len(self._ends) - 1:
            odd = odd_values(self._template.columns, values)
            whole = json.dumps([message, context, odd]).encode()
            self._file.seek(self._ends[-1])
            self._file.write(whole)
            self._ends.append(self._ends[-1] + len(whole))
        return number
