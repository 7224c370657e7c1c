"""Where people stand in the file that they were read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ..addresses import person
from ..errors import MoveworksError
from ..sources import RecipientSource

# Places that are listed before the rest is only mentioned.
_LISTED = 10

#: Chunks that are neighbours in the file, each with its number.
Chunks = Sequence[tuple[int, tuple[str, ...]]]


#: Opens the file anew.
Reopen = Callable[[], AbstractContextManager[RecipientSource]]


def lines_of(file: Reopen | None, chunks: Chunks) -> str:
    """The lines of these chunks: `lines 2 to 545, 1090 to 1633`; empty where they are not known.

    A chunk holds neighbours, so its first and its last line are enough. The file is read again for
    them: no journal keeps the lines of those who are sent to.
    """
    ends = [(person(recipients[0]), person(recipients[-1])) for _, recipients in chunks]
    lines = _find(file, {address for pair in ends for address in pair})
    if not lines:
        return ""
    spans: list[tuple[int, int, int]] = []  # number of the last chunk, first line, last line
    for (index, _), (first, last) in zip(chunks, ends, strict=True):
        begin = lines[first]
        if spans and spans[-1][0] + 1 == index:
            begin = spans.pop()[1]
        spans.append((index, begin, lines[last]))
    shown = [f"{a} to {b}" if a != b else f"{a}" for _, a, b in spans[:_LISTED]]
    return f"lines {', '.join(shown + ['and more'] * (len(spans) > _LISTED))}"


def _find(file: Reopen | None, wanted: set[str]) -> dict[str, int]:
    """The first line of each; empty if there is no file, or it has changed since."""
    if file is None:
        return {}
    found: dict[str, int] = {}
    try:
        with file() as source:
            for block in source.blocks():
                for line, entry in zip(block.lines, block.entries, strict=True):
                    if (address := person(entry.strip())) in wanted:
                        found.setdefault(address, line)
    except (MoveworksError, OSError):
        return {}
    return found if found.keys() == wanted else {}
