"""The entries that are for nobody, written in bounded memory: some ten thousand wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field

from ...addresses import MAX_LENGTH
from ..records import Left, LeftOut

# Entries kept together; more save little.
_BLOCK = 8_192
# Entries that wait: a commit waits for the disk, for some milliseconds.
_MOST = 4 * _BLOCK


@define(eq=False, repr=False)
class LeftOuts:
    """Takes entries of one kind in the order of the source. `flush` it at the end."""

    _write: Callable[[Sequence[LeftOut]], None]
    _why: Left
    _lines: list[int] = field(factory=list, init=False)
    _reasons: list[str] = field(factory=list, init=False)
    _entries: list[str] = field(factory=list, init=False)

    def add(self, lines: Iterable[int], reasons: Iterable[str], entries: Iterable[str]) -> None:
        """Take some."""
        self._lines += lines
        self._reasons += reasons
        self._entries += map(_short, entries)
        if len(self._lines) >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Write all that was taken."""
        if self._lines:
            self._write([self._block(at) for at in range(0, len(self._lines), _BLOCK)])
        self._lines.clear()
        self._reasons.clear()
        self._entries.clear()

    def _block(self, at: int) -> LeftOut:
        part = slice(at, at + _BLOCK)
        return LeftOut(
            why=self._why,
            lines=self._lines[part],
            reasons=self._reasons[part],
            entries=self._entries[part],
        )


def _short(entry: str) -> str:
    """The beginning of what is longer than any address: a cell may hold a book."""
    return entry if len(entry) <= MAX_LENGTH else f"{entry[:MAX_LENGTH]}..."
