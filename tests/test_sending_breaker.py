"""What the end of a request means for its chunk, and for the stream or the job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    ClientClosed,
    Concerns,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidInput,
    JournalError,
    MoveworksError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
    ServerFailed,
    TokenUnavailable,
)
from moveworks_shift_async.limits.circuit import Circuit
from moveworks_shift_async.sending.breaker import (
    FAILURES,
    LONGEST_BACKOFF,
    PROBES,
    SECONDS_WITHOUT_SERVER,
    Breaker,
    chunk_outcome,
)

UNKNOWN = OutcomeUnknown("reset")
AWAY = ConnectionFailed("no connection")
REFUSED = BadRequest("no", status=400)


@pytest.mark.parametrize(
    ("error", "outcome", "concerns"),
    [
        (None, Outcome.ACCEPTED, None),
        (REFUSED, Outcome.REJECTED, Concerns.THIS_LIST),
        (BadRequest("conflict", status=409), Outcome.REJECTED, Concerns.THIS_LIST),
        (BadRequest("too large", status=413), Outcome.REJECTED, Concerns.THIS_LIST),
        (BadRequest("no", status=422), Outcome.REJECTED, Concerns.THIS_LIST),
        (BadRequest("too slow", status=408), Outcome.NOT_SENT, Concerns.THIS_LIST),
        (BadRequest("too early", status=425), Outcome.NOT_SENT, Concerns.THIS_LIST),
        (BadRequest("gone", status=410), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (BadRequest("not this media type", status=415), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (UNKNOWN, Outcome.UNKNOWN, Concerns.THIS_LIST),
        (ServerFailed("503", status=503), Outcome.UNKNOWN, Concerns.THIS_LIST),
        (BadResponse("html"), Outcome.UNKNOWN, Concerns.THIS_LIST),
        (RateLimited("429", status=429), Outcome.NOT_SENT, Concerns.THIS_LIST),
        (AWAY, Outcome.NOT_SENT, Concerns.THIS_LIST),
        (TokenUnavailable("503", retry_after=1.0), Outcome.NOT_SENT, Concerns.THIS_LIST),
        (TokenUnavailable("never"), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (NotAuthenticated("401", status=401), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (NotAllowed("403", status=403), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (NotFound("404", status=404), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (RefusedByServer("moved", status=307), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (RefusedByServer("no POST here", status=405), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (RefusedByServer("the proxy's password", status=407), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (DeadlineExceeded("too long"), Outcome.NOT_SENT, Concerns.THIS_LIST),
        (JournalError("full"), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (ClientClosed("closed"), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (InvalidInput("no address"), Outcome.NOT_SENT, Concerns.EVERYBODY),
        (NotSent("taken back"), Outcome.NOT_SENT, Concerns.EVERYBODY),
    ],
)
def test_each_end_says_what_is_known_of_its_chunk(
    error: MoveworksError | None, outcome: Outcome, concerns: Concerns | None
) -> None:
    """Nobody is rejected for what holds for all, and nobody is sent to again for a doubt."""
    assert chunk_outcome(error) is outcome
    assert error is None or error.concerns is concerns


def test_closed_all_may_start() -> None:
    """And no health check is due."""
    breaker = Breaker()
    assert breaker.may_start(0)
    assert breaker.may_start(31)
    assert breaker.health_check_in() is None


def opened(error: MoveworksError = AWAY, now: float = 0.0) -> Breaker:
    """A breaker that three such ends have opened."""
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.started()
        breaker.met(error, now)
    return breaker


@pytest.mark.parametrize(
    "error",
    [
        UNKNOWN,
        AWAY,
        ServerFailed("503", status=503),
        BadResponse("html"),
        TokenUnavailable("503", retry_after=1.0),
        BadRequest("too slow", status=408),
        DeadlineExceeded("too long"),
    ],
)
def test_the_third_request_without_a_usable_answer_opens_it(error: MoveworksError) -> None:
    """Two are a bad moment; one that is accepted between them begins the count anew."""
    breaker = Breaker()
    for end in (error, error, None, error, error):
        breaker.met(end, 1.0)
    assert breaker.may_start(31)
    breaker.met(error, 2.0)
    assert not breaker.may_start(0)
    assert (breaker.since, breaker.reason, breaker.given_up) == (2.0, str(error), None)
    breaker.met(ConnectionFailed("another"), 105.0)
    assert (breaker.since, breaker.reason) == (2.0, "another")


@pytest.mark.parametrize("between", [RateLimited("429", status=429), REFUSED])
def test_what_is_neither_accepted_nor_silent_counts_as_neither(between: MoveworksError) -> None:
    """A 429 is the gate's, a 400 an answer; neither shows that messages are taken."""
    breaker = Breaker()
    for end in (*[between] * 9, UNKNOWN, between, UNKNOWN, between):
        breaker.met(end, 1.0)
    assert breaker.may_start(5)
    breaker.met(UNKNOWN, 1.0)
    assert not breaker.may_start(0)


@pytest.mark.parametrize(
    "error",
    [
        NotAuthenticated("401", status=401),
        NotAllowed("403", status=403),
        NotFound("404", status=404),
        RefusedByServer("moved", status=307),
        BadResponse("moved, perhaps after it was done", concerns=Concerns.EVERYBODY),
        TokenUnavailable("never"),
        ClientClosed("closed"),
        JournalError("full"),
    ],
)
def test_what_concerns_everybody_ends_it_for_good(error: MoveworksError) -> None:
    """At once; what is in flight and accepted after it changes nothing."""
    breaker = Breaker()
    breaker.met(error, 1.0)
    breaker.met(None, 2.0)
    breaker.met(ClientClosed("later"), 3.0)
    assert breaker.given_up is error
    assert not breaker.may_start(0)
    assert breaker.circuit is Circuit.CLOSED
    assert breaker.health_check_in() is None


def test_health_checks_become_rarer() -> None:
    """1, 2, 4 … seconds, at most a minute."""
    breaker = opened()
    waits = []
    for _ in range(8):
        waits.append(breaker.health_check_in())
        breaker.health_checked(AWAY, 1.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert waits[-1] == LONGEST_BACKOFF
    breaker.health_checked(None, 2.0)
    assert breaker.health_check_in() is None


def test_after_an_answer_one_chunk_goes_first() -> None:
    """Alone; once it is accepted, all go on."""
    breaker = opened()
    breaker.health_checked(None, 1.0)
    assert (breaker.may_start(0), breaker.may_start(1)) == (True, False)
    breaker.started()
    breaker.met(None, 2.0)
    assert breaker.may_start(31)
    assert (breaker.since, breaker.reason, breaker.health_check_in()) == (None, "", None)


def test_a_refused_list_leaves_it_half_open() -> None:
    """A 400 is an answer, and does not say that messages are taken."""
    breaker = opened()
    breaker.health_checked(None, 1.0)
    breaker.started()
    breaker.met(REFUSED, 2.0)
    assert (breaker.may_start(0), breaker.may_start(1)) == (True, False)


@pytest.mark.parametrize(
    "error",
    [
        NotAllowed("403", status=403),
        NotFound("404", status=404),
        RateLimited("429", status=429),
        REFUSED,
    ],
)
def test_a_refusal_of_the_health_check_is_an_answer(error: MoveworksError) -> None:
    """Somebody is there."""
    breaker = opened()
    breaker.health_checked(error, 1.0)
    assert breaker.may_start(0)


@pytest.mark.parametrize("error", [UNKNOWN, ServerFailed("503", status=503), AWAY])
def test_a_health_check_without_an_answer_goes_on_waiting(error: MoveworksError) -> None:
    """Its reason is the latest."""
    breaker = opened()
    breaker.health_checked(error, 1.0)
    assert not breaker.may_start(0)
    assert (breaker.reason, breaker.given_up) == (str(error), None)


def test_a_refused_credential_ends_the_wait() -> None:
    """No time cures it."""
    breaker = opened()
    error = NotAuthenticated("401", status=401)
    breaker.health_checked(error, 1.0)
    assert breaker.given_up is error


def test_an_error_that_holds_for_all_ends_the_health_checks_late_at_worst() -> None:
    """The health check itself may fail for a reason of ours; the wait is bounded all the same."""
    breaker, error = opened(), ClientClosed("closed")
    breaker.health_checked(error, 1.0)
    assert breaker.given_up is error


def test_what_left_before_and_is_accepted_lets_one_chunk_go_first() -> None:
    """It shows that the server was there; a health check that is answered later changes nothing."""
    breaker = opened()
    breaker.met(None, 1.0)
    for error in (None, AWAY, NotAuthenticated("401", status=401)):
        breaker.health_checked(error, 2.0)
        assert breaker.circuit is Circuit.HALF_OPEN
        assert (breaker.given_up, breaker.since) == (None, 0.0)
        assert (breaker.may_start(0), breaker.may_start(1)) == (True, False)
    breaker.started()
    breaker.met(None, 3.0)
    assert breaker.circuit is Circuit.CLOSED
    for error in (None, AWAY, NotAuthenticated("401", status=401)):
        breaker.health_checked(error, 4.0)
        assert breaker.may_start(9)


def test_what_left_before_closes_nothing_for_those_that_fail_after_it() -> None:
    """Otherwise each late answer would let three more requests make people unknown."""
    breaker = opened(UNKNOWN)
    breaker.met(None, 1.0)
    breaker.met(UNKNOWN, 1.0)
    assert not breaker.may_start(0)
    assert breaker.health_check_in() is not None


def test_two_hours_without_a_server_are_enough() -> None:
    """An hour is waited for."""
    breaker = opened(now=10.0)
    breaker.health_checked(AWAY, 10.0 + SECONDS_WITHOUT_SERVER / 2)
    assert breaker.given_up is None
    breaker.health_checked(AWAY, 10.1 + SECONDS_WITHOUT_SERVER)
    assert breaker.given_up is AWAY


def test_time_in_which_nothing_was_to_be_sent_does_not_count() -> None:
    """A night in which a window is closed, whether the server was lost before it or in it."""
    for lost in (10.0, 30.0):
        breaker = opened(now=lost)
        breaker.rested(20.0, 100.0)
        waited = 100.0 - (breaker.since or 0.0)
        assert waited == max(0.0, 20.0 - lost)
    closed = Breaker()
    closed.rested(20.0, 100.0)
    assert closed.since is None


def test_two_hours_of_answers_without_a_connection_for_a_message_are_enough() -> None:
    """A health check that is answered does not keep it waiting for ever."""
    breaker = opened()
    for now in (1.0, SECONDS_WITHOUT_SERVER - 1, SECONDS_WITHOUT_SERVER + 1):
        assert breaker.given_up is None
        breaker.health_checked(None, now)
        breaker.started()
        breaker.met(AWAY, now)
    assert breaker.given_up is AWAY


def test_three_unknown_probes_are_hopeless() -> None:
    """The server answers health checks and leaves messages in doubt."""
    breaker = opened(UNKNOWN)
    for probe in range(PROBES):
        assert breaker.given_up is None, probe
        breaker.health_checked(None, 1.0)
        breaker.started()
        breaker.met(UNKNOWN, 2.0)
        assert not breaker.may_start(0)
    assert (PROBES, breaker.given_up) == (3, UNKNOWN)


ENDS: dict[str, Callable[[], MoveworksError | None]] = {
    "unknown": lambda: UNKNOWN,
    "away": lambda: AWAY,
    "throttled": lambda: RateLimited("429", status=429),
    "rejected": lambda: REFUSED,
    "accepted": lambda: None,
}


@given(st.data(), st.integers(1, 8))
def test_there_is_a_bound_on_the_unknown(data: st.DataObject, in_flight: int) -> None:
    """However starts, ends and checks fall: at most so many chunks end unknown in a row."""
    breaker, under_way, unknown, now = Breaker(), 0, 0, 0.0
    for what in data.draw(st.lists(st.sampled_from(["start", "check", *ENDS]), max_size=80)):
        now += 1
        if breaker.given_up is not None:
            break
        if what == "start" and under_way < in_flight and breaker.may_start(under_way):
            breaker.started()
            under_way += 1
        elif what == "check" and breaker.health_check_in() is not None:
            breaker.health_checked(data.draw(st.sampled_from([None, AWAY, REFUSED])), now)
        elif what in ENDS and under_way:
            under_way -= 1
            breaker.met(ENDS[what](), now)
            unknown = {"unknown": unknown + 1, "accepted": 0}.get(what, unknown)
    unknown += under_way
    assert unknown <= FAILURES + in_flight + PROBES


@given(st.lists(st.sampled_from(["away", "rejected", "unknown", "throttled"]), max_size=9))
def test_one_accepted_chunk_heals_everything(ends: list[str]) -> None:
    """Whatever came before."""
    breaker = Breaker()
    for end in ends:
        breaker.met(ENDS[end](), 1.0)
    breaker.health_checked(None, 2.0)
    breaker.started()
    breaker.met(None, 2.0)
    assert breaker.may_start(31)
    assert breaker.health_check_in() is None
