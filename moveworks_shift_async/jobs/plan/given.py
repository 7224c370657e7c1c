"""What a caller gives as people: checked and copied at the call, opened later. Pure."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable
from typing import Any

from attrs import field, frozen

from ...addresses import address_fault
from ...errors import InvalidInput
from ...sending.entries import is_iterable
from ...sources.files import STDIN
from ...sources.iterables import Row
from .excluded import MOST_LISTS

#: A file, `-`, a database's URL, another job's name, or rows: addresses, or mappings that hold one.
Recipients = str | os.PathLike[str] | Iterable[Row] | AsyncIterable[Row]


@frozen
class ExcludeList:
    """People who are not to be told, with what their source does not show by itself."""

    #: As the recipients of a plan.
    source: Recipients = field(repr=False)
    #: Of the addresses, where that is not clear.
    column: str | None = field(default=None, kw_only=True)
    #: Of a database.
    query: str | None = field(default=None, repr=False, kw_only=True)
    #: Of a text file that is not UTF-8.
    encoding: str | None = field(default=None, kw_only=True)


@frozen(kw_only=True)
class Given:
    """Where people come from, as it was at the call."""

    #: A path, `-`, a URL or the name of a job; None: rows.
    place: str | None = None
    #: None: a place.
    rows: Iterable[Row] | AsyncIterable[Row] | None = field(default=None, repr=False)
    column: str | None = None
    query: str | None = field(default=None, repr=False)
    encoding: str | None = None

    @classmethod
    def of(
        cls,
        source: Recipients,
        column: str | None = None,
        query: str | None = None,
        encoding: str | None = None,
    ) -> Given:
        """Raises `InvalidInput` for what nobody can be read from."""
        if isinstance(source, (str, os.PathLike)):
            place = os.fspath(source)
            return cls(place=place, column=column, query=query, encoding=encoding)
        if query is not None or encoding is not None:
            raise InvalidInput("a query needs a database's URL as the source, an encoding a file")
        if not isinstance(source, AsyncIterable):
            if not is_iterable(source):
                kind = type(source).__name__
                raise InvalidInput(f"the source must be a file, a URL or an iterable, not {kind}")
            if hasattr(type(source), "__len__"):  # what becomes of a list meanwhile loses nobody
                source = tuple(source)
        return cls(rows=source, column=column)


def exclude_lists(given: object) -> tuple[Given, ...]:
    """The lists of people who are not to be told; `InvalidInput` for what is no list of lists."""
    if isinstance(given, (str, os.PathLike, ExcludeList)) or not is_iterable(given):
        raise InvalidInput(
            f"exclude takes several lists, like [{_EXAMPLE}]; give it a list of them"
        )
    several: Iterable[Any] = given  # type: ignore[assignment]  # `is_iterable` has said so
    lists = tuple(map(_exclude_list, several))
    if len(lists) > MOST_LISTS:
        raise InvalidInput(f"{len(lists)} lists to exclude; join them to {MOST_LISTS} at most")
    return lists


def check_standard_input(several: Iterable[Given]) -> None:
    """Raise `InvalidInput` if more than one is read from standard input."""
    if sum(one.place == STDIN for one in several) > 1:
        raise InvalidInput("only one list of people can be read from standard input")


def _exclude_list(given: Any) -> Given:
    one = given if isinstance(given, ExcludeList) else ExcludeList(given)
    where = one.source
    if (
        isinstance(where, str)
        and address_fault(where.strip()) is None
        and not os.path.lexists(where)
    ):
        raise InvalidInput(
            "an address stands where a list of people to exclude should; put it into a file, or in"
            f" Python into a list of its own: exclude=[{_EXAMPLE}]"
        )
    return Given.of(where, one.column, one.query, one.encoding)


_EXAMPLE = '"left.csv", ["ann@example.com"]'
