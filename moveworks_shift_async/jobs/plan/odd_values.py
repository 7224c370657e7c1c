"""Values of columns that nobody would write to a person: `Hello None`. Pure.

They are planned and sent as they are, for somebody may be called Null; a preview shows them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...sources.refusals import quoted

# What programs and people write where there is nothing.
_NOTHING = frozenset(
    {
        "none", "null", "nil", "nan", "n/a", "na", "undefined", "unknown", "tbd", "todo", "xx",
        "xxx", "#n/a", "#null!", "#name?", "#ref!", "#value!", "#div/0!", "-", "--", "?", ".", "_",
    }
)  # fmt: skip
# Letters of UTF-8 that were read in another encoding, and what stands where one was lost.
_MISREAD = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\ufffd")
_ENTITY = re.compile(r"&(?:#\d+|#x[\da-f]+|[a-z]+\d*);", re.IGNORECASE)
_UNSEEN = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u200b\\u202a-\\u202e\\ufeff]")
_TEMPLATE = re.compile(r"\{\{|\}\}|\$\{|%[sd]\b|\{\w+\}")


def odd_values(columns: Sequence[str], values: Sequence[str]) -> str | None:
    """What is odd about a row's values, as one sentence; None: nothing."""
    told = [
        f"{quoted(name)} {what}"
        for name, value in zip(columns, values, strict=True)
        if (what := _odd(value.strip())) is not None
    ]
    return "; ".join(told) or None


def _odd(value: str) -> str | None:
    if value.casefold() in _NOTHING:
        return f"says {quoted(value)}"
    if value.isascii() and value.isalnum():
        return None  # as most of them
    if not any(character.isalnum() for character in value):
        return "holds no letter and no digit"
    if _UNSEEN.search(value):
        return "holds what is not to be seen"
    if _MISREAD.search(value):
        return "was read in the wrong encoding"
    if _ENTITY.search(value):
        return "holds an entity of HTML"
    return "holds a placeholder" if _TEMPLATE.search(value) else None
