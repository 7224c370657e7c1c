"""Values in and out: frozen, named, and without personal data in their reprs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from moveworks_shift_async.errors import InvalidInput, Outcome
from moveworks_shift_async.models import (
    AppObject,
    BulkReport,
    ChunkOutcome,
    InvalidRecipient,
    Receipt,
    ShiftMessage,
)

SECRET = "jane.doe@example.com"  # stands wherever personal data may stand
RECEIPT = Receipt(status=200, state="RECEIVED", recipients=1, attempts=2)
INVALID = InvalidRecipient(position=3, text=SECRET, reason="no @")
CHUNK = ChunkOutcome(
    index=0,
    recipients=(SECRET,),
    outcome=Outcome.REJECTED,
    error=InvalidInput("words"),
    attempts=1,
)
REPORT = BulkReport(
    accepted=1,
    rejected=2,
    unknown=3,
    not_sent=4,
    requests=5,
    duplicates=6,
    invalid=(INVALID,),
    throttled=7,
    elapsed=8.5,
    failures=(CHUNK,),
)
MESSAGE = ShiftMessage(
    id="m1",
    text=SECRET,
    subject=SECRET,
    author={"email": SECRET},
    addressed_teams=("t1",),
    addressed_users=({"email": SECRET},),
    attachments=({"name": SECRET},),
    mentions=({"name": SECRET},),
    created_at=datetime(2012, 12, 11, tzinfo=UTC),
    extra={"via": SECRET},
)
VALUES = [RECEIPT, INVALID, CHUNK, REPORT, MESSAGE, AppObject("o1", "An object")]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_repr_holds_personal_data(value: object) -> None:
    """Addresses and texts are in no repr, however deep they lie."""
    assert SECRET not in repr(value)
    assert SECRET not in str(value)
    assert repr(value).startswith(f"{type(value).__name__}(")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_frozen(value: Any) -> None:
    """No field can be set, and a copy by its fields is equal."""
    for field in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
    assert attrs.evolve(value) == value


def test_what_may_be_absent_has_a_default() -> None:
    """A message needs its id alone, a receipt no request id, a chunk neither receipt nor error."""
    message = ShiftMessage(id="m1")
    assert message.author is None
    assert message.created_at is None
    assert message.mentions == message.attachments == message.addressed_users == ()
    assert message.extra == {}
    assert RECEIPT.request_id is None
    unstarted = ChunkOutcome(index=1, recipients=(SECRET,), outcome=Outcome.NOT_SENT)
    assert (unstarted.receipt, unstarted.error, unstarted.attempts) == (None, None, 0)


def test_an_app_object_is_written_in_the_order_of_its_words() -> None:
    """`AppObject(id, name)` takes both by place."""
    assert AppObject("o1", "An object") == AppObject(id="o1", name="An object")
