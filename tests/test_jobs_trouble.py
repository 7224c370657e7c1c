"""What the end of a request means for its chunk and for the job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    ClientClosed,
    ConnectionFailed,
    InvalidInput,
    JournalError,
    MoveworksError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.jobs.trouble import (
    LONGEST_WAIT,
    PATIENCE,
    STRIKES,
    TRIALS,
    Trouble,
    Verdict,
    judge,
)

UNKNOWN = OutcomeUnknown("reset")
AWAY = ConnectionFailed("no connection")
REFUSED = BadRequest("no", status=400)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, Verdict.ACCEPTED),
        (REFUSED, Verdict.REJECTED),
        (BadRequest("no", status=422), Verdict.REJECTED),
        (BadRequest("too slow", status=408), Verdict.AGAIN),
        (BadRequest("too early", status=425), Verdict.AGAIN),
        (BadRequest("gone", status=410), Verdict.STOP),
        (BadRequest("not this media type", status=415), Verdict.STOP),
        (UNKNOWN, Verdict.UNKNOWN),
        (ServerFailed("503", status=503), Verdict.UNKNOWN),
        (BadResponse("html"), Verdict.UNKNOWN),
        (RateLimited("429", status=429), Verdict.AGAIN),
        (AWAY, Verdict.AGAIN),
        (TokenUnavailable("503", retry_after=1.0), Verdict.AGAIN),
        (TokenUnavailable("never"), Verdict.STOP),
        (NotAuthenticated("401", status=401), Verdict.AGAIN),
        (NotAllowed("403", status=403), Verdict.STOP),
        (NotFound("404", status=404), Verdict.STOP),
        (RefusedByServer("moved", status=307), Verdict.STOP),
        (RefusedByServer("no POST here", status=405), Verdict.STOP),
        (JournalError("full"), Verdict.STOP),
        (ClientClosed("closed"), Verdict.STOP),
        (InvalidInput("no address"), Verdict.STOP),
        (NotSent("taken back"), Verdict.STOP),
    ],
)
def test_each_end_has_its_verdict(error: MoveworksError | None, verdict: Verdict) -> None:
    """Nobody is rejected for what holds for all, and nobody is sent to again for a doubt."""
    assert judge(error) is verdict


def test_without_trouble_all_may_start() -> None:
    """And no question is due."""
    trouble = Trouble()
    assert trouble.may_start(0)
    assert trouble.may_start(31)
    assert trouble.question_in() is None


def test_no_connection_makes_it_wait_at_once() -> None:
    """Nobody was told; each more try would be as vain."""
    trouble = Trouble()
    trouble.started()
    trouble.met(AWAY, 100.0)
    assert not trouble.may_start(0)
    assert (trouble.since, trouble.reason) == (100.0, "no connection")
    trouble.met(ConnectionFailed("another"), 105.0)
    assert (trouble.since, trouble.reason) == (100.0, "another")


@pytest.mark.parametrize(
    "error", [TokenUnavailable("503", retry_after=1.0), BadRequest("too slow", status=408)]
)
def test_no_token_and_no_time_for_now_make_it_wait(error: MoveworksError) -> None:
    """As a server that is away."""
    trouble = Trouble()
    trouble.met(error, 1.0)
    assert not trouble.may_start(0)


def test_a_429_is_no_trouble() -> None:
    """The gate has it in hand."""
    trouble = Trouble()
    trouble.met(RateLimited("429", status=429), 1.0)
    assert trouble.may_start(5)


def test_the_third_unknown_makes_it_wait() -> None:
    """Two are a bad moment; one that is accepted between them begins the count anew."""
    trouble = Trouble()
    for error in (UNKNOWN, UNKNOWN, None, UNKNOWN, UNKNOWN):
        trouble.met(error, 1.0)
    assert trouble.may_start(0)
    trouble.met(UNKNOWN, 2.0)
    assert not trouble.may_start(0)


def test_questions_become_rarer() -> None:
    """1, 2, 4 … seconds, at most a minute."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    waits = []
    for _ in range(8):
        waits.append(trouble.question_in())
        trouble.asked(AWAY, 1.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert waits[-1] == LONGEST_WAIT
    trouble.asked(None, 2.0)
    assert trouble.question_in() is None


def test_after_an_answer_one_chunk_goes_first() -> None:
    """Alone; once it is accepted, all go on."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    trouble.asked(None, 1.0)
    assert (trouble.may_start(0), trouble.may_start(1)) == (True, False)
    trouble.started()
    trouble.met(None, 2.0)
    assert trouble.may_start(31)
    assert (trouble.since, trouble.reason, trouble.question_in()) == (None, "", None)


def test_a_refusal_of_the_list_opens_the_door_to_one_at_a_time() -> None:
    """A 400 is an answer, and does not say that messages are taken."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    trouble.asked(None, 1.0)
    trouble.started()
    trouble.met(REFUSED, 2.0)
    assert (trouble.may_start(0), trouble.may_start(1)) == (True, False)


@pytest.mark.parametrize(
    "error",
    [
        NotAllowed("403", status=403),
        NotFound("404", status=404),
        RateLimited("429", status=429),
        REFUSED,
    ],
)
def test_a_refusal_of_the_question_is_an_answer(error: MoveworksError) -> None:
    """Somebody is there."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    trouble.asked(error, 1.0)
    assert trouble.may_start(0)


@pytest.mark.parametrize("error", [UNKNOWN, ServerFailed("503", status=503), AWAY])
def test_a_question_without_an_answer_goes_on_waiting(error: MoveworksError) -> None:
    """Its reason is the latest."""
    trouble = Trouble()
    trouble.met(UNKNOWN, 0.0)
    trouble.met(AWAY, 0.0)
    trouble.asked(error, 1.0)
    assert not trouble.may_start(0)
    assert (trouble.reason, trouble.hopeless) == (str(error), None)


def test_a_refused_credential_ends_the_wait() -> None:
    """No time cures it."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    error = NotAuthenticated("401", status=401)
    trouble.asked(error, 1.0)
    assert trouble.hopeless is error


def test_a_credential_refused_by_the_way_is_asked_about() -> None:
    """Two tokens in a row may have ended; the question tells."""
    trouble, error = Trouble(), NotAuthenticated("401", status=401)
    trouble.met(error, 0.0)
    assert (trouble.may_start(0), trouble.hopeless) == (False, None)
    trouble.asked(None, 1.0)
    trouble.started()
    trouble.met(None, 2.0)
    assert trouble.may_start(31)


def test_a_credential_that_may_ask_and_not_send_is_hopeless() -> None:
    """After three chunks that were refused for it; what was in flight before does not count."""
    trouble, error = Trouble(), NotAuthenticated("401", status=401)
    for _ in range(9):
        trouble.met(error, 0.0)
    for _ in range(TRIALS):
        assert trouble.hopeless is None
        trouble.asked(None, 1.0)
        trouble.started()
        trouble.met(error, 2.0)
    assert trouble.hopeless is error


def test_an_error_that_holds_for_all_ends_the_question_late_at_worst() -> None:
    """The question itself may fail for a reason of ours; the wait is bounded all the same."""
    trouble, error = Trouble(), ClientClosed("closed")
    trouble.met(AWAY, 0.0)
    trouble.asked(error, 1.0)
    assert trouble.hopeless is error


def test_an_answer_that_comes_late_changes_nothing() -> None:
    """A request in flight was accepted while the question was on its way."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    trouble.met(None, 1.0)
    for error in (None, AWAY, NotAuthenticated("401", status=401)):
        trouble.asked(error, 2.0)
        assert (trouble.half_open, trouble.hopeless, trouble.reason) == (False, None, "")
        assert trouble.may_start(9)


def test_two_hours_without_a_server_are_enough() -> None:
    """An hour is waited for."""
    trouble = Trouble()
    trouble.met(AWAY, 10.0)
    trouble.asked(AWAY, 10.0 + PATIENCE / 2)
    assert trouble.hopeless is None
    trouble.asked(AWAY, 10.1 + PATIENCE)
    assert trouble.hopeless is AWAY


def test_two_hours_of_answers_without_a_connection_for_a_message_are_enough() -> None:
    """A question that is answered does not keep it waiting for ever."""
    trouble = Trouble()
    trouble.met(AWAY, 0.0)
    for now in (1.0, PATIENCE - 1, PATIENCE + 1):
        assert trouble.hopeless is None
        trouble.asked(None, now)
        trouble.started()
        trouble.met(AWAY, now)
    assert trouble.hopeless is AWAY


def test_three_unknown_trials_are_hopeless() -> None:
    """The server answers questions and leaves messages in doubt."""
    trouble = Trouble()
    for _ in range(STRIKES):
        trouble.met(UNKNOWN, 0.0)
    for trial in range(TRIALS):
        assert trouble.hopeless is None, trial
        trouble.asked(None, 1.0)
        trouble.started()
        trouble.met(UNKNOWN, 2.0)
        assert not trouble.may_start(0)
    assert trouble.hopeless is UNKNOWN


ENDS: dict[str, Callable[[], MoveworksError | None]] = {
    "unknown": lambda: UNKNOWN,
    "away": lambda: AWAY,
    "throttled": lambda: RateLimited("429", status=429),
    "rejected": lambda: REFUSED,
    "accepted": lambda: None,
}


@given(st.data(), st.integers(1, 8))
def test_there_is_a_bound_on_the_unknown(data: st.DataObject, in_flight: int) -> None:
    """However starts, ends and questions fall: at most so many chunks end unknown in a row."""
    trouble, under_way, unknown, now = Trouble(), 0, 0, 0.0
    for what in data.draw(st.lists(st.sampled_from(["start", "question", *ENDS]), max_size=80)):
        now += 1
        if trouble.hopeless is not None:
            break
        if what == "start" and under_way < in_flight and trouble.may_start(under_way):
            trouble.started()
            under_way += 1
        elif what == "question" and trouble.question_in() is not None:
            trouble.asked(data.draw(st.sampled_from([None, AWAY, REFUSED])), now)
        elif what in ENDS and under_way:
            under_way -= 1
            trouble.met(ENDS[what](), now)
            unknown = {"unknown": unknown + 1, "accepted": 0}.get(what, unknown)
    unknown += under_way
    assert unknown <= STRIKES + in_flight + TRIALS


@given(st.lists(st.sampled_from(["away", "rejected", "unknown", "throttled"]), max_size=9))
def test_one_accepted_chunk_heals_everything(ends: list[str]) -> None:
    """Whatever came before."""
    trouble = Trouble()
    for end in ends:
        trouble.met(ENDS[end](), 1.0)
    trouble.met(None, 2.0)
    assert trouble.may_start(31)
    assert trouble.question_in() is None
