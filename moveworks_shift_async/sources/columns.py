"""Which column holds the addresses: by name, then by content, and never by chance."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from ..errors import InvalidInput
from .address_text import looks_like_address
from .refusals import listed, quoted, refuse

#: Names that mean the person's own address and nothing else; compared as `plain` leaves them.
_STANDARD = frozenset({"email", "emailaddress", "mail", "mailaddress"})
#: Names that an address column may have on its own, beside every name with "mail" in it.
_OTHERS = frozenset({"userprincipalname", "upn", "recipient", "recipients"})
#: Columns that an error names at most.
_LISTED = 10


@frozen(kw_only=True)
class Columns:
    """The first rows of a table, seen as columns."""

    #: The file, for messages.
    name: str
    #: The column's name or 1-based number that the caller asked for.
    wanted: str | None
    #: None where the file has no header.
    header: Sequence[str] | None
    #: Data rows only.
    rows: Sequence[Sequence[str]] = field(repr=False)
    #: The line to name when the columns are at fault.
    line: int | None
    #: What `line` counts.
    unit: str = "line"


def plain(name: str) -> str:
    """Reduce a column's name to its letters and digits, in one case."""
    return "".join(filter(str.isalnum, name)).casefold()


def names_an_address(name: str) -> bool:
    """Tell whether a column of this name should hold addresses."""
    return "mail" in (short := plain(name)) or short in _OTHERS


def find_column(columns: Columns) -> int:
    """Return the zero-based place of the e-mail column, or raise an error that lists them all."""
    if columns.wanted is not None:
        return _wanted(columns, columns.wanted)
    names = columns.header or ()
    good, some = _by_content(columns.rows)
    mailish = [at for at, name in enumerate(names) if names_an_address(name)]
    # A column named for mail comes before others that hold more addresses: the manager's, perhaps.
    tier = [at for at in mailish if at in good] or sorted({*mailish, *good}) or some
    found = _standard(tier, names)
    if len(found) == 1:
        return found[0]
    raise _ambiguous(columns, found) if found else _missing(columns)


def _by_content(rows: Sequence[Sequence[str]]) -> tuple[list[int], list[int]]:
    """Return the columns that are mostly addresses, and the ones that hold the most of them."""
    filled: dict[int, int] = {}
    hits: dict[int, int] = {}
    for row in rows:
        for at, cell in enumerate(row):
            if cell.strip():
                filled[at] = filled.get(at, 0) + 1
                hits[at] = hits.get(at, 0) + looks_like_address(cell)
    good = sorted(at for at in filled if 2 * hits[at] >= filled[at])
    most = max(hits.values(), default=0)
    return good, sorted(at for at in hits if hits[at] == most > 0)


def _standard(tier: list[int], names: Sequence[str]) -> list[int]:
    """Narrow several columns to the one with the standard name, if just one has it."""
    if not names or len(tier) == 1:
        return tier
    for wanted in (frozenset({"email"}), _STANDARD):
        exact = [at for at in tier if at < len(names) and plain(names[at]) in wanted]
        if exact:
            return exact
    return tier


def template_columns(
    wanted: Sequence[str], names: Sequence[str], *, name: str, line: int | None, unit: str
) -> dict[str, int]:
    """Return the zero-based places of columns that a template asks for; `names` are all of them."""
    return {one: _template_column(one, names, name, line, unit) for one in wanted}


def _template_column(
    wanted: str, names: Sequence[str], name: str, line: int | None, unit: str
) -> int:
    found = _named(wanted, names)
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{len(found)} columns could be {quoted(wanted)}; give each a name of its own"
    else:
        there = f"the columns are {listed(names)}" if any(names) else "no column has a name"
        what = f"there is no column {quoted(wanted)}; {there}"
    raise refuse(name, line, what, unit)


def _named(wanted: str, names: Sequence[str]) -> list[int]:
    """Find a name: exactly, and only where that finds none, in any case."""
    short = wanted.strip()
    for same in (short.__eq__, lambda name: name.casefold() == short.casefold()):
        found = [at for at, name in enumerate(names) if same(name.strip())]
        if found:
            return found
    return []


def _wanted(columns: Columns, wanted: str) -> int:
    found = _named(wanted, columns.header or ())
    if found:
        if len(found) == 1:
            return found[0]
        raise _ambiguous(columns, found)
    width = max([len(columns.header or ()), *map(len, columns.rows)])
    number = wanted.strip()
    # No column has a number of more digits, and Python takes no number of a million.
    if number.isascii() and number.isdecimal() and len(number) < 10 and 0 < int(number) <= width:
        return int(number) - 1
    what = f"there is no column {quoted(wanted)}; {_there_are(columns)}"
    raise refuse(columns.name, columns.line, what, columns.unit)


def _ambiguous(columns: Columns, found: list[int]) -> InvalidInput:
    names = columns.header or ()
    labels = [f"column {at + 1}" + (f" ({quoted(names[at])})" if at < len(names) else "")
              for at in found[:_LISTED]]  # fmt: skip
    labels += ["more"] * (len(found) > _LISTED)
    what = f"{' and '.join(labels)} could all be the address; choose one with --column"
    distinct = len({names[at].strip() for at in found if at < len(names)}) == len(found)
    what = f"{what} {'NAME' if distinct else 'NUMBER'}"
    return refuse(columns.name, columns.line, what, columns.unit)


def _missing(columns: Columns) -> InvalidInput:
    what = f"no column holds e-mail addresses; {_there_are(columns)}"
    return refuse(columns.name, columns.line, what, columns.unit)


def _there_are(columns: Columns) -> str:
    if columns.header is None:
        width = max(map(len, columns.rows))
        return f"there is no header; the rows have up to {width} columns: use --column NUMBER"
    return f"the columns are {listed(columns.header)}: choose one with --column NAME"
