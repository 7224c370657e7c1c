"""The states of a circuit breaker, of a gate as of a send."""

from __future__ import annotations

import enum


class Circuit(enum.Enum):
    """Whether requests may go."""

    #: All may.
    CLOSED = "closed"
    #: None may.
    OPEN = "open"
    #: One may at a time: a probe, whose end says whether the circuit closes or opens again.
    HALF_OPEN = "half-open"
