"""Sources read to their end, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from attrs import frozen

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.sources import RecipientSource, open_recipients


@frozen
class Found:
    """All of a source, put together again."""

    source: RecipientSource
    entries: tuple[str, ...]
    lines: tuple[int, ...]
    values: dict[str, tuple[str | None, ...]]
    format: str
    encoding: str | None
    delimiter: str | None
    column: str | None
    column_number: int | None

    def describe(self) -> str:
        """The line after all was read."""
        return self.source.describe()


def gather(
    where: Path | str,
    column: str | None = None,
    query: str | None = None,
    *,
    columns: Sequence[str] = (),
    name: str | None = None,
) -> Found:
    with open_recipients(where, column, query, name=name) as source:
        blocks = list(source.blocks(columns))
    for block in blocks:
        assert {len(block.lines)} == {len(block.entries), *map(len, block.values.values())}
        assert 0 < len(block.lines) < 10_000
    found = source.reading
    return Found(
        source=source,
        entries=tuple(entry for block in blocks for entry in block.entries),
        lines=tuple(line for block in blocks for line in block.lines),
        values={name: tuple(v for block in blocks for v in block.values[name]) for name in columns},
        format=found.format,
        encoding=found.encoding,
        delimiter=found.delimiter,
        column=found.column,
        column_number=found.column_number,
    )


def read(
    text: str | bytes,
    column: str | None = None,
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
) -> Found:
    data = text if isinstance(text, bytes) else text.encode(encoding)
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return gather(file.name, column, columns=columns, name="people.csv")


def error(text: str | bytes, column: str | None = None) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(text, column)
    message = str(caught.value)
    assert message.startswith("people.csv")
    assert "\n" not in message
    assert "@" not in message
    return message
