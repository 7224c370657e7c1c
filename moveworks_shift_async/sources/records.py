"""JSON Lines and JSON arrays: each value a bare address or an object that holds one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..errors import InvalidInput
from .columns import Columns, find_column
from .document import Document, RecipientFile, bare, quoted, refuse

#: Objects looked at to find the key.
_SAMPLE = 1_000
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


def read_lines(document: Document) -> RecipientFile:
    """Read one JSON value a line."""
    return _read(document, "jsonl", list(_lines(document)))


def read_array(document: Document) -> RecipientFile:
    """Read one array of values."""
    return _read(document, "json", list(_array(document)))


def _read(document: Document, form: str, values: list[tuple[int, Any]]) -> RecipientFile:
    for line, value in values:
        if not isinstance(value, str | dict):
            raise refuse(document.name, line, "neither a JSON object nor a string")
    key = _key(document, values)
    return RecipientFile(
        name=document.name,
        format=form,
        encoding=document.encoding,
        column=key,
        entries=tuple(_entry(document, line, value, key) for line, value in values),
        lines=tuple(line for line, _ in values),
    )


def _key(document: Document, values: list[tuple[int, Any]]) -> str | None:
    """Find the key as a column is found, with the keys of the first objects as the header."""
    sample = list(islice((item for item in values if isinstance(item[1], dict)), _SAMPLE))
    if not sample:
        if document.wanted is None:
            return None
        what = f"there is no key {quoted(document.wanted)} in bare strings; leave out --column"
        raise refuse(document.name, None, what)
    keys: list[str] = list(dict.fromkeys(key for _, value in sample for key in value))
    rows = [[_text(value.get(key)) for key in keys] for _, value in sample]
    nested = any(
        isinstance(value, dict | list) for _, record in sample for value in record.values()
    )
    if nested and not any("@" in cell for row in rows for cell in row):
        what = "no key holds addresses, and nested values are not read; put the address at the top"
        raise refuse(document.name, sample[0][0], what)
    return keys[find_column(Columns(header=keys, rows=rows, line=sample[0][0]), document)]


def _text(value: object) -> str:
    """Return a field's value as text: "" for a value that is not there or not text."""
    return value if isinstance(value, str) else ""


def _entry(document: Document, line: int, value: Any, key: str | None) -> str:
    found = value.get(key) if isinstance(value, dict) else value
    if isinstance(found, dict | list):
        what = f"the value of {quoted(str(key))} is nested; it must be a string"
        raise refuse(document.name, line, what)
    return bare(str(found)) if found is not None else ""


def _lines(document: Document) -> Iterator[tuple[int, Any]]:
    for number, raw in enumerate(io.StringIO(document.text, newline=None), 1):
        if line := raw.rstrip():
            value, end = _decode(document, line, _skip(line, 0), number)
            if end < len(line):
                raise _broken(document, number, end, "more than one value in the line")
            yield number, value


def _array(document: Document) -> Iterator[tuple[int, Any]]:
    """Decode the array's values one by one, for the line each of them starts in."""
    source = io.StringIO(document.text, newline=None).read()
    at = end = _skip(source, source.index("[") + 1)
    line, counted, mark = 1, 0, ","
    if source.startswith("]", at):
        mark, at = "]", _skip(source, at + 1)
    while mark == ",":
        line, counted = line + source.count("\n", counted, at), at
        value, end = _decode(document, source, at, line)
        yield line, value
        end = _skip(source, end)
        mark, at = source[end : end + 1], _skip(source, end + 1)
    wrong = at if mark == "]" else end
    if mark != "]" or wrong < len(source):
        last = line + source.count("\n", counted, wrong)
        column = wrong - source.rfind("\n", 0, wrong) - 1
        raise _broken(document, last, column, "the array does not end where the file does")


def _skip(source: str, at: int) -> int:
    return at + len(_SPACE.match(source, at)[0])  # type: ignore[index]  # it matches everywhere


def _decode(document: Document, source: str, at: int, line: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(source, at)
    except json.JSONDecodeError as error:
        # In an array the error may lie some lines below the value's first one.
        below = source.count("\n", at, error.pos)
        what = error.msg.rstrip(":")
        raise _broken(document, line + below, error.colno - 1, what) from None
    except (ValueError, RecursionError):
        what = "a number is too long or the value is nested too deep"
        raise refuse(document.name, line, what) from None


def _broken(document: Document, line: int, offset: int, what: str) -> InvalidInput:
    rule = "each line must be one JSON object or string, or the file one array of them"
    return refuse(document.name, line, f"column {offset + 1}: not JSON, {what}; {rule}")
