"""One request in the sandbox's ledger: while it is served, and as a value. Pure."""

from __future__ import annotations

import sys
from typing import Any

from attrs import asdict, define, field, frozen

from .decisions import Decision
from .rules import Told

# Bytes of an entry and the texts that it shares with no other; measured with tracemalloc.
_ENTRY = 700


@define(eq=False, slots=True)
class Entry:
    """One request while it is served, and afterwards."""

    number: int
    at: float
    route: str
    event_id: str | None
    #: False until the limiter has let it in; routes without a limit count as let in.
    admitted: bool = False
    #: True where the organisation's limiter was asked.
    counted: bool = False
    status: int | None = None
    fault: str | None = None
    processed: bool = False
    credential: str | None = None
    told: Told | None = None
    #: Bytes of memory, nearly; 0 while it is served.
    size: int = 0
    #: False once it is out of the ledger.
    kept: bool = True

    def weigh(self) -> None:
        """It is served, and grows no more."""
        self.size = _ENTRY + (sys.getsizeof(self.told.addresses) if self.told else 0)

    def settle(self, decision: Decision) -> None:
        """Write down what a vendor decided."""
        self.processed = decision.processed
        self.credential = decision.credential
        self.told = decision.told


@frozen(kw_only=True)
class RequestRecord:
    """One request, as the server saw it."""

    #: 1 for the first request since the start or the last reset.
    number: int
    #: Seconds since the sandbox started.
    at: float
    #: `events.send`, `messages.send`, `auth.test`, `token`, `shift.messages`, `shift.token`
    #: or `unknown`.
    route: str
    event_id: str | None
    #: Whom it told, one a line; see `recipients`.
    addresses: str = field(repr=False)
    #: `digest` of the message and of the context, where it told somebody.
    message: str | None
    context: str | None
    #: The id of the caller: a client id, `api-key` or `shift-user`; None where it was refused.
    credential: str | None
    #: False where the limit or a fault answered 429.
    admitted: bool
    #: The status answered; None where none went out.
    status: int | None
    #: The fault it met.
    fault: str | None
    #: True exactly where it took effect.
    processed: bool

    @classmethod
    def of(cls, entry: Entry) -> RequestRecord:
        """What the entry says now."""
        told = entry.told
        return cls(
            number=entry.number,
            at=entry.at,
            route=entry.route,
            event_id=entry.event_id,
            addresses=told.addresses if told else "",
            message=told.message if told else None,
            context=told.context if told else None,
            credential=entry.credential,
            admitted=entry.admitted,
            status=entry.status,
            fault=entry.fault,
            processed=entry.processed,
        )

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        plain = asdict(self)
        del plain["addresses"]
        return plain | {"recipients": self.recipients}

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it told; empty where it was not processed."""
        return tuple(self.addresses.split("\n")) if self.addresses else ()
