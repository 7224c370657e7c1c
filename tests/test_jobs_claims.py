"""What a run claims before it needs it."""

from __future__ import annotations

from unittest.mock import AsyncMock, Mock

from moveworks_shift_async.jobs.run.claims import Claims

from .fakes import FakeClock


async def test_what_is_divided_during_the_last_claim_is_claimed_as_well() -> None:
    """A list may be refused and divided while it is asked whether others have chunks."""
    store = Mock(claim=AsyncMock(return_value=[]))

    async def others_hold() -> bool:
        claims.divided()
        return False

    store.others_hold = others_hold
    claims = Claims(store, "run", 1, FakeClock())
    assert claims.wants_more()
    await claims.claim(AsyncMock())
    assert not claims.exhausted
    assert claims.wants_more()

    store.others_hold = AsyncMock(return_value=False)
    await claims.claim(AsyncMock())
    assert claims.exhausted
    assert not claims.wants_more()
