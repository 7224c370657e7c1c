"""Entries of a source that are for nobody, and why; as values. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from attrs import field, frozen


class Left(enum.StrEnum):
    """Why an entry of the source is for nobody."""

    #: It is no address.
    INVALID = "invalid"
    #: It is on a list of people who are not to be told.
    EXCLUDED = "excluded"
    #: The same address had come before.
    DUPLICATE = "duplicate"


@frozen(kw_only=True)
class LeftOut:
    """Some entries that were left out, in their order."""

    why: Left
    #: Line in the source, reason, and the entry, shortened where it is longer than any address.
    entries: Sequence[tuple[int, str, str]] = field(repr=False)


@frozen
class InvalidLine:
    """An entry of the source that is no address, without its text."""

    line: int
    reason: str


@frozen(kw_only=True)
class Exclusion:
    """A list of people who are not to be told, and what it did to a plan."""

    #: Where it came from, for people to read.
    source: str
    #: What it was taken for: format, rows, column; empty for a program's own rows.
    read_as: str = ""
    #: Recipients that it keeps from being told. Who is on several lists counts at the first.
    people: int = 0
    #: Its entries that are addresses.
    addresses: int = 0
    #: Its entries that are none, and so keep nobody from being told.
    invalid: int = 0
    #: The first ten of these.
    invalid_examples: tuple[InvalidLine, ...] = ()
