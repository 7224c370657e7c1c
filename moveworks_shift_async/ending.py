"""How a delivery ended, as a value: whatever is raised says what is known of its people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .errors import MoveworksError, OutcomeUnknown

T = TypeVar("T")


async def ending_of(
    delivery: Awaitable[T], never_sent: Callable[[], MoveworksError]
) -> tuple[T | None, MoveworksError | None]:
    """What it returned, or the error that it ended in.

    For tasks that their owner alone cancels: a cancellation is an ending like any other. Without a
    cause nothing was sent, and `never_sent` makes the error.
    """
    try:
        return await delivery, None
    except MoveworksError as error:
        return None, error
    except asyncio.CancelledError as cancelled:
        cause = cancelled.__cause__
        return None, cause if isinstance(cause, MoveworksError) else never_sent()
    except Exception as defect:  # it must not cost the account of 500 people
        unknown = OutcomeUnknown(f"unexpected {type(defect).__name__} in this package")
        unknown.__cause__ = defect
        return None, unknown
