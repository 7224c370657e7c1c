"""Finding the guilty addresses of a refused list."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.errors import (
    BadRequest,
    MoveworksError,
    NotFound,
    OutcomeUnknown,
    ServerFailed,
)
from moveworks_shift_async.jobs.run.bisect import COST, blames_the_list, halves


def bad(message: str, code: str | None = "BAD_REQUEST") -> BadRequest:
    """A 400 as the client raises it."""
    words = f"HTTP 400 {code}: {message}" if code else f"HTTP 400: {message}"
    return BadRequest(words, status=400, code=code)


@pytest.mark.parametrize(
    "error",
    [
        bad("One or more recipients are not valid email addresses"),
        bad("Invalid e-mail", None),
        bad("", "INVALID_RECIPIENT"),
        bad("Unknown users in the request"),
    ],
)
def test_a_refusal_for_the_list_may_be_cured(error: MoveworksError) -> None:
    """The words of the vendor's codes and messages."""
    assert blames_the_list(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        bad("Expected `message` field to be of max size: 20000", "INVALID_VALUE_SIZE_TOO_LONG"),
        bad("Expected `recipients` field to be of max size: 500", "INVALID_VALUE_SIZE_TOO_LONG"),
        bad("Expected `recipients` field to be of min size: 1", "INVALID_VALUE_SIZE_TOO_SHORT"),
        bad("Field `recipients` has an incorrect data type"),
        bad("Parsing of json payload failed"),
        bad("Unknown event", "INVALID_EVENT_ID"),
        bad("", None),
        NotFound("no such recipient", status=404),
        ServerFailed("recipient", status=500),
        OutcomeUnknown("recipient"),
    ],
)
def test_what_a_split_cannot_cure_is_not_split(error: MoveworksError | None) -> None:
    """A message too long, a bad event, a broken body: each part would meet the same."""
    assert not blames_the_list(error)


@given(st.lists(st.integers(), max_size=500))
def test_halves_are_the_whole(numbers: list[int]) -> None:
    """In order, neither empty, as equal as can be; one alone is not divided."""
    people = tuple(map(str, numbers))
    parts = halves(people)
    if len(people) < 2:
        assert parts == []
        return
    first, second = parts
    assert first + second == people
    assert 0 <= len(second) - len(first) <= 1
    assert len(parts) == COST


def isolate(
    people: tuple[str, ...], guilty: set[str], budget: int
) -> tuple[Counter[str], set[str], int]:
    """As the runner does it: who was told how often, who was rejected, how many more requests."""
    told: Counter[str] = Counter()
    rejected: set[str] = set()
    lists, requests = deque([people]), 0
    while lists:
        one = lists.popleft()
        requests += 1
        if not guilty & set(one):
            told.update(one)
            continue
        parts = halves(one) if budget >= COST else []
        budget -= len(parts)
        lists.extend(parts)
        if not parts:
            rejected.update(one)
    return told, rejected, requests - 1


SETS = st.integers(1, 500).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=20))
)


@given(SETS)
@example((500, {499}))
@example((500, set(range(500))))
def test_with_enough_requests_exactly_the_guilty_are_rejected(case: tuple[int, set[int]]) -> None:
    """Each innocent is told exactly once."""
    size, numbers = case
    people = tuple(f"p{number}@x.io" for number in range(size))
    guilty = {people[number] for number in numbers}
    told, rejected, extra = isolate(people, guilty, budget=2 * size)
    assert rejected == guilty
    assert told == Counter(person for person in people if person not in guilty)
    # ceil(log2(500)) = 9 halvings a guilty one, two requests each; halvings are shared.
    assert extra <= COST * 9 * len(guilty)


@given(SETS, st.integers(0, 60))
def test_the_budget_is_kept_and_nobody_is_forgotten(case: tuple[int, set[int]], most: int) -> None:
    """Within any budget everybody is told once or rejected, and no guilty one is told."""
    size, numbers = case
    people = tuple(f"p{number}@x.io" for number in range(size))
    guilty = {people[number] for number in numbers}
    told, rejected, extra = isolate(people, guilty, budget=most)
    assert extra <= most
    assert set(told) | rejected == set(people)
    assert not set(told) & rejected
    assert set(told.values()) <= {1}
    assert guilty <= rejected
