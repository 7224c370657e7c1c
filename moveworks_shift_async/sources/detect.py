"""The way in: find out what a source is, and have it read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice

from attrs import evolve

from ..errors import InvalidInput
from .block import Reading
from .columns import names_an_address
from .decoding import encoding_of, known_encoding
from .document import Document
from .files import GoOn, SteadyFile, name_of, nothing, opened
from .objects import read_json
from .parquet import is_parquet, read_parquet
from .plaintext import read_text
from .refusals import refuse
from .source import RecipientSource
from .sql import is_url, read_query
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
    encoding: str | None = None,
    name: str | None = None,
    go_on: GoOn = nothing,
) -> Iterator[RecipientSource]:
    """Open recipients, whatever their format; nothing depends on a file's name.

    `where` is a path, `-` for standard input, or an SQLAlchemy URL with a `query` to run there.
    `column` is the e-mail column's name, or its number, 1 for the first. `encoding` is that of a
    text file, where its bytes do not show it. `name` is for messages, where another than `where`
    reads better. `go_on` is called between slices of the reading, and may raise to end it. The
    format and the column are found from the beginning; the rows are read when they are asked for,
    and never held together.

    Raises `InvalidInput` for what is empty, no text, broken or without a clear e-mail column;
    reading the rows raises it for what is wrong further down.
    """
    encoding = None if encoding is None else known_encoding(encoding)
    with ExitStack() as stack:
        if isinstance(where, str) and is_url(where):
            shown, reading = read_query(where, query, column, stack)
            _no_encoding(shown, encoding)
            source = RecipientSource(name=shown, reading=reading, go_on=go_on)
        else:
            shown = name or name_of(where)
            if query is not None:
                raise InvalidInput(f"{shown}: a query needs a database URL")
            file = stack.enter_context(opened(where, shown, go_on))
            reading = _read(file, column, encoding, stack)
            source = RecipientSource(name=shown, reading=reading, verify=file.verify, go_on=go_on)
        stack.callback(source.close)
        yield source


def _read(file: SteadyFile, column: str | None, encoding: str | None, stack: ExitStack) -> Reading:
    for is_one, read in ((is_parquet, read_parquet), (is_workbook, read_workbook)):
        if is_one(file):
            _no_encoding(file.title, encoding)
            return read(file, column, stack)
    decoded = encoding_of(file, encoding)
    if not decoded.first:
        raise refuse(file.title, None, "the file is empty: nobody to send to")
    reading = _read_text(Document(wanted=column, decoded=decoded, file=file))
    return evolve(reading, encoding=decoded.encoding, guessed_at=decoded.guessed_at)


def _no_encoding(name: str, encoding: str | None) -> None:
    if encoding is not None:
        raise refuse(name, None, "it says itself how its text is written; leave out --encoding")


def _read_text(document: Document) -> Reading:
    if document.decoded.first == "[":
        return read_json(document, "json")
    if document.decoded.first == "{" or (document.decoded.first == '"' and _json_strings(document)):
        document.check_lines()
        return read_json(document, "jsonl")
    document.check_lines()
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
