"""What the end of a request makes of its chunk."""

from __future__ import annotations

import pytest

from moveworks_shift_async.errors import (
    BadRequest,
    ConnectionFailed,
    MoveworksError,
    NotAuthenticated,
    NotSent,
    OutcomeUnknown,
    RateLimited,
)
from moveworks_shift_async.jobs.records import Chunk, Settlement, State
from moveworks_shift_async.jobs.run.settlement import settlement_of
from moveworks_shift_async.jobs.store.ports import Parts
from moveworks_shift_async.wire.moveworks import Content
from moveworks_shift_async.wire.recipients import CheckedRecipients

PEOPLE = ("a@b.c", "d@e.f", "g@h.i")
BLAMED = BadRequest("an invalid recipient", status=400, code="INVALID_VALUE")


def settled(
    error: MoveworksError | None, *, resent: bool = False, isolate: int = 0, taken: bool = False
) -> tuple[Settlement, Parts]:
    """The end of one request for three people."""
    chunk = Chunk(
        id=7,
        content=Content(event_id=None, message="Hello"),
        recipients=CheckedRecipients(PEOPLE),
        resent=resent,
        owner="me",
    )
    return settlement_of(
        chunk, error, 5.0, met_nothing=taken, requests=2, throttled=1, isolate=isolate
    )


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, State.ACCEPTED),
        (BLAMED, State.REJECTED),
        (OutcomeUnknown("reset"), State.UNKNOWN),
        (ConnectionFailed("no route"), State.PLANNED),
        (RateLimited("slow down", status=429), State.PLANNED),
        (NotAuthenticated("no", status=401), State.PLANNED),
        (NotSent("taken back"), State.PLANNED),
    ],
)
def test_a_chunk_stands_where_its_request_ended(error: MoveworksError | None, state: State) -> None:
    """With its owner, what was counted, and the error by its name."""
    step, parts = settled(error)
    assert (step.state, step.chunk, step.owner, step.at) == (state, 7, "me", 5.0)
    assert (step.requests, step.throttled, parts) == (2, 1, ())
    assert step.error == (None if error is None else type(error).__name__)
    assert step.reason == (None if error is None else str(error))


def test_what_was_taken_back_is_planned_and_has_met_nothing() -> None:
    """Never accepted: there is no error, and nothing was sent."""
    step, _ = settled(NotSent("paused"), taken=True)
    assert (step.state, step.error, step.reason) == (State.PLANNED, None, None)


def test_a_list_that_is_to_blame_is_divided_while_that_is_allowed() -> None:
    """Into its halves; a refusal for another reason never."""
    step, parts = settled(BLAMED, isolate=2)
    assert (step.state, [*parts]) == (State.SPLIT, [PEOPLE[:1], PEOPLE[1:]])
    assert settled(BLAMED, isolate=1)[0].state is State.REJECTED
    other = BadRequest("the message is too long", status=400)
    assert settled(other, isolate=2)[0].state is State.REJECTED


def test_a_refusal_of_what_was_sent_again_leaves_it_unknown() -> None:
    """The first request may have told them; where the list is to blame, its halves find out."""
    step, _ = settled(BLAMED, resent=True)
    assert (step.state, step.error) == (State.UNKNOWN, "OutcomeUnknown")
    assert "an earlier request may have been processed" in (step.reason or "")
    assert settled(BLAMED, resent=True, isolate=2)[0].state is State.SPLIT
    assert settled(None, resent=True)[0].state is State.ACCEPTED
