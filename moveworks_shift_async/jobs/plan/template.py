"""A message and a context with the names of columns in them. Pure.

`Hello {first_name}` takes the value of the column `first_name`; a name may hold spaces, and the
spaces around it and around a value do not count. `{{employee}}` is the vendor's own markup for a
slot and is left as it is, braces and all. Any other brace is an error; a message that must show one
writes `&#123;` or `&#125;`. What a value holds is never read as a template again.

In the message a value is escaped, because the vendor reads the message as HTML: a name like
`R&D <Ops>` would lose a part of itself or break the markup, and one like `{{employee}}` would show
a slot. Unescaped, a value is markup, slots included. In the context it is not: a slot is
data, which the vendor's conversation may compare or look up as well as show, and `R&amp;D` is no
department. Of the context only the strings that are values are templates, never keys.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import field, frozen

from ...errors import InvalidInput
from ...sources.refusals import listed, quoted
from ...wire.moveworks import MAX_MESSAGE, check_message


def escape_html(text: str) -> str:
    """`text` as the vendor's HTML shows it: & < > " ' and braces become entities."""
    return html.escape(text, quote=True).translate(_BRACES)


# Two of them begin a slot of the vendor's, which is filled in with somebody's data.
_BRACES = str.maketrans({"{": "&#123;", "}": "&#125;"})


# Characters of a text with its values, none of which is made to be refused: a message may hold
# names of columns that are longer than the values, and slots in the context have no limit.
_LONGEST = 1 << 20


@frozen
class Pieces:
    """One text, cut where columns stand in it."""

    #: Where it is, for errors.
    where: str

    #: A printf format with one `%s` a column.
    form: str = field(repr=False)
    #: Name and place of each column, in order; the place is the brace's, 1 for the first character.
    names: tuple[tuple[str, int], ...]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with a value for each name; `InvalidInput` before it is made if it is too long.

        A column may be named ten thousand times, and its value be a novel.
        """
        # Each `%s` and each doubled `%` of the form is longer than what it becomes.
        size = len(self.form) + sum(len(values[name]) for name, _ in self.names)
        if size > _LONGEST:
            raise InvalidInput(f"{self.where} has more than {MAX_MESSAGE} characters")
        # %-formatting reads its format only, never the values.
        return self.form % tuple(values[name] for name, _ in self.names)


@frozen(kw_only=True)
class Template:
    """What each person is told, but for the values of her row."""

    #: The columns it needs, each once, in order of appearance.
    columns: tuple[str, ...]
    message: Pieces = field(repr=False)
    #: The context with `Pieces` for its strings.
    context: Any = field(repr=False)
    escape: bool
    #: (place, name) of each column named, for errors.
    _places: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def parse(
        cls, message: str, context: Mapping[str, Any] | None = None, *, escape: bool = True
    ) -> Template:
        """Raises `InvalidInput` that names the place of a brace that is no column."""
        check_message(message[:1] if isinstance(message, str) else message, context)
        if len(message) > _LONGEST:
            raise InvalidInput(f"the template has {len(message)} characters; that is too long")
        found: list[tuple[str, str]] = []
        pieces = _compile(message, "message", found)
        tree = _compile(context, "context", found)
        return cls(
            columns=tuple(dict.fromkeys(name for _, name in found)),
            message=pieces,
            context=tree,
            escape=escape,
            places=tuple(found),
        )

    def check(self, columns: Sequence[str]) -> None:
        """Raise `InvalidInput` for a name that is none of the source's columns, in any case."""
        names = {column.casefold() for column in columns}
        for place, name in self._places:
            if name.casefold() not in names:
                known = f"the columns are {listed(columns)}" if columns else "there are no columns"
                raise InvalidInput(f"{place}: {quoted(name)} is no column; {known}")

    def render(self, values: Sequence[str]) -> tuple[str, Any]:
        """Message and context for a row; `values` are in the order of `columns`."""
        raw = dict(zip(self.columns, map(str.strip, values), strict=True))
        safe = {name: escape_html(value) for name, value in raw.items()} if self.escape else raw
        return self.message.fill(safe), _fill(self.context, raw)


@cache
def _tokens() -> re.Pattern[str]:
    """A slot of the vendor's, a column, other text; what is none of them is an error."""
    return re.compile(r"(?P<slot>\{\{[^{}]*\}\})|\{(?P<name>[^{}]*)\}|(?P<text>[^{}]+)|(?P<odd>.)")


def cut(text: str, where: str) -> Pieces:
    """Cut a text where its columns stand; `where` it is, for errors."""
    form, names = [], []
    for token in _tokens().finditer(text):
        place = f"{where}, character {token.start() + 1}"
        if token["odd"] is not None:
            raise InvalidInput(f"{place}: a brace without its partner; {_RULE}")
        if token["name"] is None:
            form.append(token[0].replace("%", "%%"))
            continue
        name = token["name"].strip()
        if not name:
            raise InvalidInput(f"{place}: no column's name in the braces; {_RULE}")
        form.append("%s")
        names.append((name, token.start() + 1))
    return Pieces(where, "".join(form), tuple(names))


_RULE = "write {column} for a column's value, {{slot}} for the vendor's own, &#123; for a brace"


def _compile(node: Any, where: str, found: list[tuple[str, str]]) -> Any:
    """`Pieces` for each string of the tree; the columns' (place, name) go to `found`."""
    match node:
        case str():
            pieces = cut(node, where)
            found += [(f"{where}, character {at}", name) for name, at in pieces.names]
            return pieces
        case Mapping():
            return {key: _compile(part, f"{where}.{key}", found) for key, part in node.items()}
        case list() | tuple():
            return [_compile(part, f"{where}[{at}]", found) for at, part in enumerate(node)]
        case _:
            return node


def _fill(node: Any, values: Mapping[str, str]) -> Any:
    match node:
        case Pieces():
            return node.fill(values)
        case dict():
            return {key: _fill(part, values) for key, part in node.items()}
        case list():
            return [_fill(part, values) for part in node]
        case _:
            return node


def missing(columns: Sequence[str], values: Sequence[str | None]) -> Iterator[str]:
    """The columns for which a row has no value."""
    for name, value in zip(columns, values, strict=True):
        if value is None or not value.strip():
            yield name
