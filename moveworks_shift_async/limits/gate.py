"""What a session asks of a rate limit, wherever it lives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..settings import RateLimit
from .priority import Priority
from .window import GateSnapshot, Slot


class Gate(Protocol):
    """Who may send now. A gate of the caller's own has these seven methods; nothing else is asked.

    `acquire` waits, the others return at once: they run in the event loop between two requests.
    A gate that cannot be used raises `ConfigurationError` from `acquire`; the call then ends as
    not sent. Every slot that `acquire` has given is ended once, by `release` or `refused`.
    """

    def join(self, user: object, organisation: str, limit: RateLimit, max_in_flight: int) -> None:
        """A client begins to use the gate. A gate that needs to know nothing of it does nothing.

        `user` stands for the client and says nothing of it; to hold it weakly is enough.
        `organisation` says whose budget it is: the base URL, and what stays the same of the
        credential while its secret is replaced. `limit` is the client's rate limit,
        `max_in_flight` the requests that it may have on their way at once. Raises
        `ConfigurationError` if others use the gate for another organisation or with another limit.
        """

    def leave(self, user: object) -> None:
        """The client is closed, maybe again. What was spent stays counted until its window ends."""

    async def acquire(self, deadline: float, priority: Priority) -> Slot:
        """Wait for the right to one request, and give it.

        `deadline` is a time of the client's clock (`time.monotonic()`), infinite for none; a wait
        known to outlast it ends at once in `DeadlineExceeded`. `priority` is "urgent", "normal" or
        "bulk": who waits for the same slot is served in this order.
        """

    def release(self, slot: Slot, *, counted: bool) -> None:
        """The request has ended; `counted` if the server may have seen it."""

    def refused(self, slot: Slot, retry_after: float | None) -> None:
        """The request ended in a 429; `retry_after` is the seconds that the server asked for."""

    def observed(self, ages: Iterable[float]) -> None:
        """Requests that somebody else knows of, as the journal of a process that was killed.

        An age is the seconds since the server may have counted the request last: since its answer;
        0 for one that has none. From now on the gate counts at least these. Those that it counts
        already it does not count twice: of the last seconds, however many, it takes its own number
        or the one it is told, whichever is larger.
        """

    def snapshot(self) -> GateSnapshot:
        """What the gate knows now."""
