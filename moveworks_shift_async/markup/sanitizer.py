"""What leaves here is harmless in any browser. The only importer of nh3 and emoji."""

from __future__ import annotations

import html
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..text import install
from .values import SHOWN_TAGS

if TYPE_CHECKING:
    import nh3

#: What stands where a character was lost.
LOST = "\ufffd"
#: What is neither to be seen nor a blank.
UNSEEN = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
_UNSEEN = re.compile(f"[{UNSEEN}]")
_ABSOLUTE = re.compile(r"https?://|mailto:", re.IGNORECASE)


def seen(text: str) -> str:
    """A text with `LOST` for what is not to be seen."""
    return _UNSEEN.sub(LOST, text)


def escaped(text: str) -> str:
    """A text as HTML, between tags or in the quotes of an attribute."""
    return html.escape(seen(text))


def sanitized(shown: str) -> str:
    """The last word is nh3's, which reads as browsers do; `ConfigurationError` without it."""
    return _cleaner().clean(shown)


@lru_cache(maxsize=1_000)
def is_link(address: str) -> bool:
    """Whether it is absolute, of a scheme that is allowed, and an address to nh3 as well."""
    link = f'<a href="{escaped(address)}">.</a>'
    return bool(_ABSOLUTE.match(address)) and "href=" in sanitized(link)


@lru_cache(maxsize=1_000)
def emoji_of(code: str) -> str:
    """The emoji of `:fire:`, by the names that chats and the vendor's sample use; else the code."""
    try:
        import emoji  # noqa: PLC0415 - of the extras `cli` and `report`
    except ModuleNotFoundError:
        raise _missing("emoji") from None
    return emoji.emojize(code, language="alias", variant="emoji_type")


@cache
def _cleaner() -> nh3.Cleaner:
    try:
        import nh3  # noqa: PLC0415 - of the extras `cli` and `report`
    except ModuleNotFoundError:
        raise _missing("nh3") from None
    return nh3.Cleaner(
        tags=SHOWN_TAGS,
        attributes={"a": {"href"}},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer",
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
    )


def _missing(library: str) -> ConfigurationError:
    what = f"to show a message needs {library}, which is not installed"
    return ConfigurationError(f"{what}; run: {install('nh3', 'emoji')}")
