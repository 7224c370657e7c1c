"""Pages of HTML in one file, and foreign texts on them. The only importer of jinja2.

A page has no script, no font and no picture from elsewhere, and its own policy forbids the browser
to fetch any.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..text import covered, install, people, plural

if TYPE_CHECKING:
    from jinja2 import Template

# Characters of a message or a context; the page is for looking at, the journal keeps all.
_TEXT = 4_000
_EXTRA = ("jinja2", "markupsafe", "matplotlib", "numpy")
# These turn the order of what is read around, or are no character at all.
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@cache
def template(name: str, **filters: Callable[..., Any]) -> Template:
    """A page by its name below `jobs/`, with more filters; in memory, with what it includes.

    Raises `ConfigurationError` where the extra `report` is not installed.
    """
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    parts = files(__package__)
    house = Environment(
        loader=FunctionLoader(lambda name: parts.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    house.filters |= {"people": people, "plural": plural, "covered": covered, **filters}
    return house.get_template(name)


def missing(error: ModuleNotFoundError) -> Exception:
    """What to raise for a library that is not installed; a module of no extra is our fault."""
    if (error.name or "").partition(".")[0] not in _EXTRA:
        return error
    return ConfigurationError(
        f"the page needs {error.name}, which is not installed; run:"
        f" {install('jinja2', 'matplotlib')}"
    )


def legible(text: str, most: int = _TEXT) -> str:
    """A foreign text as it is, but for its end and for what is no character to be seen."""
    shown = "".join("?" if _unseen(character) else character for character in text[:most])
    rest = len(text) - most
    return shown if rest <= 0 else f"{shown}... and {rest:,} more characters"


def _unseen(character: str) -> bool:
    kind = unicodedata.category(character)
    return character in _TURNING or (kind in ("Cc", "Cs") and character not in "\n\t")
