"""Limits at which a run stops by itself."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async import RateLimit
from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.jobs.run.stop_if import RunCounts, crossed, parse_stop_rules

WINDOW = RateLimit()


def why(rule: str, **counts: int) -> str | None:
    """What is said of these counts."""
    return crossed(parse_stop_rules(rule), RunCounts(**counts), WINDOW)


def test_what_is_written_is_read() -> None:
    """With spaces or without, in the order given; one text stands for itself."""
    rules = parse_stop_rules(["rejected > 2.5 %", "unknown>0", " throttled>10%"])
    assert [(rule.of, rule.most, rule.percent) for rule in rules] == [
        ("rejected", Fraction(5, 2), True),
        ("unknown", Fraction(0), False),
        ("throttled", Fraction(10), True),
    ]
    assert [rule.text for rule in rules] == ["rejected>2.5%", "unknown>0", "throttled>10%"]
    assert parse_stop_rules("unknown>0") == rules[1:2]
    assert parse_stop_rules(()) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no limit"),
        ("refused>2%", "no limit"),
        ("rejected>=2%", "no limit"),
        ("rejected<2%", "no limit"),
        ("rejected>-1", "no limit"),
        ("rejected>1,000", "no limit"),
        ("rejected>２%", "no limit"),  # noqa: RUF001 - a digit of another script
        ("rejected>nan%", "no limit"),
        ("rejected>1e3", "no limit"),
        ("rejected>" + "9" * 13, "no limit"),
        ("rejected>2%%", "no limit"),
        ("rejected>2% or unknown>0", "no limit"),
        ("rejected>2%\nx", "no limit"),
        ("unknown", "put it in quotes, for a shell takes a bare > for itself"),
        ("rejected>100%", "is never crossed"),
        ("unknown>0.5", "no whole number and no percentage"),
    ],
)
def test_what_is_no_limit_is_refused_with_an_example(text: str, says: str) -> None:
    """A night is no time to guess what was meant."""
    with pytest.raises(InvalidInput, match='"rejected>2%", "unknown>0" or "throttled>10%"') as met:
        parse_stop_rules(text)
    assert says in str(met.value)


@given(st.text())
def test_any_text_is_a_limit_or_is_refused(text: str) -> None:
    """And nothing else comes of it; what is refused is shown in one short line."""
    try:
        (rule,) = parse_stop_rules(text)
    except InvalidInput as error:
        assert "\n" not in str(error)  # noqa: PT017 - most texts are no limits
        assert len(str(error)) < 400  # noqa: PT017
    else:
        assert parse_stop_rules(rule.text) == (rule,)


@given(
    st.sampled_from(["rejected", "unknown", "throttled"]),
    st.integers(0, 10**12 - 1),
    st.integers(0, 10**6 - 1),
)
def test_every_number_is_read_exactly(of: str, number: int, decimals: int) -> None:
    """No rounding of floats."""
    (rule,) = parse_stop_rules(f"{of}>{number % 100}.{decimals:06}%")
    assert rule.most == number % 100 + Fraction(decimals, 10**6)
    (rule,) = parse_stop_rules(f"{of}>{number}")
    assert rule.most == number


COUNTS = st.builds(
    RunCounts,
    accepted=st.integers(0, 60_000),
    rejected=st.integers(0, 2_000),
    unknown=st.integers(0, 2_000),
    left=st.integers(0, 60_000),
    ended=st.integers(0, 400),
    requests=st.integers(1, 400),
    throttled=st.integers(0, 1),
)


@given(COUNTS, st.integers(0, 3_000), st.sampled_from(["rejected", "unknown"]))
def test_a_number_counts_at_once(counts: RunCounts, most: int, of: str) -> None:
    """More than that, and not as many."""
    said = crossed(parse_stop_rules(f"{of}>{most}"), counts, WINDOW)
    assert (said is not None) == (getattr(counts, of) > most)


@given(COUNTS, st.integers(1, 99), st.sampled_from(["rejected", "unknown"]))
def test_a_percentage_is_crossed_only_where_it_is(counts: RunCounts, most: int, of: str) -> None:
    """Out of those whose requests have ended; what is certain, whatever has ended, counts."""
    said = crossed(parse_stop_rules(f"{of}>{most}%"), counts, WINDOW)
    settled = counts.accepted + counts.rejected + counts.unknown
    count = getattr(counts, of)
    over, certain = count * 100 > most * settled, count * 100 > most * (settled + counts.left)
    if said is not None:
        assert over
        assert f"{count:,} of {settled:,} people" in said
    if certain or (over and counts.ended >= 100):
        assert said is not None


@given(st.integers(1, 99), st.integers(1, 60_000))
def test_one_request_alone_never_crosses_a_percentage(percent: int, left: int) -> None:
    """Unless it is certain: all requests hold as many people here."""
    people = min(500, left)
    for ended in range(1, 130):
        counts = {"rejected": people, "accepted": people * (ended - 1), "left": left}
        said = why(f"rejected>{percent}%", ended=ended, **counts)
        certain = 100 * people > percent * (people * ended + left)
        assert said is None or certain


def test_a_percentage_waits_until_it_says_something() -> None:
    """Two requests of 49 are too few for 2%, and two of 60 are not; 3 of 120 are certain."""
    counts = {"rejected": 1_000, "accepted": 23_500, "left": 500_000}
    assert why("rejected>2%", ended=49, **counts) is None
    assert why("rejected>2%", ended=60, **counts | {"accepted": 29_000}) == (
        "rejected>2% was crossed: 1,000 of 30,000 people of this run are rejected (3.34%)"
    )
    assert why("rejected>2%", rejected=1_000, ended=2, left=59_000) is None
    assert why("rejected>2%", rejected=1_500, ended=3, left=58_500) is not None


def test_answers_429_are_a_share_of_the_requests_of_a_window_at_least() -> None:
    """What was in flight when the limit was met comes together, and says little alone."""
    assert why("throttled>10%", requests=119, throttled=119) is None
    assert why("throttled>10%", requests=120, throttled=12) is None
    assert why("throttled>10%", requests=120, throttled=13) == (
        "throttled>10% was crossed: 13 of 120 requests of this run were answered 429 (10.84%)"
    )
    assert why("throttled>0.5%", requests=190, throttled=1) is None
    assert why("throttled>0.5%", requests=200, throttled=2) is not None
    assert why("throttled>3", requests=4, throttled=4) is not None


def test_nothing_of_all_is_nothing() -> None:
    """So the first one crosses it."""
    assert why("unknown>0%", ended=1, unknown=1, accepted=499, left=59_500) is not None
    assert why("throttled>0%", requests=1, throttled=1) is not None
    assert why("unknown>0%", ended=1, accepted=500) is None


def test_the_first_limit_that_is_crossed_is_named() -> None:
    """Of several."""
    rules = parse_stop_rules(["rejected>5", "unknown>0", "unknown>1"])
    said = crossed(rules, RunCounts(rejected=5, unknown=2, accepted=3), WINDOW)
    assert said == "unknown>0 was crossed: 2 of 10 people of this run are unknown (20%)"
    assert crossed(rules, RunCounts(accepted=3), WINDOW) is None
