"""One request in the sandbox's ledger: as a value, and while it is served. Pure."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, frozen

from .kept import Content, Recipients

# Bytes of an entry and the texts that it shares with no other; measured with tracemalloc.
_ENTRY = 600


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
    #: Seconds since 1970.
    epoch: float = 0.0
    #: What it wanted to say, where that can be read.
    content: Content | None = None
    #: For how many people it was, told or not.
    people: int = 0
    #: Whom it told, where it was processed.
    told: Recipients | None = None
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

    @property
    def message(self) -> str | None:
        """The text, where it told somebody."""
        return self.content.message() if self.content and self.told else None

    @property
    def context(self) -> dict[str, Any] | None:
        """The context, where it told somebody with one."""
        return self.content.context() if self.content and self.told else None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it told; empty where it was not processed."""
        return self.told.addresses() if self.told else ()


@define(eq=False)
class Entry:
    """One request while it is served, and afterwards."""

    #: What is known of it by now.
    record: RequestRecord
    #: True where the organisation's limiter was asked.
    counted: bool = False
    #: Bytes of memory without its content, nearly; 0 while it is served.
    size: int = 0
    #: False once it is out of the ledger.
    kept: bool = True

    def note(self, **known: Any) -> None:
        """Write down more of its record."""
        self.record = evolve(self.record, **known)

    def weigh(self) -> None:
        """It is served, and grows no more."""
        told = self.record.told
        self.size = _ENTRY + (told.size if told else 0)
