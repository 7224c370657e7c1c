"""Whom one request is for: addresses that were checked, once."""

from __future__ import annotations

from collections.abc import Sequence

from ..addresses import first_fault
from ..errors import InvalidInput
from .http import written

# Reference: recipients 1..500, in both of its versions.
MAX_RECIPIENTS = 500
# What stands between two texts of a JSON array.
_BETWEEN = '","'


class CheckedRecipients(tuple[str, ...]):
    """1 to 500 addresses that nobody needs to check again.

    `of` checks them. Whoever makes one of addresses that were checked one by one, as a chunk of a
    bulk send or of a job is, answers for them.
    """

    __slots__ = ()

    @classmethod
    def of(cls, recipients: Sequence[str]) -> CheckedRecipients:
        """Raises `InvalidInput` unless there are 1 to 500 plausible addresses; it names places."""
        if isinstance(recipients, (str, bytes)):
            raise InvalidInput("recipients must be a list of addresses, not one text")
        if not 1 <= len(recipients) <= MAX_RECIPIENTS:
            raise InvalidInput(
                f"{len(recipients)} recipients; one request takes 1 to {MAX_RECIPIENTS}:"
                " use send_bulk for any number"
            )
        if (found := first_fault(recipients)) is not None:
            raise InvalidInput(f"recipients[{found[0]}] is no address: {found[1]}")
        return cls(recipients)

    def written(self) -> str:
        """As a JSON array. No address holds what JSON escapes, but for letters beyond ASCII."""
        text = "".join(self)
        plain = text.isascii() and '"' not in text and "\\" not in text
        return f'["{_BETWEEN.join(self)}"]' if plain else written(self)
