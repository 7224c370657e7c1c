"""A text file: its beginning, and all of it once it is taken apart."""

from __future__ import annotations

import io
from typing import TextIO

from attrs import field, frozen

from .decoding import LONGEST_LINE, Decoded
from .files import SteadyFile
from .refusals import refuse

#: Characters of the beginning that formats, headers and columns are found from.
SAMPLE_TEXT = 400_000


@frozen(kw_only=True)
class Document:
    """A text file that was looked at from the front and not taken apart yet."""

    #: The column, key or 1-based column number the caller asked for.
    wanted: str | None
    decoded: Decoded
    #: Read one text of it at a time: they share the file's position.
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
