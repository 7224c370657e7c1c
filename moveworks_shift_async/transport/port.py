"""The seam between the session and the network."""

from __future__ import annotations

from typing import Protocol

from ..wire.http import Request, Response


class Transport(Protocol):
    """One request out, one response in. One of the caller's own has these two methods."""

    async def exchange(self, request: Request) -> Response:
        """Send it once to `request.url`, follow no redirect, and return the whole answer.

        Raises `ConnectionFailed`, or another `NotSent`, if it is certain that no byte of the
        request has left, and `OutcomeUnknown` otherwise; whatever else it raises is taken for
        `OutcomeUnknown`. Cancelled while it is certain of that, it raises `CancelledError` from
        `NotSent`; without it, people may have been told. It sends nothing again by itself.
        """

    async def close(self) -> None:
        """Close what this transport opened. Its client is closed, maybe again."""
