"""Cells of CSV: nothing that we write is a formula, and every address reads as it is."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.addresses import address_fault
from moveworks_shift_async.jobs.csv_cells import FORMULA, address_cell, need_care, text_cell

#: Marks that a spreadsheet may part cells at, by its language or by what its dialog was told.
SEPARATORS = ",;\t|"
HOSTILE = st.text(alphabet=[*FORMULA, *SEPARATORS, *"\"' \r\n\0aA1()"], max_size=12)
ATOMS = st.text(alphabet=[*"=+-!#$%&'*/?^_`{|}~", *"aZ9ü"], min_size=1, max_size=8)


def cells_of(text: str) -> list[str]:
    """What a file that holds this cell falls apart to, whatever parts its cells."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(("x", text, "y"))
    return re.split(rf"[{SEPARATORS}\n\r\"]", line.getvalue())


@given(HOSTILE)
def test_no_cell_of_a_text_is_a_formula(text: str) -> None:
    """Wherever a separator, a line end or a quote mark is taken for the end of a cell."""
    assert not [
        cell for cell in cells_of(text_cell(text)) if cell.strip(" \0").startswith((*FORMULA,))
    ]
    assert not text_cell(text).startswith(("\t", "\r", "\n", "\0"))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("a;=cmd|'/c calc'!A1", "a;'=cmd|'/c calc'!A1"),
        ('a", "=1', 'a", "\'=1'),
        ("\t@SUM(1)", "'\t'@SUM(1)"),
        ("first\n-1", "first\n'-1"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("\0", "'\0"),
        ("ann@example.com is not known (a - b = c)", "ann@example.com is not known (a - b = c)"),
        ("", ""),
    ],
)
def test_an_apostrophe_stands_before_a_formula(text: str, cell: str) -> None:
    """And nowhere else."""
    assert text_cell(text) == cell


@given(st.builds("{}@example.com".format, ATOMS))
def test_an_address_is_no_formula_and_reads_as_it_is(address: str) -> None:
    """A space before it says so to a spreadsheet, and whoever reads addresses takes it off."""
    cell = address_cell(address)
    assert cell.strip() == address
    assert not cell.startswith((*FORMULA,))
    assert need_care([address], address) is (cell != address)


@given(st.text(alphabet="=+-@＝,;|\"'a\n ", max_size=8))  # noqa: RUF001
def test_what_can_be_joined_needs_no_care(text: str) -> None:
    """Lines that are written as they are read as they are, and none of them is a formula."""
    if not need_care([text], text):
        assert next(csv.reader(io.StringIO(text + "\n")), [""]) == ([text] if text else [])
        assert not text.startswith((*FORMULA,))


@pytest.mark.parametrize("mark", ['"', "'", ";", " ", ";=", "; ", "\t", "=;"])
def test_no_text_makes_it_slow(mark: str) -> None:
    """A quadratic search would take hours for this; the test has an end only where it has none."""
    assert len(text_cell(mark * 500_000 + "=")) > 500_000


def test_an_address_holds_nothing_that_parts_cells() -> None:
    """So its beginning is all that is to be looked at; `|` is the one exception."""
    for mark in ',; \t\r\n"':
        assert address_fault(f"a{mark}=b@example.com") is not None
