"""The entries that are no address: counted, the first of them remembered, all of them written down
if the user wants that.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, TextIO

from attrs import define, field

from ...addresses import address_fault, first_fault
from ...errors import NotAddresses
from ...storage.atomic import NewFile
from ...text import plural
from ..csv_cells import text_cell
from ..left_out import InvalidLine

# The first ones that a plan names.
EXAMPLES = 10
# Addresses checked at once: where one in a thousand is bad, one slice in ten is checked one by one.
_SLICE = 100


def not_addresses(source: str, count: int, examples: Sequence[InvalidLine]) -> NotAddresses:
    """So many in that source."""
    return NotAddresses(
        f"{source}: {plural(count, 'row')} without a valid address",
        count=count,
        examples=tuple(examples),
    )


@define(eq=False, repr=False)
class Rejects:
    """Takes invalid entries in order."""

    count: int = 0
    examples: list[InvalidLine] = field(factory=list)
    _file: NewFile | None = None
    _text: TextIO | None = None
    #: What is written stays, whatever becomes of the plan.
    _kept: bool = False

    @classmethod
    def to(cls, path: str | None) -> Rejects:
        """With a path: also into a new CSV file, for its owner alone; raises as `NewFile` does."""
        if path is None:
            return cls()
        file = NewFile.at(path)
        text = TextIOWrapper(file.file, "utf-8", "backslashreplace", newline="")
        csv.writer(text).writerow(("line", "reason", "entry"))
        return cls(file=file, text=text)

    def add(self, line: int, reason: str, entry: str) -> None:
        """Note one."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(InvalidLine(line, reason))
        if self._text is not None:
            csv.writer(self._text).writerow((line, reason, text_cell(entry)))

    def close(self) -> None:
        """Put the file at its path, whole."""
        if self._file is not None and self._text is not None:
            self._text.flush()
            self._file.keep()
            self._file.put()

    def refusal(self, source: str) -> NotAddresses:
        """The error of a plan that was to leave out nobody; the file with all of them stays."""
        self.close()
        self._kept = True
        return not_addresses(source, self.count, self.examples)

    def remove(self) -> None:
        """Leave no file behind, but for a refusal's."""
        if self._file is not None and not self._kept:
            self._file.remove()


def faults(addresses: Sequence[Any]) -> list[tuple[int, str]]:
    """Place and reason of each entry that is no address. Only slices with a fault are slow."""
    found: list[tuple[int, str]] = []
    for start in range(0, len(addresses), _SLICE):
        part = addresses[start : start + _SLICE]
        if first_fault(part) is not None:
            reasons = enumerate(map(address_fault, part), start)
            found += [(place, reason) for place, reason in reasons if reason is not None]
    return found
