"""Bare addresses and objects that hold one: from JSON Lines, JSON arrays and Python iterables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from attrs import frozen

from .block import Block, Reading, entries_of, parts_of
from .columns import Columns, find_column
from .document import Document
from .json_values import array_values, line_values
from .refusals import quoted, refuse
from .typed_cells import texts_of

#: Values looked at to find the key.
SAMPLE_VALUES = 1_000

#: Cells looked at.
_SAMPLE_CELLS = 1_000_000
#: Different keys that are looked at: as many as a worksheet has columns.
_MOST_KEYS = 16_384


@frozen(kw_only=True)
class Keys:
    """What the first values show."""

    #: The file, for messages, and what its lines are called.
    name: str
    unit: str = "line"
    #: Every key of the sample; empty where all values are bare addresses.
    names: Sequence[str]
    #: The key of the address.
    address: str | None
    #: The line of the first object.
    line: int | None


def read_json(document: Document, form: str) -> Reading:
    """Read one value a line ("jsonl") or one array of values ("json")."""
    values = line_values(document) if form == "jsonl" else array_values(document)
    parts = parts_of(values)
    first = next(parts, [])
    keys = find_keys(first[:SAMPLE_VALUES], name=document.name, wanted=document.wanted)
    return Reading(
        format=form,
        column=keys.address,
        header=keys.names,
        line=keys.line,
        blocks=lambda places: (
            block_of(part, keys, places) for part in chain([first] if first else [], parts)
        ),
    )


def find_keys(
    sample: Sequence[tuple[int, Any]], *, name: str, wanted: str | None, unit: str = "line"
) -> Keys:
    """Find the address's key as a column is found, with the keys of the sample as the header."""
    for line, value in sample:
        if not isinstance(value, str | Mapping):
            raise _wrong_kind(name, line, value, unit)
    objects = [(line, value) for line, value in sample if not isinstance(value, str)]
    if not objects and wanted is not None:
        what = f"there is no key {quoted(wanted)} in bare strings; leave out --column"
        raise refuse(name, None, what)
    if not objects:
        return Keys(name=name, unit=unit, names=(), address=None, line=None)
    names = list(
        dict.fromkeys(key for _, value in objects for key in value if isinstance(key, str))
    )
    line = objects[0][0]
    if len(names) > _MOST_KEYS:
        what = f"the first objects have {len(names):,} different keys; give all people the same"
        raise refuse(name, line, what, unit)
    rows = _sample(objects, names)
    if _only_nested(objects) and not any("@" in cell for row in rows for cell in row):
        what = "no key holds addresses, and nested values are not read; put the address at the top"
        raise refuse(name, line, what, unit)
    columns = Columns(name=name, wanted=wanted, header=names, rows=rows, line=line, unit=unit)
    return Keys(name=name, unit=unit, names=names, address=names[find_column(columns)], line=line)


def _sample(objects: Sequence[tuple[int, Any]], names: Sequence[str]) -> list[list[str]]:
    """Return the first objects as rows; fewer where they have very many keys."""
    count = max(1, _SAMPLE_CELLS // max(1, len(names)))
    return [[_text(value.get(key)) for key in names] for _, value in objects[:count]]


def block_of(part: Sequence[tuple[int, Any]], keys: Keys, places: Mapping[str, int]) -> Block:
    """Make a block of some values."""
    lines = [line for line, _ in part]
    values = [value for _, value in part]
    plain = keys.address is not None and {*map(type, values)} == {dict}
    if not plain:
        _check(part, keys)

    def texts(key: str | None, wanted: str | None, bare: bool = False) -> Sequence[str | None]:
        if plain:
            cells = [value.get(key) for value in values]
        else:
            cells = [(value if bare else None) if isinstance(value, str) else value.get(key)
                     for value in values]  # fmt: skip
        return texts_of(cells, lines, wanted, keys.name, keys.unit)

    return Block(
        lines=lines,
        entries=entries_of([text or "" for text in texts(keys.address, keys.address, bare=True)]),
        values={wanted: texts(keys.names[at], wanted) for wanted, at in places.items()},
    )


def _check(part: Sequence[tuple[int, Any]], keys: Keys) -> None:
    for line, value in part:
        if isinstance(value, str):
            continue
        if not isinstance(value, Mapping):
            raise _wrong_kind(keys.name, line, value, keys.unit)
        if keys.address is None:
            what = "an object among bare addresses; put an object first, so that its key is found"
            raise refuse(keys.name, line, what, keys.unit)


def _only_nested(objects: Sequence[tuple[int, Any]]) -> bool:
    return any(
        isinstance(value, Mapping | list) for _, record in objects for value in record.values()
    )


def _text(value: object) -> str:
    """Return a field's value as text: "" for a value that is not there or not text."""
    return value if isinstance(value, str) else ""


def _wrong_kind(name: str, line: int, value: object, unit: str) -> Exception:
    # JSON's own types are not named: the line shows them.
    what = "neither a JSON object nor a string"
    if unit == "row":
        what = f"neither a string nor a mapping, but {type(value).__name__}"
    return refuse(name, line, what, unit)
