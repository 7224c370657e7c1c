"""How far a send is, as values."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async import GateSnapshot, RateLimit
from moveworks_shift_async.jobs.records import Settlement, State, Total
from moveworks_shift_async.jobs.run.progress import JobProgress, Tally, allowed, time_left, why
from moveworks_shift_async.jobs.store.first import Chosen

LIMIT = RateLimit(requests=120, per=60.0)
IDLE = GateSnapshot(budget=120, used=0, in_flight=0, next_in=0.0, paused_for=0.0)


def tally(**more: object) -> Tally:
    """A job of ten chunks of 500 people at time 100."""
    values = {
        "total": 5000,
        "people": {},
        "to_send": 10,
        "requests": 0,
        "throttled": 0,
        "began": 100.0,
    }
    return Tally(**values | more)  # type: ignore[arg-type]


def step(state: State, requests: int = 1, throttled: int = 0) -> Settlement:
    """The end of a request."""
    return Settlement(chunk=0, state=state, at=0.0, requests=requests, throttled=throttled)


def progress(tally: Tally, now: float, gate: GateSnapshot = IDLE) -> JobProgress:
    """This moment, when nothing but the gate is waited for."""
    return tally.progress(gate, LIMIT, now, None)


def test_ends_are_counted() -> None:
    """Told, rejected and unknown people; what goes back among the planned is still to send."""
    counts = tally()
    for state in (State.ACCEPTED, State.ACCEPTED, State.REJECTED, State.UNKNOWN):
        counts.add(step(state), 500, 101.0)
    counts.add(step(State.PLANNED, throttled=1), 500, 101.0)
    seen = progress(counts, 102.0)
    assert (seen.told, seen.rejected, seen.unknown, seen.done) == (1000, 500, 500, 2000)
    assert (seen.requests, seen.throttled, seen.total) == (5, 1, 5000)
    assert (counts.to_send, counts.ended, seen.finished) == (6, 4, False)
    assert seen.elapsed == 2.0


def test_a_divided_list_is_two_to_send() -> None:
    """And nobody has ended."""
    counts = tally()
    counts.add(step(State.SPLIT), 500, 101.0)
    assert (counts.to_send, counts.ended, progress(counts, 101.0).done) == (11, 0, 0)


def test_a_run_for_the_first_ones_ends_with_them() -> None:
    """Whatever other runs do meanwhile; who was lost to another is not its own any more."""
    counts = tally()
    counts.confine(Chosen(chunks=3, people=1200))
    counts.add(step(State.ACCEPTED), 500, 101.0)
    seen = progress(counts, 102.0)
    assert (seen.done, seen.goal, seen.expected, seen.finished) == (500, 1200, 1200, False)
    assert seen.confined() == "sending to exactly 700 of 5,000 people in this run"
    theirs = Total(state=State.ACCEPTED, left_alone=False, chunks=4, people=2000, requests=4,
                   throttled=0)  # fmt: skip
    rest = Total(state=State.PLANNED, left_alone=False, chunks=6, people=3000, requests=0,
                 throttled=0)  # fmt: skip
    counts.recount([theirs, rest])
    assert progress(counts, 103.0).goal == 2700
    counts.lose(500)
    counts.add(step(State.UNKNOWN), 200, 104.0)
    seen = progress(counts, 105.0)
    assert (seen.goal, seen.done, seen.finished) == (2200, 2200, True)
    assert seen.confined() == "nobody is left for this run: others have all who are planned"
    assert (counts.met().accepted, counts.met().unknown, counts.met().left) == (500, 200, 0)
    everybody = progress(tally(), 100.0)
    assert (everybody.expected, everybody.confined()) == (5000, "")


def test_the_end_waits_for_nothing() -> None:
    """Whatever else would be said."""
    counts = tally(to_send=1)
    counts.add(step(State.ACCEPTED), 500, 101.0)
    seen = counts.progress(evolve(IDLE, paused_for=9.0), LIMIT, 102.0, "waiting for the server")
    assert (seen.finished, seen.why, seen.time_left()) == (True, "", "")


def test_values_are_frozen() -> None:
    """Whoever gets them may keep them."""
    with pytest.raises(FrozenInstanceError):
        progress(tally(), 101.0).told = 1  # type: ignore[misc]


def test_the_last_minute_is_a_minute() -> None:
    """Requests that ended before it do not count, and no rate is guessed from a short while."""
    counts = tally()
    for now in range(100, 200):
        counts.add(step(State.ACCEPTED), 1, float(now))
    assert counts.last_minute(199.5) == 60
    assert counts.last_minute(230.0) == 30
    assert counts.last_minute(500.0) == 0
    assert progress(tally(), 100.5).last_minute == 0


def test_counts_are_sentences() -> None:
    """One line for a reader."""
    counts = tally(people={State.ACCEPTED: 1000}, requests=2)
    counts.add(step(State.ACCEPTED), 500, 101.0)
    seen, text = progress(counts, 102.0), "told 1,500, rejected 0, unknown 0; 3 requests"
    assert seen.counts() == f"{text}, 1 in the last minute, from now on at most 120 a minute"


FULL = evolve(IDLE, used=120, waiting=1, next_in=30.0, per=60.0, ends=(30.0,) * 100 + (40.0,) * 20)


def test_the_time_left_is_the_gate_s_where_it_binds() -> None:
    """Beyond the free slots, each window lets a budget through, as the slots end."""
    assert time_left(100, 100, FULL, None) == 30.0
    assert time_left(120, 120, FULL, None) == 40.0
    assert time_left(121, 121, FULL, 1e9) == 90.0
    assert progress(tally(to_send=120), 101.0, FULL).time_left() == "1 min 30 s left"


def test_a_burst_that_goes_out_bit_by_bit_waits_for_no_window() -> None:
    """120 requests into 120 free slots: the answers tell, also those that are not written yet."""
    counts = tally(to_send=120)
    for _ in range(20):
        counts.add(step(State.ACCEPTED), 500, 101.0)
    # 5 more have their answers, 15 are out, 10 wait for the next moment of the burst.
    gate = evolve(IDLE, used=40, in_flight=15, waiting=10, next_in=0.01, per=60.0,
                  ends=(59.0,) * 25)  # fmt: skip
    seen = counts.progress(gate, LIMIT, 102.0, None, under_way=30)
    assert (seen.why, seen.left) == ("waiting for answers: 15 in flight", 100 / 10)


def test_after_a_429_the_time_left_is_pause_and_pace() -> None:
    """75 requests at 60 a minute are more than a minute, however fast those before it went."""
    paced = evolve(IDLE, used=76, waiting=1, per=60.0, ends=(58.0,) * 76, mode="paced", rate=1.0)
    assert time_left(75, 75, paced, 1e9) == 74.0
    assert time_left(75, 75, evolve(paced, mode="paused", paused_for=2.0, waiting=0), 1e9) == 76.0


def test_the_time_left_is_the_answers_where_the_gate_is_open() -> None:
    """As many a second as came since it was last waited for; nothing is said before one has."""
    counts = tally(to_send=200)
    free = evolve(IDLE, per=60.0)
    assert progress(counts, 101.0, free).time_left() == ""
    counts.add(step(State.ACCEPTED), 500, 101.5)
    assert progress(counts, 102.0, evolve(FULL, next_in=60.0)).left == 90.0
    assert progress(counts, 161.0, free).left is None
    for now in range(162, 166):
        counts.add(step(State.ACCEPTED), 500, float(now))
    assert progress(counts, 166.0, free).left == 195 * 60 / 4
    assert progress(counts, 166.0, evolve(free, used=120, ends=(9e3,) * 120)).left == 9e3 + 60


def test_a_gate_that_does_not_say_is_not_asked() -> None:
    """One of the caller's, perhaps: then the answers tell, or nobody."""
    assert IDLE.seconds_for(1) is None
    assert time_left(10, 10, evolve(IDLE, waiting=1), None) is None
    assert time_left(10, 10, IDLE, 2.0) == 5.0


def test_what_is_waited_for_wins_over_the_gate() -> None:
    """And nobody guesses a time then."""
    seen = tally().progress(FULL, LIMIT, 101.0, "paused")
    assert (seen.why, seen.left) == ("paused", None)


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (evolve(IDLE, paused_for=4.2), "the server answered 429: going on in 5 s"),
        (
            evolve(IDLE, waiting=1, mode="paced", rate=1.5, why="a 429 at 10:00"),
            "paced at 90 requests a minute: a 429 at 10:00",
        ),
        (evolve(IDLE, used=120, waiting=3, next_in=1.2), "waiting 2 s for the rate limit"),
        (
            evolve(IDLE, used=30, in_flight=20, waiting=3, next_in=0.01),
            "waiting for answers: 20 in flight",
        ),
        (evolve(IDLE, in_flight=2), "waiting for answers: 2 in flight"),
        (
            evolve(IDLE, waiting=1, in_flight=2, next_in=math.inf),
            "waiting for answers: 2 in flight",
        ),
        (IDLE, "starting"),
    ],
)
def test_the_gate_says_what_is_waited_for(gate: GateSnapshot, text: str) -> None:
    """In the order in which it binds."""
    assert why(gate, 0) == text


def test_between_tries_it_waits_to_try_again() -> None:
    """Requests were made, and none is out."""
    assert why(IDLE, 3) == "waiting to try again after a failure"


def test_a_job_that_goes_on_has_met_no_failure_yet() -> None:
    """The requests of earlier runs are none of this one's tries."""
    counts = tally(requests=32)
    assert progress(counts, 100.5).why == "starting"
    counts.add(step(State.PLANNED, requests=0), 500, 101.0)
    assert progress(counts, 101.0).why == "waiting to try again after a failure"


def test_the_allowed_rate_is_the_smaller_one() -> None:
    """The budget's, or what a 429 has taught."""
    assert allowed(IDLE, LIMIT) == 120
    assert allowed(evolve(IDLE, rate=0.5), LIMIT) == 30


@given(
    st.lists(
        st.sampled_from(
            [State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.PLANNED, State.SPLIT]
        ),
        max_size=40,
    )
)
def test_what_is_to_send_and_what_has_ended_add_up(ends: list[State]) -> None:
    """Whatever comes: chunks that ended and chunks to send are those planned and the halves."""
    counts = tally()
    for end in ends:
        counts.add(step(end), 500, 101.0)
    splits = ends.count(State.SPLIT)
    assert counts.to_send + counts.ended == 10 + splits
    assert progress(counts, 102.0).done == 500 * counts.ended
