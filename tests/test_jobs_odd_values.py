"""Values that nobody would write to a person."""

from __future__ import annotations

import pytest

from moveworks_shift_async.jobs.plan.odd_values import odd_values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("None", 'says "None"'),
        (" N/A ", 'says "N/A"'),
        ("nan", 'says "nan"'),
        ("-", 'says "-"'),
        ("#REF!", 'says "#REF!"'),
        ("\u200b", "holds no letter and no digit"),
        ("--=--", "holds no letter and no digit"),
        ("Ada\u200b", "holds what is not to be seen"),
        ("MÃ¼ller", "was read in the wrong encoding"),
        ("M\ufffdller", "was read in the wrong encoding"),
        ("Oâ€™Hara", "was read in the wrong encoding"),
        ("R&amp;D", "holds an entity of HTML"),
        ("${name}", "holds a placeholder"),
        ("{first_name}", "holds a placeholder"),
        ("{{employee}}", "holds a placeholder"),
        ("%s items", "holds a placeholder"),
    ],
)
def test_an_odd_value_is_told_with_its_column(value: str, expected: str) -> None:
    """And what is odd about it; the other one is not."""
    assert odd_values(["first name", "team"], [value, "Sales"]) == f'"first name" {expected}'


@pytest.mark.parametrize(
    "value",
    [
        "Ada", "O'Hara", "R&D <Ops>", "Müller-Lüdenscheidt", "50 %", "3.5", "Ângela", "名前", "C++",
        "Nonette", "a\nb", "1 < 2", "https://x.example/?a=1&b=2", "\N{WOMAN}\u200d\N{ROCKET} Ada",
        "a\xa0b",
    ],
)  # fmt: skip
def test_names_numbers_and_texts_are_not(value: str) -> None:
    """Whatever language they are in."""
    assert odd_values(["x"], [value]) is None


def test_several_are_told_in_one_sentence() -> None:
    """In the order of the columns; an address in a value is not told."""
    told = odd_values(["a", "b", "c"], ["null", "?", "ok"])
    assert told == '"a" says "null"; "b" says "?"'
