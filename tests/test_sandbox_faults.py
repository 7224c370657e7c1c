"""The fault plan and the ledger of records, without a server."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.sandbox import FAMILIES, FAULTS, FaultPlan
from moveworks_shift_async.sandbox.decisions import Answer, Decision
from moveworks_shift_async.sandbox.entry import Entry
from moveworks_shift_async.sandbox.ledger import Ledger
from moveworks_shift_async.sandbox.rules import Asked, Told


def drawn(plan: FaultPlan, family: str, times: int) -> list[str | None]:
    """The kinds that the next requests of a family meet."""
    faults = [plan.draw(family) for _ in range(times)]
    return [fault.kind if fault else None for fault in faults]


def test_without_orders_nothing_goes_wrong() -> None:
    """A new plan has no faults."""
    assert drawn(FaultPlan(), "send", 5) == [None] * 5


def test_a_script_is_a_queue_per_family() -> None:
    """Scripted faults come in order, once, and to their own family only."""
    plan = FaultPlan()
    plan.script("send", "none", "reset-after-body")
    plan.script("send", "silence", times=2)
    assert drawn(plan, "token", 1) == [None]
    assert drawn(plan, "send", 5) == [None, "reset-after-body", "silence", "silence", None]


def test_a_storm_goes_on_and_then_the_script() -> None:
    """A storm refuses as many requests as the plan says, before what is queued behind it."""
    plan = FaultPlan(storm=3)
    plan.script("send", "throttle-storm", "silence")
    assert drawn(plan, "send", 5) == ["throttle-storm"] * 3 + ["silence", None]


def test_rates_are_probabilities() -> None:
    """Over many requests each kind comes about as often as its rate, the same for one seed."""
    plan = FaultPlan(seed=7)
    plan.rate("send", "silence", 0.1)
    plan.rate("send", "half-answer", 0.3)
    counts = Counter(drawn(plan, "send", 10_000))
    assert 900 < counts["silence"] < 1100
    assert 2800 < counts["half-answer"] < 3200
    again = FaultPlan(seed=7)
    again.load({"rates": {"send": {"silence": 0.1, "half-answer": 0.3}}})
    assert Counter(drawn(again, "send", 10_000)) == counts
    plan.rate("send", "half-answer", 0)
    assert "half-answer" not in drawn(plan, "send", 1000)


def test_orders_go_in_and_out_as_data() -> None:
    """`pending` gives back what `load` takes, and `clear` forgets it."""
    orders = {"script": {"auth": ["silence", "none"]}, "rates": {"shift": {"half-answer": 0.5}}}
    plan = FaultPlan()
    plan.load(orders)
    assert plan.pending() == orders
    plan.load({"clear": True})
    assert plan.pending() == {"script": {}, "rates": {}}


@pytest.mark.parametrize(
    "orders",
    [
        {"script": {"nowhere": ["silence"]}},
        {"script": {"send": ["nothing-known"]}},
        {"script": {"send": 5}},
        {"script": {"send": [["silence"]]}},
        {"script": []},
        {"rates": {"send": {"silence": "often"}}},
        {"rates": {"send": {"silence": 1.1}}},
        {"rates": {"send": {"silence": -0.1}}},
        {"rates": {"send": {"silence": 0.6, "half-answer": 0.6}}},
        {"rates": {"send": ["silence"]}},
        {"rates": {"send": {"silence": math.nan}}},
        {"scripts": {"send": ["silence"]}},
        {"script": {}, "rate": {}},
        {"clear": "no"},
    ],
)
def test_orders_that_make_no_sense(orders: dict[str, Any]) -> None:
    """Orders with an unknown name, an impossible rate or another shape are an error."""
    with pytest.raises(InvalidInput):
        FaultPlan().load(orders)


def test_ten_tenths_are_one() -> None:
    """Rates that add up to 1 but for rounding are allowed, and then every request meets one."""
    plan = FaultPlan()
    for kind in list(FAULTS)[:10]:
        plan.rate("send", kind, 0.1)
    assert None not in drawn(plan, "send", 100)


def test_kinds_and_families_are_listed() -> None:
    """The names that users type are these."""
    assert FAMILIES == ("send", "auth", "token", "shift", "shift-token")
    assert len(FAULTS) == 33
    processed = {kind for kind, fault in FAULTS.items() if fault.processed}
    assert processed == {
        *(f"processed-then-{s}-{f}" for s in (500, 502, 503) for f in ("json", "html", "empty")),
        "processed-then-reset",
        "processed-then-silence",
        "half-answer",
        "slow-answer",
        "malformed-json",
    }


# The ledger


def told(*addresses: str, message: str = "m", context: str | None = None) -> Decision:
    """A decision that these were told."""
    told = Told(addresses="\n".join(addresses), message=message, context=context)
    return Decision(answer=Answer(status=200), processed=True, credential="c", told=told)


def refused() -> Decision:
    """A decision that nobody was told."""
    return Decision(answer=Answer(status=400))


def test_the_ledger_counts_people() -> None:
    """Told addresses are counted as they came; people are counted without regard to case."""
    ledger = Ledger(1.0, 100.0)
    for decision in (told("a@x.io", "b@x.io"), told("A@x.io"), refused()):
        entry = ledger.open("events.send", "e", 101.0)
        ledger.settle(entry, decision)
        ledger.close(entry)
    ledger.settle(ledger.open("shift.messages", None, 102.0), told("team:1"))
    received = ledger.received()
    assert received.people == {"a@x.io": 1, "b@x.io": 1, "A@x.io": 1}
    assert received.shift == {"team:1": 1}
    assert [r.recipients for r in received.requests] == [
        ("a@x.io", "b@x.io"),
        ("A@x.io",),
        (),
        ("team:1",),
    ]
    assert [r.number for r in received.requests] == [1, 2, 3, 4]
    assert received.requests[3].at == 2.0
    stats = ledger.stats()
    assert (stats.people, stats.people_told_again, stats.accepted) == (2, 1, 3)
    assert stats.max_concurrent == 1
    assert repr(received) == (
        "Received(requests=4, people=3 told 3 times, shift=1 told 1 times, forgotten=0)"
    )


def test_the_records_know_what_was_said() -> None:
    """Text and context as they came; the numbers survive a round trip through JSON."""
    ledger = Ledger(1.0)
    entry = ledger.open("events.send", "e", 0.5)
    ledger.settle(entry, told("a@x.io", context='{"slots": {"n": 1}}'))
    entry.note(fault="slow-answer", status=200, admitted=True)
    (record,) = ledger.records()
    assert (record.message, record.context) == ("m", {"slots": {"n": 1}})
    assert (record.people, record.recipients) == (1, ("a@x.io",))
    received = ledger.received()
    assert (received.shift, received.forgotten, received.people) == ({}, 0, {"a@x.io": 1})
    assert json.loads(json.dumps(ledger.stats().as_json()))["faults"] == {"slow-answer": 1}
    assert "a@x.io" not in repr(record)


def test_what_told_nobody_is_kept_as_asked() -> None:
    """The words and for how many they were; no message, since nobody got one."""
    ledger = Ledger(1.0)
    entry = ledger.open("events.send", "e", 0.5)
    ledger.settle(entry, refused(), Asked(message="m", context=None, people=7))
    (record,) = ledger.records()
    assert (record.message, record.context, record.recipients) == (None, None, ())
    assert record.content is not None
    assert (record.content.message(), record.people) == ("m", 7)


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(0, 2**60))
def test_the_fullest_window(times: list[float], bits: int) -> None:
    """The two window numbers are what counting every window by hand gives."""
    ledger = Ledger(1.0)
    for place, at in enumerate(sorted(times)):
        entry = ledger.open("auth.test", None, at)
        entry.counted = True
        entry.note(admitted=bool(bits >> place & 1))
    admitted = [r.at for r in ledger.received().requests if r.admitted]
    stats = ledger.stats()
    for value, log in (
        (stats.max_arrived_in_window, sorted(times)),
        (stats.max_admitted_in_window, admitted),
    ):
        by_hand = [sum(0 <= at - start < 1.0 for at in log) for start in log]
        assert value == max(by_hand, default=0)


def test_a_reset_ledger_knows_what_is_in_hand() -> None:
    """After a reset the records are gone, and requests in hand still count as concurrent."""
    ledger = Ledger(1.0)
    first, second = ledger.open("token", None, 0.0), ledger.open("token", None, 0.0)
    ledger.close(first)
    ledger.reset()
    assert ledger.received().requests == ()
    assert ledger.stats().max_concurrent == 1
    ledger.settle(second, told("a@x.io"))
    ledger.close(second)
    assert (ledger.received().requests, ledger.stats().requests, ledger.size) == ((), 0, 0)


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["events.send", "shift.messages", "token", "auth.test"]),
        st.sampled_from([200, 429, 500]),
        st.sampled_from([None, "reset-after-body", "throttle"]),
        st.floats(0.0, 0.4),
        st.integers(0, 3),
    ),
    max_size=40,
)


def size_of(entries: list[Entry]) -> int:
    """Each with its people, and each content once."""
    contents = {entry.record.content for entry in entries} - {None}
    return sum(entry.size for entry in entries) + sum(c.size for c in contents if c is not None)


@given(REQUESTS, st.integers(0, 20_000))
def test_a_ledger_that_forgets_still_counts(
    requests: list[tuple[str, int, str | None, float, int]], keep: int
) -> None:
    """The oldest records go when all take more than `keep`; people alone are of those kept."""
    whole, small, now = Ledger(window=1.0, keep=10**9), Ledger(window=1.0, keep=keep), 0.0
    for route, status, fault, later, people in requests:
        now += later
        for ledger in (whole, small):
            entry = ledger.open(route, None, now)
            entry.counted = True
            entry.note(admitted=status != 429, status=status, fault=fault)
            if people:
                ledger.settle(
                    entry, told(*(f"{n}@x.io" for n in range(people)), message=f"Hi {status}")
                )
            ledger.close(entry)
    left, stats = small.received(), small.stats()
    assert size_of([*whole._entries][left.forgotten :]) == small.size <= keep
    assert not left.forgotten or size_of([*whole._entries][left.forgotten - 1 :]) > keep
    numbers = [record.number for record in left.requests]
    assert numbers == list(range(left.forgotten + 1, len(requests) + 1))
    assert left.forgotten == stats.forgotten == len(requests) - len(left.requests)
    assert evolve(stats, forgotten=0, people=0, people_told_again=0) == evolve(
        whole.stats(), people=0, people_told_again=0
    )
    assert small.stats() == stats
    addresses = Counter(n for r in left.requests for n in r.recipients if r.route[0] != "s")
    assert (stats.people, left.people) == (len(addresses), addresses)


def test_what_is_in_hand_is_not_forgotten() -> None:
    """Nor what came after it: nobody knows yet what it will have been."""
    ledger = Ledger(window=1.0, keep=0)
    first, second = ledger.open("token", None, 0.0), ledger.open("token", None, 0.0)
    ledger.close(second)
    assert [record.number for record in ledger.received().requests] == [1, 2]
    ledger.close(first)
    assert ledger.received().requests == ()
    assert ledger.open("token", None, 0.0).record.number == 3


def test_a_part_of_the_ledger() -> None:
    """After a number, and at most so many, also where the oldest are gone."""
    ledger = Ledger(window=1.0, keep=3 * 600)
    for number in range(5):
        ledger.close(ledger.open("token", None, float(number)))
    assert [r.number for r in ledger.received().requests] == [3, 4, 5]
    assert [r.number for r in ledger.received(3, 1).requests] == [4]
    assert [r.number for r in ledger.received(1, 2).requests] == [3, 4]
    assert ledger.received(5).requests == ()
