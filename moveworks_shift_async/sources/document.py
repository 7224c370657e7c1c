"""The text to be read, what an address looks like in it, and the form of every error about it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from attrs import field, frozen

from ..errors import InvalidInput

if TYPE_CHECKING:
    from .decoding import Decoded
    from .files import SteadyFile

#: Characters of the beginning that formats, headers and columns are found from.
SAMPLE_TEXT = 400_000
#: Characters that no line is longer than, where lines are read whole: 300,000 addresses.
LONGEST_LINE = 1 << 23
#: Characters that no address has outside quotes, and that separate addresses in lists.
_OUTSIDE = r"\s@<>,;|\"()\[\]\\"
# The look-behind and the possessive quantifier keep the search linear in one long word.
_ADDRESS = re.compile(rf"(?<![^{_OUTSIDE}])[^{_OUTSIDE}]++@[^{_OUTSIDE}]+\.[^{_OUTSIDE}.]+")
_ANGLED = re.compile(r"[^<>]*<([^<>]*)>\s*")


@frozen(kw_only=True)
class Document:
    """A text file that was looked at from the front and not taken apart yet."""

    #: The column, key or 1-based column number the caller asked for.
    wanted: str | None
    decoded: Decoded
    #: Only one text read from it is good at a time: they share its place.
    file: SteadyFile = field(repr=False)
    #: Its beginning, line ends as they are.
    head: str = field(repr=False, init=False)
    #: True where `head` is all of it.
    whole: bool = field(init=False)

    @head.default
    def _read_head(self) -> str:
        with self.text("") as source:
            return source.read(SAMPLE_TEXT)

    @whole.default
    def _compare(self) -> bool:
        return len(self.head) < SAMPLE_TEXT

    @property
    def name(self) -> str:
        """For messages."""
        return self.file.title

    def text(self, newline: str | None) -> TextIO:
        """Read the whole text from its beginning; `newline` as in `open`."""
        return io.TextIOWrapper(self.file.again(), encoding=self.decoded.encoding, newline=newline)

    def check_lines(self) -> None:
        """Raise `InvalidInput` if a line is too long to be held; for formats that hold lines."""
        if self.decoded.long_line is not None:
            what = f"a line of more than {LONGEST_LINE:,} characters; put each person on a line"
            raise refuse(self.name, self.decoded.long_line, what)

    def head_lines(self) -> list[str]:
        """The lines of the beginning, without the one that the cut went through."""
        lines = io.StringIO(self.head, newline=None).readlines()
        return lines if self.whole or len(lines) == 1 else lines[:-1]


def refuse(name: str, line: int | None, what: str, unit: str = "line") -> InvalidInput:
    """Build the one-line error that names the file and, where there is one, the line."""
    return InvalidInput(f"{name}: {what}" if line is None else f"{name}, {unit} {line}: {what}")


def quoted(name: str) -> str:
    """Put a column's name into a message: one line, not endless, and no address."""
    flat = _ADDRESS.sub("...", " ".join(name.split()))
    return f'"{flat}"' if len(flat) <= 60 else f'"{flat[:57]}..."'


def listed(names: Sequence[str], limit: int = 20) -> str:
    """Name the columns that are there, the first `limit` of them."""
    shown = [quoted(name) for name in names[:limit] if name.strip()]
    return ", ".join(shown) + (", ..." if len(names) > limit else "")


def bare(text: str) -> str:
    """Take the address out of `Name <a@b.c>`; leave every other text as it is."""
    # The search comes first: a million fields pass here and few have brackets.
    found = _ANGLED.fullmatch(text) if ">" in text else None
    return found[1] if found else text


def looks_like_address(text: str) -> bool:
    """Tell whether a field could be an address. The batcher has the last word."""
    return _ADDRESS.fullmatch(bare(text).strip()) is not None


def holds_address(text: str) -> bool:
    """Tell whether an address stands somewhere in a text."""
    return _ADDRESS.search(text) is not None
