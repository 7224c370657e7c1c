"""Which gate a client has: the one place that decides."""

from __future__ import annotations

from ..clock import Clock
from ..errors import ConfigurationError
from ..settings import RateLimit
from ..storage.database_url import is_other_url, is_url, without_password
from ..validators import check_methods
from .gate import Gate
from .process import join_process_gate
from .shared.file_gate import FileGate
from .shared.postgres_gate import PostgresGate


def gate_at(place: str) -> Gate:
    """The gate that many processes share by naming this place: a file, or a database by its URL.

    Raises `ConfigurationError` for a URL of anything else.
    """
    if is_other_url(place):
        raise ConfigurationError(
            f"{without_password(place)} is no gate: name a file, or postgresql://host/database"
        )
    return PostgresGate(place) if is_url(place) else FileGate(place)


def join_gate(
    gate: Gate | None,
    user: object,
    organisation: str,
    limit: RateLimit,
    max_in_flight: int,
    clock: Clock,
) -> Gate:
    """Join the caller's gate, or without one that of this process, and return it.

    Raises `ConfigurationError` for a gate that misses a method, and what the gate itself raises.
    """
    if gate is None:
        return join_process_gate(user, organisation, limit, max_in_flight, clock)
    check_methods(
        gate, Gate, "; in `join` and `leave`, which tell it of each client, it may do nothing"
    )
    gate.join(user, organisation, limit, max_in_flight)
    return gate
