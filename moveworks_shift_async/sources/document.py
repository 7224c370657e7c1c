"""The text to be read, what was read from it, and the form of every error about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import field, frozen

from ..errors import InvalidInput

_FORMATS = {"csv": "CSV", "tsv": "TSV", "jsonl": "JSON Lines", "json": "JSON", "text": "plain text"}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with BOM",
    "utf-16": "UTF-16 with BOM",
    "utf-32": "UTF-32 with BOM",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
}
#: Characters that no address has outside quotes, and that separate addresses in lists.
_OUTSIDE = r"\s@<>,;|\"()\[\]\\"
_ADDRESS = re.compile(rf"[^{_OUTSIDE}]+@[^{_OUTSIDE}]+\.[^{_OUTSIDE}.]+")
_ANGLED = re.compile(r"[^<>]*<([^<>]*)>\s*")


@frozen(kw_only=True)
class Document:
    """A decoded file, before it is taken apart."""

    name: str
    text: str = field(repr=False)
    encoding: str
    #: The column, key or 1-based column number the caller asked for.
    wanted: str | None


@frozen(kw_only=True)
class RecipientFile:
    """The raw e-mail entries of a file, in order. They are not cleaned, checked or made unique."""

    #: As the caller gave it, for messages.
    name: str
    #: What the content was taken for: "csv", "tsv", "jsonl", "json" or "text".
    format: str
    #: A Python codec name.
    encoding: str
    #: One character; None where the format has none.
    delimiter: str | None = None
    #: The e-mail column's name in the header, or the key; None where there is none.
    column: str | None = None
    #: The e-mail column's place, 1 for the first; None for JSON and plain text.
    column_number: int | None = None
    #: One for every data row; "" where the row has no e-mail field.
    entries: tuple[str, ...] = field(repr=False)
    #: For each entry the line where its row starts, 1 for the first line of the file.
    lines: tuple[int, ...] = field(repr=False)

    def describe(self) -> str:
        """Say in one line what the file was taken for."""
        parts = [_FORMATS[self.format]]
        if self.delimiter is not None:
            parts.append(_DELIMITERS.get(self.delimiter, repr(self.delimiter)))
        parts.append(_ENCODINGS.get(self.encoding, self.encoding))
        count, noun = len(self.entries), "entry" if self.format == "text" else "row"
        plural = noun if count == 1 else {"entry": "entries", "row": "rows"}[noun]
        parts.append(f"{count:,} {plural}")
        if self.column is not None:
            parts.append(f"{'key' if 'json' in self.format else 'column'} {quoted(self.column)}")
        elif self.column_number is not None:
            parts.append(f"column {self.column_number} (no header)")
        return f"{self.name}: {', '.join(parts)}"


def refuse(name: str, line: int | None, what: str) -> InvalidInput:
    """Build the one-line error that names the file and, where there is one, the line."""
    return InvalidInput(f"{name}: {what}" if line is None else f"{name}, line {line}: {what}")


def quoted(name: str) -> str:
    """Put a column's name into a message: one line, not endless."""
    flat = " ".join(name.split())
    return f'"{flat}"' if len(flat) <= 60 else f'"{flat[:57]}..."'


def listed(names: Sequence[str], limit: int = 20) -> str:
    """Name the columns that are there, the first `limit` of them."""
    shown = [quoted(name) for name in names[:limit] if name.strip()]
    return ", ".join(shown) + (", ..." if len(names) > limit else "")


def bare(text: str) -> str:
    """Take the address out of `Name <a@b.c>`; leave every other text as it is."""
    # The search comes first: a million fields pass here and few have brackets.
    found = _ANGLED.fullmatch(text) if ">" in text else None
    return found[1] if found else text


def looks_like_address(text: str) -> bool:
    """Tell whether a field could be an address. The batcher has the last word."""
    return _ADDRESS.fullmatch(bare(text).strip()) is not None
