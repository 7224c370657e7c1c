"""Frozen values: what users pass in and get back. Personal data stays out of every repr."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from .errors import MoveworksError, Outcome


@frozen(kw_only=True)
class Receipt:
    """The server accepted one request. Delivery happens later and is not reported by the API."""

    #: HTTP status: 200, 201, 202 or 204.
    status: int
    #: The vendor's word for it, `"RECEIVED"`; None where the answer had none.
    state: str | None
    #: How many people the request named, 1..500.
    recipients: int
    #: HTTP requests made for this call, 1 or more.
    attempts: int
    #: The server's request id, if a header named one.
    request_id: str | None = None
    #: The answer's headers that are safe to keep, names in lower case: its date, its server, its
    #: ids, what it says of the rate limit and of the endpoint's end (`deprecation`, `sunset`).
    headers: Mapping[str, str] = field(factory=dict, repr=False, hash=False)


@frozen(kw_only=True)
class Attempt:
    """One request and how it ended, without whom it told, what it said or who asked."""

    #: `"events.send"`, `"messages.send"`, `"auth.test"`, `"token"`, `"shift.messages.create"` or
    #: `"shift.token"`.
    endpoint: str
    #: Which request of its call, 1 or more; a token request is a call of its own.
    number: int
    #: How many people it was to tell, where it names them.
    recipients: int
    #: Seconds that it waited for the rate limit.
    waited: float
    #: Seconds on the wire.
    duration: float
    #: HTTP status; None without an answer.
    status: int | None
    outcome: Outcome
    #: The class of the error; None where there was none.
    error: str | None
    #: Seconds until the next request of its call at the earliest; None: none follows.
    retry_in: float | None = None
    #: The server's request id, if a header named one.
    request_id: str | None = None
    #: Whether its own program ended it, by a cancellation: that says nothing about the server.
    cancelled: bool = False


@frozen(kw_only=True)
class InvalidRecipient:
    """An entry of the recipients that is no address. Nothing was sent to it."""

    #: Zero-based place in what the caller passed in.
    position: int
    #: The entry as it came.
    text: str = field(repr=False)
    #: What is wrong with it.
    reason: str


@frozen(kw_only=True)
class ChunkOutcome:
    """How one request of a bulk send ended. All its recipients share the outcome."""

    #: Zero-based place among the chunks, in the order of the recipients.
    index: int
    #: 1..500 addresses, as they were sent.
    recipients: tuple[str, ...] = field(repr=False)
    outcome: Outcome
    #: Set exactly when the outcome is ACCEPTED.
    receipt: Receipt | None = None
    #: Set for every other outcome.
    error: MoveworksError | None = None
    #: HTTP requests made for this chunk.
    attempts: int = 0


@frozen(kw_only=True)
class BulkReport:
    """The account of a bulk send. Counts are recipients unless said otherwise.

    `accepted + rejected + unknown + not_sent` is the number of distinct valid recipients
    that were taken; with `duplicates` and `len(invalid)` it is the number of entries taken.
    """

    accepted: int
    rejected: int
    unknown: int
    not_sent: int
    #: HTTP requests made, repeats included.
    requests: int
    #: Entries left out because the same address had come before.
    duplicates: int
    #: Entries left out because they are no address.
    invalid: tuple[InvalidRecipient, ...]
    #: Answers with status 429.
    throttled: int
    #: Seconds from the first step to the last.
    elapsed: float
    #: The chunks that were not accepted, by index.
    failures: tuple[ChunkOutcome, ...]


@frozen
class AppObject:
    """An application object of SHIFT, to be mentioned in a message where `{0}` stands."""

    id: str
    name: str


@frozen(kw_only=True)
class ShiftMessage:
    """A message as SHIFT returns it. Everything but `id` may be absent; unknown keys are kept."""

    id: str
    text: str | None = field(default=None, repr=False)
    subject: str | None = field(default=None, repr=False)
    #: The author as it came.
    author: Mapping[str, Any] | None = field(default=None, repr=False)
    #: Ids of the teams addressed.
    addressed_teams: tuple[str, ...] = ()
    #: As they came; the vendor never shows whether they are ids or users.
    addressed_users: tuple[Any, ...] = field(default=(), repr=False)
    #: As they came; the vendor never shows one.
    attachments: tuple[Any, ...] = field(default=(), repr=False)
    #: As they came, each with type, id and name.
    mentions: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    #: Aware, in UTC.
    created_at: datetime | None = None
    #: Aware, in UTC.
    updated_at: datetime | None = None
    #: Every other key of the answer, unchanged.
    extra: Mapping[str, Any] = field(factory=dict, repr=False)
