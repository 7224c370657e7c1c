"""JSON values one by one, each with its line: of JSON Lines, and of one array of any length.

An array is read through a window: only the values at hand are in memory. A value that seems
broken may only be cut off by the window's end, so more is read until it must be broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from attrs import define, field

from ..errors import InvalidInput
from .document import Document
from .refusals import refuse

_SPACE = re.compile(r"\s*")
_COMMA = re.compile(r"\s*,")
_DECODER = json.JSONDecoder()
#: Characters read into the window at once, and those that no value is longer than.
_WINDOW, _LONGEST = 1 << 16, 1 << 20


def line_values(document: Document) -> Iterator[tuple[int, int, Any]]:
    """Decode one value a line: its line, its characters, itself."""
    with document.text(None) as source:
        for number, raw in enumerate(source, 1):
            if line := raw.rstrip():
                if len(line) > _LONGEST:
                    what = f"a value of more than {_LONGEST:,} characters, too long for a person"
                    raise refuse(document.name, number, what)
                try:
                    value, end = _DECODER.raw_decode(line)
                except (ValueError, RecursionError):
                    end = 0
                if end < len(line):
                    window = _Window(source=source, name=document.name, text=line, line=number)
                    value = _only(window)
                yield number, len(line), value


def _only(window: _Window) -> Any:
    """Say what is wrong with a line, or decode it with odd spaces around its value."""
    window.skip()
    value = window.value(longest=0)
    if window.at < len(window.text):
        raise window.broken(window.at, "more than one value in the line")
    return value


def array_values(document: Document) -> Iterator[tuple[int, int, Any]]:
    """Decode the array's values one by one: the line of each, its characters, itself."""
    with document.text(None) as source:
        window = _Window(source=source, name=document.name)
        window.skip()
        window.take()  # the opening bracket
        mark = window.take() if window.skip() == "]" else ","
        while mark == ",":
            window.skip()
            line = window.lines()
            value = window.value()
            yield line, window.taken, value
            mark = window.mark()
        if mark != "]" or window.skip():
            raise window.broken(window.at, "the array does not end where the file does")


@define(eq=False)
class _Window:
    """The part of a text that is held, and the place in it."""

    source: TextIO
    name: str
    text: str = field(default="", repr=False)
    at: int = 0
    #: The line of the place up to which lines are counted, 1 for the first.
    line: int = 1
    _counted: int = 0
    #: Characters of the first line that stood before `text`.
    _left: int = 0
    #: Characters of the last value.
    taken: int = 0

    def take(self) -> str:
        """Go past one character and return it."""
        self.at += 1
        return self.text[self.at - 1]

    def mark(self) -> str:
        """Go past what stands behind a value and return it; "" where it is no mark."""
        found = _COMMA.match(self.text, self.at)
        if found:  # all of it is in the window, as it nearly always is
            self.at = found.end()
            return ","
        return self.take() if self.skip() in {",", "]"} else ""

    def skip(self) -> str:
        """Go to the next character that is no space and return it; "" at the end."""
        while True:
            self.at += len(_SPACE.match(self.text, self.at)[0])  # type: ignore[index]  # always one
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def value(self, longest: int = _LONGEST) -> Any:
        """Decode the value that begins here and go past it."""
        while True:
            begin = self.at
            try:
                value, self.at = _DECODER.raw_decode(self.text, self.at)
                self.taken = self.at - begin
            except json.JSONDecodeError as error:
                wrong = error.pos - self.at  # `_more` drops the text before it
                if len(self.text) - self.at < longest and self._more():
                    continue
                raise self.broken(self.at + wrong, error.msg.rstrip(":")) from None
            except (ValueError, RecursionError):
                what = "a number is too long or the value is nested too deep"
                raise refuse(self.name, self.lines(), what) from None
            return value

    def lines(self) -> int:
        """Return the line of the place."""
        self.line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self.line

    def broken(self, place: int, what: str) -> InvalidInput:
        """Build the error for what stands at `place` of the text."""
        line = self.lines() + self.text.count("\n", self.at, place)
        above = self.text.rfind("\n", 0, place)
        column = place - above if above >= 0 else self._left + place + 1
        rule = "each line must be one JSON object or string, or the file one array of them"
        return refuse(self.name, line, f"column {column}: not JSON, {what}; {rule}")

    def _more(self) -> bool:
        """Let go of what is done and read on, twice as much as is held; False at the end."""
        self.lines()
        above = self.text.rfind("\n", 0, self.at)
        self._left = self.at - above - 1 if above >= 0 else self._left + self.at
        more = self.source.read(max(_WINDOW, len(self.text) - self.at))
        self.text = self.text[self.at :] + more
        self.at = self._counted = 0
        return bool(more)
