"""An access token as either vendor hands it out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ..errors import BadResponse
from .status import text_of


@frozen(kw_only=True)
class Token:
    """An access token and how long it lives."""

    access_token: str = field(repr=False)
    #: Seconds from the moment it was asked for, 0 or more; None where the answer did not say.
    expires_in: float | None = None
    #: SHIFT only: the new refresh token; the one before it is dead.
    refresh_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_wire(cls, body: Mapping[str, Any]) -> Token:
        """Read the unwrapped body; raise `BadResponse` if there is no usable token in it."""
        access = text_of(body.get("access_token"))
        if access is None or not access.isascii() or not access.isprintable() or " " in access:
            raise BadResponse("the answer to the token request holds no access_token")
        return cls(
            access_token=access,
            expires_in=_seconds(body.get("expires_in")),
            refresh_token=text_of(body.get("refresh_token")),
        )


def _seconds(value: object) -> float | None:
    """A lifetime that came as a number or as text; None if it is neither."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
