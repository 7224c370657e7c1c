"""Whether a server that was away is there again: asked by what tells nobody."""

from __future__ import annotations

from ...client import MoveworksClient
from ...errors import MoveworksError, OutcomeUnknown


async def health_of(client: MoveworksClient) -> MoveworksError | None:
    """What a request that tells nobody meets; None: it was answered."""
    try:
        await client.auth.test(once=True)
    except MoveworksError as error:
        return error
    except Exception as defect:  # it must not cut what is in flight
        return OutcomeUnknown(f"unexpected {type(defect).__name__} in this package")
    return None
