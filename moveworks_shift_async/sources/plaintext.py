"""Plain text: one address a line, or several with commas, semicolons or spaces between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from .address_text import bare, looks_like_address
from .block import Block, Reading, parts_of
from .columns import names_an_address, plain
from .document import Document
from .refusals import quoted, refuse

#: A piece ends at a comma or semicolon outside quotes and angle brackets. A quote or bracket that
#: is not closed in its line is a character like any other.
_PIECE = re.compile(r'(?:[^,;"<]++|"[^"]*"|<[^<>]*>|["<])++')
_SEVERAL = re.compile(r"<([^<>]*)>")
#: A line that holds nothing but one address, as most lines do.
_ALONE = re.compile(r'([^\s,;"<>#][^\s,;"<>]*)\n?')


def read_text(document: Document) -> Reading:
    """Take every piece of every line as an entry; `#` starts a comment line.

    A line is in memory as a whole.
    """
    column = _header(document)
    return Reading(
        format="text",
        column=column,
        blocks=lambda _: _blocks(document, skip=column is not None),
    )


def _blocks(document: Document, *, skip: bool) -> Iterator[Block]:
    with document.text(None) as source:
        found = islice(_pieces(source), int(skip), None)
        for part in parts_of((line, len(piece), piece) for line, piece in found):
            lines, entries = zip(*part, strict=True)
            yield Block(lines=lines, entries=entries, values={})


def _pieces(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if alone := _ALONE.fullmatch(line):
            yield number, alone[1]
        elif not line.startswith("#"):
            for piece in split(line):
                yield number, piece


def split(line: str) -> Iterator[str]:
    """Take one line apart. Words without an address stay together: they are one broken entry."""
    for match in _PIECE.finditer(line):
        piece = match[0].strip()
        words = piece.split()
        if len(_SEVERAL.findall(piece)) > 1:
            yield from _SEVERAL.findall(piece)
        elif len(words) > 1 and all("@" in word for word in words):
            yield from map(_unquoted, words)
        elif piece:
            yield _unquoted(piece)


def _unquoted(piece: str) -> str:
    whole = len(piece) > 1 and piece[0] == piece[-1] == '"'
    return bare(piece[1:-1] if whole else piece)


def _header(document: Document) -> str | None:
    """Return the first entry if it is the name of a column of addresses."""
    found = [piece for _, piece in _pieces(document.head_lines())]
    first, wanted = found[0] if found else "", document.wanted
    if wanted is not None:
        if plain(first) == plain(wanted):
            return first
        what = f"plain text has no column {quoted(wanted)}; leave out --column"
        raise refuse(document.name, None, what)
    if not names_an_address(first) or "@" in first:
        return None
    others = found[1:]
    return first if not others or any(map(looks_like_address, others)) else None
