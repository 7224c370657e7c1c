"""The way in: find out what a source is, and have it read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from itertools import islice

from ..errors import InvalidInput
from .block import Reading
from .columns import names_an_address
from .database import is_url, read_query
from .decoding import encoding_of
from .document import Document, refuse
from .opening import name_of, opened
from .parquet import is_parquet, read_parquet
from .plaintext import read_text
from .records import read_json
from .source import RecipientSource
from .tables import find_table, read_table
from .workbook import is_workbook, read_workbook

#: Lines that must all be JSON strings before a file of quoted words is taken for JSON Lines.
_SAMPLE = 100


@contextmanager
def open_recipients(
    where: str | os.PathLike[str],
    column: str | None = None,
    query: str | None = None,
    *,
    name: str | None = None,
) -> Iterator[RecipientSource]:
    """Open recipients, whatever their format; nothing depends on a file's name.

    `where` is a path, `-` for standard input, or an SQLAlchemy URL with a `query` to run there.
    `column` is the e-mail column's name, or its number, 1 for the first. `name` is for messages,
    where another than `where` reads better. The format and the column are found from the
    beginning; the rows are read when they are asked for, and never held together.

    Raises `InvalidInput` for what is empty, no text, broken or without a clear e-mail column;
    reading the rows raises it for what is wrong further down.
    """
    with ExitStack() as stack:
        if isinstance(where, str) and is_url(where):
            shown, reading = read_query(where, query, column, stack)
        elif query is not None:
            raise InvalidInput(f"{name or name_of(where)}: a query needs a database URL")
        else:
            shown = name or name_of(where)
            reading = _read(stack.enter_context(opened(where)), shown, column, stack)
        source = RecipientSource(name=shown, reading=reading)
        stack.callback(source.close)
        yield source


def _read(file: FileIO, name: str, column: str | None, stack: ExitStack) -> Reading:
    if is_parquet(file):
        return read_parquet(file, name, column, stack)
    if is_workbook(file):
        return read_workbook(file, name, column, stack)
    return _read_text(_document(file, name, column))


def _document(file: FileIO, name: str, column: str | None) -> Document:
    encoding, first = encoding_of(file, name)
    if not first:
        raise refuse(name, None, "the file is empty: nobody to send to")
    return Document(
        name=name, encoding=encoding, wanted=column, first=first, descriptor=file.fileno()
    )


def _read_text(document: Document) -> Reading:
    if document.first == "[":
        return read_json(document, "json")
    if document.first == "{" or (document.first == '"' and _json_strings(document)):
        return read_json(document, "jsonl")
    table = find_table(document)
    return read_text(document) if table is None else read_table(document, table)


def _json_strings(document: Document) -> bool:
    """Tell JSON strings from quoted CSV: every line is one, and the first names no column."""
    lines = (line for line in document.head_lines() if line.strip())
    try:
        values = list(map(json.loads, islice(lines, _SAMPLE)))
    except (ValueError, RecursionError):
        return False
    strings = all(isinstance(value, str) for value in values)
    return strings and bool(values) and not names_an_address(values[0])
