"""Who came before: the same answers as a plain dict, without its memory."""

from __future__ import annotations

import tempfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.jobs.plan import spool
from moveworks_shift_async.jobs.plan.unique import DIFFERING, KEPT, SAME, Unique

ADDRESSES = st.builds(
    lambda name, host: f"{name}@{host}",
    st.sampled_from(["ann", "Ann", "ANN", "straße", "strasse", "İ", "i", "Σας", "ΣΑΣ"]),
    st.sampled_from(["b.c", "B.c", "x.y"]),
)
ROWS = st.lists(st.tuples(ADDRESSES, st.integers(0, 3)), max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=5)


def blocks(rows: list[tuple[str, int]], cuts: list[int]) -> list[list[tuple[str, int]]]:
    """The rows in blocks, cut at these places."""
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    return [rows[start:end] for start, end in pairwise(edges)]


def answers(rows: list[tuple[str, int]], cuts: list[int], *, texts: bool) -> list[int]:
    """What `Unique` says, fed in blocks."""
    with tempfile.TemporaryFile() as file:
        unique = Unique(file)
        for block in blocks(rows, cuts):
            numbers = [text for _, text in block] if texts else None
            unique.add([address for address, _ in block], numbers)
        return [*unique.answers()]


def expected(rows: list[tuple[str, int]], *, texts: bool) -> list[int]:
    """The same by a dict that holds everything."""
    first: dict[str, int] = {}
    found = []
    for address, text in rows:
        key = address.lower()
        if key not in first:
            first[key] = text
            found.append(KEPT)
        else:
            found.append(DIFFERING if texts and first[key] != text else SAME)
    return found


@given(ROWS, CUTS)
def test_without_texts_the_first_of_each_address_is_kept(
    rows: list[tuple[str, int]], cuts: list[int]
) -> None:
    """As a dict would do it, for any blocks."""
    assert answers(rows, cuts, texts=False) == expected(rows, texts=False)


@given(ROWS, CUTS)
def test_another_text_for_the_same_address_is_told_apart(
    rows: list[tuple[str, int]], cuts: list[int]
) -> None:
    """The first text wins; who has another one is known."""
    assert answers(rows, cuts, texts=True) == expected(rows, texts=True)


def test_what_does_not_fit_goes_through_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written in many parts, read back in order."""
    monkeypatch.setattr(spool, "_HELD", 7)
    rows = [(f"p{number % 400}@b.c", number // 500) for number in range(1000)]
    cuts = [*range(0, 1000, 13)]
    assert answers(rows, cuts, texts=True) == expected(rows, texts=True)
    assert answers(rows, cuts, texts=False) == expected(rows, texts=False)


def test_it_may_be_stopped_between_two_buckets() -> None:
    """What `go_on` raises comes out."""

    def stop() -> None:
        raise KeyError("stopped")

    with spool.nameless(None) as file:
        unique = Unique(file)
        unique.add(["a@b.c"])
        with pytest.raises(KeyError, match="stopped"):
            unique.answers(stop)
    assert file.closed
