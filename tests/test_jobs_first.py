"""Whom a run for the first so many people is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.jobs.store.first import First, Free, Share, choose, spread

# Planned chunks as a plan makes them: numbers that rise, texts that repeat, 500 people at most.
CHUNKS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 500)), max_size=40).map(
    lambda rows: [(number, text, people) for number, (text, people) in enumerate(rows)]
)
PEOPLE = st.integers(1, 3000)


def people_of(chunks: list[Free]) -> int:
    """How many there are."""
    return sum(people for _, _, people in chunks)


@given(CHUNKS, PEOPLE, st.booleans())
def test_exactly_so_many_are_chosen_and_nobody_twice(
    chunks: list[Free], people: int, sample: bool
) -> None:
    """Or all, where there are fewer; each chunk once, and never more people than it has."""
    chosen = choose(chunks, First(people=people, sample=sample))
    assert sum(share.people for share in chosen) == min(people, people_of(chunks))
    assert len({share.chunk for share in chosen}) == len(chosen)
    held = {number: count for number, _, count in chunks}
    assert all(0 < share.people <= share.of == held[share.chunk] for share in chosen)


@given(CHUNKS, PEOPLE)
def test_the_first_are_those_of_the_first_chunks(chunks: list[Free], people: int) -> None:
    """Whole chunks in their order; the last alone may be divided."""
    chosen = choose(chunks, First(people=people))
    assert [share.chunk for share in chosen] == [number for number, _, _ in chunks][: len(chosen)]
    assert not any(share.divides for share in chosen[:-1])


@given(CHUNKS, PEOPLE)
def test_a_sample_has_as_many_of_each_text(chunks: list[Free], people: int) -> None:
    """They differ by one, but for texts of which all are taken."""
    text_of = {number: text for number, text, _ in chunks}
    sizes: dict[int, int] = {}
    for _, text, count in chunks:
        sizes[text] = sizes.get(text, 0) + count
    found = dict.fromkeys(sizes, 0)
    for share in choose(chunks, First(people=people, sample=True)):
        found[text_of[share.chunk]] += share.people
    most = max(found.values(), default=0)
    assert all(found[text] >= min(sizes[text], most - 1) for text in sizes)


@given(st.integers(2, 400), st.integers(1, 400))
def test_a_sample_of_fewer_people_than_texts_is_of_texts_far_from_each_other(
    texts: int, people: int
) -> None:
    """Steps between them differ by one; the last text is among them."""
    people = min(people, texts - 1)
    found = [*spread(dict.fromkeys(range(texts), 3), people)]
    assert len(found) == people
    assert found[-1] == texts - 1
    steps = {later - earlier for earlier, later in zip([-1, *found], found, strict=False)}
    assert max(steps) - min(steps) <= 1


@given(CHUNKS, st.integers(1, 500), st.integers(1, 500), st.booleans())
def test_whoever_asks_again_gets_the_next_ones(
    chunks: list[Free], people: int, more: int, sample: bool
) -> None:
    """What was taken is not planned any more; what was left of a divided chunk comes next."""
    first = choose(chunks, First(people=people, sample=sample))
    taken = {share.chunk: share.people for share in first}
    rest = [(n, text, count - taken.get(n, 0)) for n, text, count in chunks]
    rest = [chunk for chunk in rest if chunk[2]]
    second = choose(rest, First(people=more, sample=sample))
    assert sum(share.people for share in second) == min(more, people_of(rest))
    if not sample:
        both = choose(chunks, First(people=people + more))
        for share in second:
            taken[share.chunk] = taken.get(share.chunk, 0) + share.people
        assert taken == {share.chunk: share.people for share in both}


def test_a_divided_chunk_is_divided_once() -> None:
    """100 of 500 are the first 100; 500 of 500 are the chunk as it is."""
    chunks = [(0, 0, 500), (1, 0, 500)]
    assert choose(chunks, First(people=100)) == [Share(0, 100, 500)]
    assert choose(chunks, First(people=100))[0].divides
    assert not choose(chunks, First(people=500))[0].divides
    assert choose(chunks, First(people=700)) == [Share(0, 500, 500), Share(1, 200, 500)]


def test_nobody_is_no_number_of_people() -> None:
    """Neither are fewer."""
    for people in (0, -1):
        with pytest.raises(InvalidInput, match="1 or more people"):
            First(people=people)
