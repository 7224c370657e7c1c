"""The entries that are for nobody, put into the journal in bounded memory: a few thousand wait."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from ...addresses import MAX_LENGTH
from ..records import Left
from ..store.sqlite.journal import Journal, pack_left_out

# Entries packed together; more save little.
_BLOCK = 8_192
# Blocks in a transaction, about 2 MB: a commit waits for the disk, for some milliseconds.
_BLOCKS = 16


@define(eq=False, repr=False)
class LeftOuts:
    """Takes entries of one kind in the order of the source. `flush` it at the end."""

    _journal: Journal
    _why: Left
    _lines: list[int] = field(factory=list, init=False)
    _reasons: list[str] = field(factory=list, init=False)
    _entries: list[str] = field(factory=list, init=False)
    _packed: list[tuple[Left, bytes]] = field(factory=list, init=False)

    def add(self, lines: Iterable[int], reasons: Iterable[str], entries: Iterable[str]) -> None:
        """Take some."""
        self._lines += lines
        self._reasons += reasons
        self._entries += map(_short, entries)
        if len(self._lines) >= _BLOCK:
            self._pack()

    def flush(self) -> None:
        """Write all that was taken."""
        self._pack()
        self._write()

    def _pack(self) -> None:
        for at in range(0, len(self._lines), _BLOCK):
            part = slice(at, at + _BLOCK)
            packed = pack_left_out(self._lines[part], self._reasons[part], self._entries[part])
            self._packed.append((self._why, packed))
        self._lines.clear()
        self._reasons.clear()
        self._entries.clear()
        if len(self._packed) >= _BLOCKS:
            self._write()

    def _write(self) -> None:
        with self._journal.transaction():
            self._journal.add_left_out(self._packed)
        self._packed.clear()


def _short(entry: str) -> str:
    """The beginning of what is longer than any address: a cell may hold a book."""
    return entry if len(entry) <= MAX_LENGTH else f"{entry[:MAX_LENGTH]}..."
