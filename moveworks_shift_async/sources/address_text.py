"""What an address looks like in a text, long before it is checked."""

from __future__ import annotations

import re

#: Characters that no address has outside quotes, and that separate addresses in lists.
_OUTSIDE = r"\s@<>,;|\"()\[\]\\"
# The look-behind and the possessive quantifier keep the search linear in one long word.
_ADDRESS = re.compile(rf"(?<![^{_OUTSIDE}])[^{_OUTSIDE}]++@[^{_OUTSIDE}]+\.[^{_OUTSIDE}.]+")
_ANGLED = re.compile(r"[^<>]*<([^<>]*)>\s*")


def bare(text: str) -> str:
    """Take the address out of `Name <a@b.c>`; leave every other text as it is."""
    # The search comes first: a million fields pass here and few have brackets.
    found = _ANGLED.fullmatch(text) if ">" in text else None
    return found[1] if found else text


def looks_like_address(text: str) -> bool:
    """Tell whether a field could be an address. The batcher has the last word."""
    return _ADDRESS.fullmatch(bare(text).strip()) is not None


def holds_address(text: str) -> bool:
    """Tell whether an address stands somewhere in a text."""
    return _ADDRESS.search(text) is not None


def without_addresses(text: str) -> str:
    """Put dots in the place of every address in a text."""
    return _ADDRESS.sub("...", text)
