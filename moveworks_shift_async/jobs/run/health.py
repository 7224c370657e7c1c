"""Whether a server that was away is there again: asked by what tells nobody."""

from __future__ import annotations

from collections.abc import Callable

from ...client import MoveworksClient
from ...clock import Clock
from ...errors import MoveworksError, OutcomeUnknown
from .holds import Holds


async def check_health(
    client: MoveworksClient,
    clock: Clock,
    holds: Holds,
    every: float,
    asked: Callable[[], object],
) -> None:
    """While the server is away, ask whether it is there again. Never ends.

    Whether it is away is looked at `every` so many seconds, and `asked` is called after each
    answer. While the schedule lets nothing leave, nobody needs to know.
    """
    while True:
        wait = holds.breaker.health_check_in()
        await clock.sleep(every if wait is None else wait)
        if wait is not None and holds.closed is None and not holds.over:
            holds.breaker.health_checked(await _health_of(client), clock.now())
            asked()


async def _health_of(client: MoveworksClient) -> MoveworksError | None:
    """What a request that tells nobody meets; None: it was answered."""
    try:
        await client.auth.test(once=True)
    except MoveworksError as error:
        return error
    except Exception as defect:  # it must not cut what is in flight
        return OutcomeUnknown(f"unexpected {type(defect).__name__} in this package")
    return None
