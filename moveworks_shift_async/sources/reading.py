"""The way in: find out what a file is, have it read, and insist that somebody is in it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import islice

from .columns import names_an_address
from .decoding import decode
from .document import Document, RecipientFile, looks_like_address, quoted, refuse
from .plaintext import read_text
from .records import read_array, read_lines
from .tables import find_table, read_table

#: Lines that must all be JSON strings before a file of quoted words is taken for JSON Lines.
_SAMPLE = 100


def read_recipients(data: bytes, *, name: str, column: str | None = None) -> RecipientFile:
    """Read the e-mail entries of a file, whatever its format; nothing depends on its name.

    `name` is for messages. `column` is the e-mail column's name, or its number, 1 for the first.
    Raises `InvalidInput` for a file that is empty, no text, broken, without a clear e-mail
    column, or without one entry that looks like an address.
    """
    text, encoding = decode(data, name)
    if not text.strip():
        raise refuse(name, None, "the file is empty: nobody to send to")
    document = Document(name=name, text=text, encoding=encoding, wanted=column)
    found = _read(document)
    if not any(map(looks_like_address, found.entries)):
        raise _nobody(found)
    return found


def _read(document: Document) -> RecipientFile:
    first = document.text.lstrip()[0]
    if first == "[":
        return read_array(document)
    if first == "{" or (first == '"' and _json_strings(document.text)):
        return read_lines(document)
    table = find_table(document)
    return read_text(document) if table is None else read_table(document, table)


def _json_strings(text: str) -> bool:
    """Tell JSON strings from quoted CSV: every line is one, and the first names no column."""
    try:
        values = list(map(json.loads, islice(_filled_lines(text), _SAMPLE)))
    except (ValueError, RecursionError):
        return False
    return all(isinstance(value, str) for value in values) and not names_an_address(values[0])


def _filled_lines(text: str) -> Iterator[str]:
    return (line for line in io.StringIO(text, newline=None) if line.strip())


def _nobody(found: RecipientFile) -> Exception:
    if not found.lines:
        return refuse(found.name, None, "no entries: nobody to send to")
    failed = ", ".join(map(str, found.lines[:3]))
    where = f" of column {quoted(found.column)}" if found.column is not None else ""
    what = f"none of {len(found.entries):,} entries{where} is an e-mail address"
    fix = "correct them, or choose another column with --column"
    return refuse(found.name, found.lines[0], f"{what} (the first are in lines {failed}); {fix}")
