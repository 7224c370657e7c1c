"""One request in the sandbox's ledger: as a value, and while it is served. Pure."""

from __future__ import annotations

import sys
from typing import Any

from attrs import asdict, define, evolve, frozen

from .decisions import Decision
from .rules import Told

# Bytes of an entry and the texts that it shares with no other; measured with tracemalloc.
_ENTRY = 700


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
    #: The message that went out by it, if one did.
    told: Told | None = None
    #: The id of the caller: a client id, `api-key` or `shift-user`; None where it was refused.
    credential: str | None = None
    #: False where the limit or a fault answered 429, or there was no endpoint.
    admitted: bool = False
    #: The status answered; None where none went out.
    status: int | None = None
    #: The fault it met.
    fault: str | None = None
    #: True exactly where it took effect.
    processed: bool = False

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        plain = asdict(self, recurse=False)
        del plain["told"]
        told = {"message": self.message, "context": self.context, "recipients": self.recipients}
        return plain | told

    @property
    def message(self) -> str | None:
        """`digest` of the message, where it told somebody."""
        return self.told.message if self.told else None

    @property
    def context(self) -> str | None:
        """`digest` of the context, where it told somebody with one."""
        return self.told.context if self.told else None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it told; empty where it was not processed."""
        return tuple(self.told.addresses.split("\n")) if self.told else ()


@define(eq=False)
class Entry:
    """One request while it is served, and afterwards."""

    #: What is known of it by now.
    record: RequestRecord
    #: True where the organisation's limiter was asked.
    counted: bool = False
    #: Bytes of memory, nearly; 0 while it is served.
    size: int = 0
    #: False once it is out of the ledger.
    kept: bool = True

    def note(self, **known: Any) -> None:
        """Write down more of its record."""
        self.record = evolve(self.record, **known)

    def settle(self, decision: Decision) -> None:
        """Write down what a vendor decided."""
        self.note(processed=decision.processed, credential=decision.credential, told=decision.told)

    def weigh(self) -> None:
        """It is served, and grows no more."""
        told = self.record.told
        self.size = _ENTRY + (sys.getsizeof(told.addresses) if told else 0)
