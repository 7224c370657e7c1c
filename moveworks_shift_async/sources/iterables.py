"""Recipients that a program holds: any iterable of addresses or of mappings -> blocks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from attrs import define, field

from .block import BLOCK_ROWS, Block
from .columns import template_columns
from .objects import SAMPLE_VALUES, Keys, block_of, find_keys

#: What the rows are called in messages.
_NAME = "recipients"

Row = str | Mapping[str, object]


def blocks_of(
    rows: Iterable[Row], column: str | None = None, columns: Sequence[str] = ()
) -> Iterator[Block]:
    """Make blocks of rows; the line of a row is its position, 1 for the first.

    The e-mail key of mappings is found from the first rows, or is `column`; `columns` are the
    keys whose values are wanted too. `InvalidInput` for a row that is neither text nor mapping.
    """
    maker = _BlockMaker(column=column, columns=columns)
    source = _each(rows)
    while part := list(islice(source, BLOCK_ROWS)):
        yield maker.block(part)


def _each(rows: Iterable[Row]) -> Iterator[Row]:
    # A loop takes an iterator without `__iter__`; `islice` does not, and from Python 3.13.1 on a
    # generator expression neither.
    for row in rows:  # noqa: UP028 - the caller's generator is not ours to close
        yield row


async def async_blocks_of(
    rows: AsyncIterable[Row], column: str | None = None, columns: Sequence[str] = ()
) -> AsyncGenerator[Block]:
    """Make blocks of rows that come in their own time; otherwise as `blocks_of`.

    Closed, it closes the generator that the rows come from.
    """
    maker = _BlockMaker(column=column, columns=columns)
    source = aiter(rows)
    part: list[Row] = []
    try:
        while True:
            try:
                part.append(await anext(source))
            except StopAsyncIteration:
                break
            if len(part) == BLOCK_ROWS:
                yield maker.block(part)
                part = []
        if part:
            yield maker.block(part)
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


@define(eq=False)
class _BlockMaker:
    """What is known about the rows after the first of them."""

    column: str | None
    columns: Sequence[str]
    _taken: int = 0
    _keys: Keys | None = None
    _places: Mapping[str, int] = field(factory=dict)

    def block(self, rows: Sequence[Row]) -> Block:
        part = list(enumerate(rows, self._taken + 1))
        self._taken += len(part)
        if self._keys is None:
            keys = find_keys(part[:SAMPLE_VALUES], name=_NAME, wanted=self.column, unit="row")
            self._places = template_columns(
                self.columns, keys.names, name=_NAME, line=keys.line, unit="row"
            )
            self._keys = keys
        return block_of(part, self._keys, self._places)
