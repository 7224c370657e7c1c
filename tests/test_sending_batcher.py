"""Recipients into chunks: everybody ends in exactly one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.addresses import address_fault
from moveworks_shift_async.sending.batcher import CHUNK_SIZE, Batcher, chunks

#: Few people, many spellings: duplicates are common.
SPELLINGS = st.builds(
    lambda left, name, right: f"{left}{name}@Example.com{right}",
    st.sampled_from(["", " ", "\t"]),
    st.sampled_from(["ann", "ANN", "bob", "Bob", "straße", "strasse", "i", "İ", "I"]),
    st.sampled_from(["", " ", "\n"]),
)
ENTRIES = st.lists(
    st.one_of(SPELLINGS, st.text(max_size=8), st.none(), st.integers(), st.emails()), max_size=60
)


@given(ENTRIES, st.integers(1, 7))
def test_chunks_partition_the_recipients(entries: list[object], size: int) -> None:
    """Each entry is in a chunk, a duplicate or invalid; order is kept; no address comes twice."""
    batcher = Batcher(size)
    made = list(chunks(batcher, entries))
    sent = [address for chunk in made for address in chunk]

    cleaned = [entry.strip() if isinstance(entry, str) else entry for entry in entries]
    first_of: dict[str, str] = {}
    invalid = []
    for position, entry in enumerate(cleaned):
        fault = address_fault(entry)
        if fault is not None:
            invalid.append((position, fault))
        else:
            first_of.setdefault(str(entry).lower(), str(entry))

    assert sent == list(first_of.values())
    assert [(found.position, found.reason) for found in batcher.invalid] == invalid
    assert len(sent) + batcher.duplicates + len(batcher.invalid) == len(entries) == batcher.taken
    assert len({address.lower() for address in sent}) == len(sent)
    assert all(len(chunk) == size for chunk in made[:-1])
    assert all(1 <= len(chunk) <= size for chunk in made)


@pytest.mark.parametrize(
    ("people", "sizes"),
    [(0, []), (1, [1]), (499, [499]), (500, [500]), (501, [500, 1]), (1500, [500] * 3)],
)
def test_a_chunk_holds_the_vendors_limit(people: int, sizes: list[int]) -> None:
    """By default a chunk has 500 addresses, and only the last one fewer."""
    entries = (f"p{i}@example.com" for i in range(people))
    assert [len(chunk) for chunk in chunks(Batcher(), entries)] == sizes
    assert CHUNK_SIZE == 500


def test_a_full_chunk_is_given_at_once() -> None:
    """The entry that fills a chunk brings it; nothing waits for the next one."""
    batcher = Batcher(2)
    assert batcher.feed("a@b.c") is None
    assert batcher.feed("A@b.c") is None
    assert batcher.feed("b@b.c ") == ("a@b.c", "b@b.c")
    assert batcher.flush() is None
    assert (batcher.duplicates, batcher.taken) == (1, 3)


def test_an_address_is_told_once_across_chunks() -> None:
    """A duplicate of an earlier chunk's address is a duplicate still."""
    batcher = Batcher(1)
    assert list(chunks(batcher, ["a@b.c", "b@b.c", "A@B.C"])) == [("a@b.c",), ("b@b.c",)]
    assert batcher.duplicates == 1


def test_letters_that_only_look_alike_are_two_people() -> None:
    """ß and ss are different addresses, so both are told."""
    assert list(chunks(Batcher(), ["straße@b.c", "strasse@b.c"])) == [("straße@b.c", "strasse@b.c")]


def test_invalid_entries_are_shown_as_they_came() -> None:
    """A text is kept untrimmed; anything else by a repr of at most 80 characters."""
    batcher = Batcher()
    assert list(chunks(batcher, [" nobody ", None, list(range(100))])) == []
    texts = [found.text for found in batcher.invalid]
    assert texts == [" nobody ", "None", repr(list(range(100)))[:80]]
    assert [found.reason for found in batcher.invalid] == [
        "no @",
        "a NoneType, not text",
        "a list, not text",
    ]


def test_a_batcher_shows_no_address() -> None:
    """The repr has counts only."""
    batcher = Batcher()
    batcher.feed("jane@example.com")
    batcher.feed("broken@")
    assert "jane" not in repr(batcher)
    assert "broken" not in repr(batcher)


class Unspeakable:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


class Loud(str):
    """Does not do what a text does."""

    def strip(self, chars: str | None = None, /) -> str:
        raise RuntimeError


def test_what_cannot_be_shown_is_left_out_like_all_that_is_no_address() -> None:
    """A number of more digits than Python writes, or a class of the caller's, costs nobody."""
    batcher = Batcher()
    entries = ["a@x.io", 10**5000, Unspeakable(), Loud(" b@x.io "), "c@x.io"]
    assert list(chunks(batcher, entries)) == [("a@x.io", "b@x.io", "c@x.io")]
    assert [entry.text for entry in batcher.invalid] == ["<int>", "<Unspeakable>"]
