"""Plain text: one address a line, or several with commas, semicolons or spaces between them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from .columns import names_an_address, plain
from .document import Document, RecipientFile, bare, looks_like_address, quoted, refuse

#: A piece ends at a comma or semicolon outside quotes and angle brackets. A quote or bracket that
#: is not closed in its line is a character like any other.
_PIECE = re.compile(r'(?:"[^"]*"|<[^<>]*>|[^,;])+')
_SEVERAL = re.compile(r"<([^<>]*)>")


def read_text(document: Document) -> RecipientFile:
    """Take every piece of every line as an entry; `#` starts a comment line."""
    found = [
        (number, piece)
        for number, line in enumerate(io.StringIO(document.text, newline=None), 1)
        if not line.startswith("#")
        for piece in split(line)
    ]
    column = _header(found, document)
    if column is not None:
        del found[0]
    return RecipientFile(
        name=document.name,
        format="text",
        encoding=document.encoding,
        column=column,
        entries=tuple(piece for _, piece in found),
        lines=tuple(number for number, _ in found),
    )


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


def _header(found: list[tuple[int, str]], document: Document) -> str | None:
    """Return the first entry if it is the name of a column of addresses."""
    first, wanted = found[0][1] if found else "", document.wanted
    if wanted is not None:
        if plain(first) == plain(wanted):
            return first
        what = f"plain text has no column {quoted(wanted)}; leave out --column"
        raise refuse(document.name, None, what)
    if not names_an_address(first) or "@" in first:
        return None
    others = [piece for _, piece in found[1:]]
    return first if not others or any(map(looks_like_address, others)) else None
