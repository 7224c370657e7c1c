"""Cells of the CSV files that we write: no spreadsheet takes one for a formula. Pure.

Which mark parts two cells depends on the reader's language and on what a dialog was told, and
quote marks do not hold a cell together where the mark is another one: `a;=cmd` is two cells in much
of Europe. So a cell may begin at the front of a text and behind each such mark. Where a formula's
first character stands there, an apostrophe goes before it.

An address is whose row it is: with an apostrophe it would be another address, and nobody's. It
gets a space, which says "text" as well, and which whoever reads addresses takes off, as `plan` and
`send` do. It can hold no mark that parts cells.

Sources: OWASP, "CSV Injection"; OWASP ASVS 5.0, 1.2.10; CWE-1236.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# The full-width twins of the first four are read like them by some spreadsheets.
FORMULA = "=+-@＝＋－＠"  # noqa: RUF001
# A cell must not begin with these either; a tab or a line end before a formula hides it.
_BLANK = "\t\r\n\0"
# One run of marks, spaces and quote marks at a time, so that no text makes it slow.
_BEGINS = re.compile(rf"""(?:^|[,;|\t\r\n"])[\s\0,;|"']*+([{re.escape(FORMULA)}]?)""")


def text_cell(text: str) -> str:
    """A foreign text: nothing in it is a formula, wherever a spreadsheet parts it."""
    if text.startswith(tuple(_BLANK)):
        text = f"'{text}"
    if not any(mark in text for mark in FORMULA):
        return text
    return _BEGINS.sub(_disarmed, text)


def address_cell(address: str) -> str:
    """An address that reads as it is once the spaces around it are taken off."""
    return f" {address}" if address.startswith(tuple(FORMULA)) else address


def need_care(addresses: Sequence[str], lines: str) -> bool:
    """Whether any address is not to be written as it is; `lines` are all of them, one a line.

    Plain searches are the fastest: ten million addresses pass here.
    """
    if lines.count("\n") != len(addresses) - 1 or any(mark in lines for mark in '",\r'):
        return True
    marks = FORMULA[:4] if lines.isascii() else FORMULA
    found = [mark for mark in marks if mark in lines]
    return lines.startswith(tuple(found)) or any(f"\n{mark}" in lines for mark in found)


def _disarmed(found: re.Match[str]) -> str:
    before, mark = found[0][: found.start(1) - found.start()], found[1]
    return f"{before}'{mark}" if mark else before
