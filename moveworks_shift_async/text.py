"""Counts and times as people read them. Pure."""

from __future__ import annotations

import re
import sys

# Characters between words. An address is looked for at the beginning of a word only, so that no
# text makes the search slow.
_BETWEEN = r"\s<>\"'(),;:"
_ADDRESS = re.compile(rf"(?<![^{_BETWEEN}@])[^{_BETWEEN}@]++@[^{_BETWEEN}]++")


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: `1 request`, `2,535 people`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def people(count: int) -> str:
    """`1 person`, `2,535 people`."""
    return plural(count, "person", "people")


def duration(seconds: float) -> str:
    """Seconds for a reader: `4.3 s`, `12 s`, `2 min 05 s`, `1 h 02 min`, `58 days`."""
    whole = round(seconds)
    if seconds < 10 and seconds != whole:
        return f"{max(seconds, 0.1):.1f} s"  # 0.0 would say that it takes no time
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes_left = divmod(minutes, 60)
    if hours >= 96:
        return f"{hours // 24:,} days"
    if hours:
        return f"{hours:,} h {minutes_left:02} min"
    return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"


def at_least(seconds: float) -> str:
    """A least time in words. 0 is what the first burst does, and that takes some round trips."""
    return duration(seconds) if seconds else "a few seconds"


def rate(requests: int, per: float) -> str:
    """So many requests in so many seconds: `120 requests a minute`, `1 request in 10 s`."""
    return f"{plural(requests, 'request')} {'a minute' if per == 60 else f'in {duration(per)}'}"


def one_line(text: object) -> str:
    """A foreign text as one line of printable characters."""
    shown = (c if c.isprintable() else " " if c.isspace() else "?" for c in str(text))
    return " ".join("".join(shown).split())


def covered(text: object) -> str:
    """A foreign text as one line, without what looks like an address."""
    return hide_addresses(one_line(text))


def hide_addresses(text: str) -> str:
    """A text without what looks like an address."""
    return _ADDRESS.sub("[address]", text)


def shell_word(path: str) -> str:
    """A file's name as a shell reads it, in printable characters alone.

    Others stand as `$'\\033'`, which bash, zsh and ksh know, and POSIX since 2024.
    """
    path = f"./{path}" if path.startswith("-") else path
    if path.isprintable():
        import shlex  # noqa: PLC0415 - for a sentence to a user, not for a send

        return shlex.quote(path)
    return f"$'{''.join(map(_escaped, path))}'"


def install(*libraries: str) -> str:
    """The command that installs them where this program would look for them."""
    return f"{shell_word(sys.executable or 'python')} -m pip install {' '.join(libraries)}"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    # Python uses these in the place of bytes of a file's name that are no UTF-8 (PEP 383).
    is_byte = "\udc80" <= character <= "\udcff"
    encoded = character.encode(errors="surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in encoded)
