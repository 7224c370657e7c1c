"""What the ledger keeps of messages, and what is found in it, as plain values."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.sandbox import kept
from moveworks_shift_async.sandbox.decisions import Answer, Decision
from moveworks_shift_async.sandbox.kept import Contents, Recipients, count_people, pack, unpack
from moveworks_shift_async.sandbox.ledger import Ledger
from moveworks_shift_async.sandbox.rules import Asked, Told, glimpse
from moveworks_shift_async.sandbox.search import (
    Wanted,
    count_repeated,
    find,
    outcome,
    page,
    repeats,
    told_before,
)

ADDRESSES = st.lists(st.from_regex(r"[a-cA-C]@[xy]\.io", fullmatch=True), min_size=1, max_size=9)


@given(st.text(st.characters(codec=None)))
def test_a_text_is_the_same_when_it_comes_back(text: str) -> None:
    """Half of a surrogate pair, too: JSON can hold one."""
    assert unpack(pack(text)) == text


@given(ADDRESSES, st.sampled_from(["a@x.io", "B@Y.io", "@x.io", "d@x.io"]))
def test_a_person_is_found_among_the_recipients(addresses: list[str], one: str) -> None:
    """However the letters are written, and nobody else is."""
    recipients = Recipients.of("\n".join(addresses))
    assert recipients.addresses() == tuple(addresses)
    assert recipients.count == len(addresses) == len(recipients.prints())
    assert recipients.tells(one) is (one.lower() in [a.lower() for a in addresses])


def test_a_fingerprint_in_common_is_no_person_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the index finds is compared in full."""
    monkeypatch.setattr(kept, "_MASK", 0)
    assert not Recipients.of("a@x.io\nb@x.io").tells("c@x.io")
    assert Recipients.of("a@x.io\nb@x.io").tells("b@x.io")


def test_halves_of_two_fingerprints_are_none() -> None:
    """Four bytes that lie across two of them mean nobody."""
    wanted = kept.print_of("a@x.io").to_bytes(4, sys.byteorder)
    other = bytes(byte ^ 1 for byte in wanted[:2])
    across = Recipients(2, pack("a@x.io\nb@x.io"), other + wanted + other)
    assert not across.tells("a@x.io")


@given(st.lists(ADDRESSES, max_size=9))
def test_people_are_counted(lists: list[list[str]]) -> None:
    """As counting them one by one gives."""
    times = Counter(address.lower() for addresses in lists for address in addresses)
    found = count_people((Recipients.of("\n".join(addresses)), 0) for addresses in lists)
    assert found == (len(times), sum(count > 1 for count in times.values()))


def test_a_content_is_kept_once() -> None:
    """For as long as somebody has it; another context is another content."""
    contents = Contents()
    first, other = contents.take("Hi", None), contents.take("Hi", '{"a": 1}')
    assert contents.take("Hi", None) is first is not other
    assert (first.message(), first.context(), other.context()) == ("Hi", None, {"a": 1})
    assert contents.size == first.size + other.size
    contents.drop(first)
    contents.drop(other)
    assert contents.size == first.size
    contents.drop(first)
    assert contents.size == 0


EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"


def ledger_of(*requests: tuple[str, str | None, str, str | None, dict[str, Any]]) -> Ledger:
    """One of requests: route, event, text, addresses or None where it told nobody, what else."""
    ledger = Ledger(1.0)
    for route, event, text, to, more in requests:
        entry = ledger.open(route, event, 0.0)
        told = None if to is None else Told(addresses=to, message=text)
        asked = Asked(message=text, context='{"slots": {"n": "Café"}}', people=2)
        ledger.settle(entry, Decision(answer=Answer(status=200), told=told), asked)
        entry.note(**more)
        ledger.close(entry)
    return ledger


LEDGER = ledger_of(
    ("events.send", EVENT, "Hello all", "ann@x.io\nbob@x.io", {"status": 200}),
    ("token", None, "", None, {"status": 200}),
    ("events.send", EVENT, "Hello all", "Bob@x.io\neve@x.io", {"status": 200}),
    ("messages.send", None, "Hello all", "bob@x.io", {"fault": "processed-then-reset"}),
    ("messages.send", None, "Good bye", None, {"status": 429}),
    ("messages.send", None, "Good bye", None, {"fault": "reset-mid-body"}),
    ("shift.messages", None, "Good bye", None, {}),
    ("events.send", EVENT, "Hello all", "bob@x.io\neve@x.io\nfay@x.io", {"status": 200}),
)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), [8, 7, 6, 5, 4, 3, 1]),
        (Wanted(to="BOB@x.io"), [8, 4, 3, 1]),
        (Wanted(to="zoe@x.io"), []),
        (Wanted(text="GOOD"), [7, 6, 5]),
        (Wanted(text="café"), [7, 6, 5]),
        (Wanted(event=EVENT[:8]), [8, 3, 1]),
        (Wanted(told=True), [8, 4, 3, 1]),
        (Wanted(after=3, before=7), [6, 5, 4]),
        (Wanted(to="bob@x.io", text="hello", event=EVENT), [8, 3, 1]),
    ],
)
def test_what_is_looked_for_is_found(wanted: Wanted, numbers: list[int]) -> None:
    """The newest first; a person is found where he was told, and a token is no message."""
    found = list(find(LEDGER.records(), wanted))
    assert [record.number for record in found] == numbers
    assert [record.number for record in LEDGER.records() if wanted.fits(record)] == numbers


def test_what_the_server_did() -> None:
    """Told counts, whatever the client learnt."""
    done = [outcome(record) for record in find(LEDGER.records(), Wanted())]
    assert done == ["told", "open", "fault", "refused", "told", "told", "told"]


def test_pages_follow_one_another() -> None:
    """The number before which the next page lies; none after the last."""
    records, seen, before = LEDGER.records(), list[int](), 0
    while before is not None:
        some, following = page(find(records, Wanted(before=before)), 3)
        seen += [record.number for record in some]
        before = following  # type: ignore[assignment]
    assert seen == [8, 7, 6, 5, 4, 3, 1]


def test_told_twice_is_told_the_same() -> None:
    """By the same way; the older one is no repetition."""
    records = LEDGER.records()
    assert repeats(find(records, Wanted(to="bob@x.io"))) == {8, 3}
    assert told_before(records[0], records) == {"bob@x.io": 3, "eve@x.io": 3}
    assert count_repeated(records) == 2
    by_number = {record.number: record for record in records}
    assert told_before(by_number[3], records) == {"Bob@x.io": 1}
    assert [told_before(by_number[n], records) for n in (1, 2, 4, 6)] == [{}, {}, {}, {}]
    hi = [("events.send", EVENT, "Hi", to, {"status": 200}) for to in ("a@x.io", "b@x.io")]
    others = ledger_of(*hi).records()
    assert told_before(others[0], others) == {}


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"message": "m", "recipients": ["a", 1]}', Asked(message="m", context=None, people=2)),
        (b'{"text": "m"}', Asked(message="m", context=None, people=0)),
        (b'{"message": "m", "context": {"b": 1, "a": 2}}',
         Asked(message="m", context='{"a": 2, "b": 1}', people=0)),
        (b'{"message": 7}', None),
        (b"[", None),
        (b'{"message": "' + b"x" * 1024**2 + b'"}', None),
    ],
)  # fmt: skip
def test_what_a_refused_request_wanted_to_say(body: bytes, asked: Asked | None) -> None:
    """As far as it can be read."""
    assert glimpse(body) == asked


def test_the_bytes_that_are_counted_are_those_that_are_taken() -> None:
    """Nearly, with one person a request and with 500: the bound of the records is one of memory."""
    for people, requests in ((1, 2000), (500, 200)):
        tracemalloc.start()
        ledger = Ledger(1.0)
        for number in range(requests):
            to = "\n".join(f"person{number * people + one}@example.com" for one in range(people))
            entry = ledger.open("events.send", EVENT, float(number), 1.7e9 + number)
            told = Told(addresses=to, message="Hello")
            ledger.settle(entry, Decision(answer=Answer(status=200), told=told))
            entry.note(status=200)
            ledger.close(entry)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 0.6 * ledger.size < taken < 1.2 * ledger.size
