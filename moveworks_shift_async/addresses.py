"""Is this text plausibly one e-mail address, and which of them are one person?

The vendor refuses a whole request for one bad address.

What the vendor checks is not published. This takes what RFC 5321 calls a dot-string at a domain
name with a dot (ASCII or not), and refuses quoted local parts, which no directory hands out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

# RFC 5321, section 4.5.3.1.3: a path holds at most 256 octets with its angle brackets.
MAX_LENGTH = 254

#: Equal for trimmed addresses of the same person: only the case of their letters differs. Not
#: casefold, which makes ß and ss one, and those are two people.
person: Callable[[str], str] = str.lower

# Possessive quantifiers, and groups that begin with what cannot stand before them: no text, however
# odd, makes these patterns slow. No group is possessive itself: Python 3.11.2 gets those wrong.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]++"
_LOCAL = rf"{_ATOM}(?:\.{_ATOM})*"
_LABEL = r"[^\W_]++(?:-++[^\W_]++)*"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})+"


# Compiled at first use: the package's import stays cheap.
@cache
def _address() -> re.Pattern[str]:
    return re.compile(f"{_LOCAL}@{_DOMAIN}")


@cache
def _ascii_lines() -> re.Pattern[bytes]:
    """Many lines at once, in ASCII alone, as fast as the engine can: plain sets instead of `\\w`, a
    look back for a hyphen instead of a group, and the first two dots as branches, since entering a
    repeat costs more than an empty branch."""
    atom, label = _ATOM.replace(r"\w", "a-zA-Z0-9_"), "[a-zA-Z0-9][a-zA-Z0-9-]*+(?<!-)"
    one = rf"{atom}{_repeated(rf'[.]{atom}')}@{label}[.]{label}{_repeated(rf'[.]{label}')}"
    return re.compile(rf"{one}(?:\n{one})*".encode())


def _repeated(part: str) -> str:
    return f"(?:{part}(?:{part}(?:{part})*|)|)"


def address_fault(text: object) -> str | None:
    """Say what is wrong with `text` as an address, or None. It must be trimmed already."""
    if not isinstance(text, str):
        return f"a {type(text).__name__}, not text"
    if len(text) <= MAX_LENGTH and _address().fullmatch(text):
        return None
    return _reason(text)


def first_fault(texts: Sequence[str]) -> tuple[int, str] | None:
    """Position and fault of the first entry that is no address, or None if all are.

    One match over all of them is many times as fast as one match each, and a good list is the
    common case; the slow way is for the others, and names the culprit.
    """
    if surely_addresses(texts):
        return None
    faults = ((position, address_fault(text)) for position, text in enumerate(texts))
    return next(((position, fault) for position, fault in faults if fault is not None), None)


def surely_addresses(texts: Sequence[str]) -> bool:
    """Whether all are addresses, in ASCII; where one is not, each must be looked at."""
    try:
        lines = "\n".join(texts).encode("ascii")
        whole = "\n" not in "".join(texts)  # else one would pass as two
    except (TypeError, UnicodeEncodeError):
        return False
    short = max(map(len, texts), default=0) <= MAX_LENGTH
    return short and whole and _ascii_lines().fullmatch(lines) is not None


def _reason(text: str) -> str:
    if not text:
        return "empty"
    if len(text) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    if any(character.isspace() for character in text):
        return "holds a space"
    if text.count("@") != 1:
        return "more than one @" if "@" in text else "no @"
    local, domain = text.split("@")
    if not local or not domain:
        return "nothing after the @" if local else "nothing before the @"
    if not re.fullmatch(_DOMAIN, domain):
        return "no domain name after the @"
    return "a character or a dot before the @ that cannot stand there"
