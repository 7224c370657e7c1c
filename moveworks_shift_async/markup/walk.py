"""One way through a message. The rules:

A tag counts if all of it is understood: its name, and of its attributes the `href` of a link alone.
Any other is *shown*, as text in `<code>`, beside a finding: nothing is left out because it is not
known. So what is written is HTML of our own making, always nested well, in which no text is markup.

The end of a line is shown as one, but beside a block, which begins and ends lines by itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from .sanitizer import LOST, UNSEEN, emoji_of, escaped, is_link, seen
from .values import CLOSE, LIMIT, TAGS, Fault, Finding

# Tags in each other. A browser stops at 512, and no chat shows more than a few.
_DEPTH = 32
_BLOCKS = frozenset({"li", "p", "ul"})
# These turn the order of what is read around.
_TURNING = r"\u202a-\u202e\u2066-\u2069"
_ODD = re.compile(f"[{UNSEEN}{_TURNING}{LOST}]")
# Linear whatever comes: what may be long ends at the next `<` or brace.
_TOKEN = re.compile(
    r"""(?P<tag><[a-zA-Z/!?][^<>]*>)
      | (?P<endless><[a-zA-Z/!?][^<>\s]*)
      | (?P<slot>\{\{[^{}]*\}\})
      | (?P<column>\{[^\W\d][\w .-]{0,40}\})
      | (?P<emoji>:[\w+\-\u2019]{1,60}:)
      | (?P<line>\r\n?|\n)
      | (?P<text>[^<{:\r\n]+|.)""",
    re.VERBOSE | re.DOTALL,
)
# A short message without any of these has nothing to find fault with.
_PECULIAR = re.compile(rf"<[a-zA-Z/!?]|\{{|:[\w+\-\u2019]+:|{_ODD.pattern}")
_SIMPLE = re.compile(r"<(/?)([a-zA-Z]+)\s*(/?)>")
_LINK = re.compile(r"""<a\s+href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=`>]+))\s*>""", re.IGNORECASE)
_NAME = re.compile(r"</?([^\s/>]*)")
_ATTRIBUTE = re.compile(r"""([^\s"'/=]+)(?:\s*=\s*(?:"[^"]*"?|'[^']*'?|[^\s"']+))?""")
_SLOT = re.compile(r"\{\{([^{}]*)\}\}")
_ENTITY = re.compile(r"&(?:#\d+;?|#[xX][\da-fA-F]+;?|[a-zA-Z][\da-zA-Z]*;)")


@frozen
class _Open:
    """A tag without its end yet."""

    name: str
    at: int
    #: False: it is shown as text, and so will be its end.
    used: bool


@define(eq=False)
class Walk:
    """One way through a message."""

    _slots: Mapping[str, Any]
    out: list[str] = field(factory=list)
    #: A dict for its order.
    found: dict[Finding, None] = field(factory=dict)
    #: Tags that wait for their end.
    _open: list[_Open] = field(factory=list)
    #: Blanks and ends of lines that wait for what comes next.
    _space: list[str] = field(factory=list)
    #: Whether what came before them begins a new line by itself.
    _after_block: bool = False
    _at: int = 0

    @classmethod
    def through(cls, message: str, context: Mapping[str, Any] | None) -> Walk:
        slots = (context or {}).get("slots")
        walk = cls(slots if isinstance(slots, Mapping) else {})
        position = 0
        while token := _TOKEN.match(message, position):
            walk._at = position + 1
            position += walk._take(token)
        walk._close(0)
        walk._write("")
        walk._measure(message)
        return walk

    def _take(self, token: re.Match[str]) -> int:
        """Take the next piece; how many characters it has."""
        piece, kind = token[0], token.lastgroup
        if kind == "emoji":
            return self._emoji(token)
        if kind == "line":
            self._space.append("\n")
        elif kind == "slot":
            self._fill(piece)
            self._write(f"<mark>{escaped(piece)}</mark>")
        elif kind == "tag":
            self._tag(piece)
        elif kind == "endless":
            self._show(piece, Fault.BROKEN, f"{_short(piece)} has no end")
        else:
            self._text(piece)
            if kind == "column":
                self._find(Fault.UNFILLED, f"{piece} is shown as it is, braces and all")
        return len(piece)

    def _find(self, fault: Fault, what: str, at: int | None = None) -> None:
        self.found.setdefault(Finding(fault, what, at or self._at))

    def _write(self, piece: str, *, block: bool = False) -> None:
        """Write, after the space that waits. A block begins a line by itself, and ends one."""
        lines, hidden = self._space.count("\n"), self._after_block + block
        if not lines or hidden == 2:
            self.out += self._space
        else:
            self.out.append("<br>" * (lines - hidden))
        self._space.clear()
        self._after_block = block
        self.out.append(piece)

    def _show(self, source: str, fault: Fault, what: str) -> None:
        """Show what is not understood."""
        self._find(fault, what)
        self._write(f"<code>{escaped(source)}</code>")

    def _text(self, piece: str) -> None:
        if not piece.strip(" \t"):
            self._space.append(piece)
            return
        for odd in _ODD.findall(piece):
            self._find(Fault.CHARACTER, f"U+{ord(odd):04X} {_oddity(odd)}")
        self._write(escaped(_decoded(piece)))

    def _emoji(self, token: re.Match[str]) -> int:
        """Write an emoji; or one colon, because another code may follow it: `10:fire:`."""
        code, message = token[0], token.string
        start, end = token.span()
        joined = message[max(start - 1, 0) : start].isalnum()
        is_word = code[1].isalpha()
        shown = emoji_of(code) if is_word or not joined else code
        if shown != code:
            self._write(shown)
            return len(code)
        if is_word and not joined and not message[end : end + 1].isalnum():
            self._find(Fault.EMOJI, f"{code} is no code of an emoji that is known here")
        self._write(":")
        return 1

    def _fill(self, source: str) -> None:
        """See whether the slots in it have a value."""
        for name in _SLOT.findall(source):
            if self._slots.get(name.strip()) in (None, ""):
                what = "has no value in the slots of the context"
                self._find(Fault.UNFILLED, f"{{{{{_short(name)}}}}} {what}")

    def _tag(self, source: str) -> None:
        simple, link = _SIMPLE.fullmatch(source), _LINK.fullmatch(source)
        name = simple[2].lower() if simple else ""
        if link:
            self._link(source, _decoded(next(filter(None, link.groups()), "")).strip())
        elif simple is None or name not in TAGS:
            self._unknown(source)
        elif simple[1]:
            self._end(name, source)
        elif name == "br":
            self._write("<br>")
        elif simple[3]:
            self._show(source, Fault.BROKEN, f"<{name}/> ends where it begins")
        elif name == "a":
            self._find(Fault.LINK, "<a> has no address")
            self._withhold("a", source)
        else:
            self._start(name, source)

    def _unknown(self, source: str) -> None:
        """Show a tag that has another name, or more than its name."""
        self._fill(source)
        name = (_NAME.findall(source) or [""])[0].lower()
        if name not in TAGS or source[1] == "/":
            is_name = name.isalnum() and name not in TAGS
            named = f"<{_short(name)}>" if is_name else _short(source)
            fault = Fault.TAG if is_name or source[1] in "!?" else Fault.BROKEN
            self._show(source, fault, f"{named} is no tag in the vendor's samples")
            return
        others = {found.lower() for found in _ATTRIBUTE.findall(source[len(name) + 1 : -1])}
        others -= {"href"} if name == "a" else set()
        for other in sorted(others):
            self._find(Fault.ATTRIBUTE, f"<{name}> has no {_short(other)} in the vendor's samples")
        if not others:
            self._find(Fault.BROKEN, f"{_short(source)} is broken")
        self._withhold(name, source)

    def _withhold(self, name: str, source: str) -> None:
        """Show a tag, and later its end."""
        self._write(f"<code>{escaped(source)}</code>")
        if name != "br" and len(self._open) < _DEPTH:
            self._open.append(_Open(name, self._at, used=False))

    def _link(self, source: str, address: str) -> None:
        self._fill(source)
        if not is_link(address):
            what = "leads to no absolute http, https or mailto address"
            if address.startswith("{{"):
                what = "leads where a slot says, which nobody can see here"
            self._find(Fault.LINK, f"{_short(source)} {what}")
            self._withhold("a", source)
        elif self._is_open("a"):
            self._find(Fault.BROKEN, "a link is in a link")
            self._withhold("a", source)
        else:
            self._start("a", source, f' href="{escaped(address)}"')

    def _start(self, name: str, source: str, attributes: str = "") -> None:
        if len(self._open) >= _DEPTH:
            self._show(source, Fault.BROKEN, f"more than {_DEPTH} tags are open")
            return
        if name == "ul" and self._is_open("ul"):
            self._find(Fault.NESTED, "a list is in a list, which the vendor does not support")
        if name == "li" and not self._is_open("ul"):
            self._find(Fault.BROKEN, "<li> is in no list")
        if name in _BLOCKS:
            self._close(self._ended_by(name))
        self._open.append(_Open(name, self._at, used=True))
        self._write(f"<{name}{attributes}>", block=name in _BLOCKS)

    def _is_open(self, name: str) -> bool:
        return any(tag.used and tag.name == name for tag in self._open)

    def _ended_by(self, name: str) -> int:
        """How many tags stay open where a block begins: it ends a paragraph, and an item another.

        So browsers have it, in the innermost list.
        """
        ends = {"p", "li"} if name == "li" else {"p"}
        used = [(place, tag.name) for place, tag in enumerate(self._open) if tag.used]
        inner = max((place for place, tag in used if tag == "ul"), default=-1)
        ended = (place for place, tag in used if place > inner and tag in ends)
        return next(ended, len(self._open))

    def _end(self, name: str, source: str) -> None:
        for place in reversed(range(len(self._open))):
            if self._open[place].name == name:
                self._close(place + 1)
                self._write(_end_of(self._open.pop(), source), block=name in _BLOCKS)
                return
        self._show(source, Fault.BROKEN, f"{_short(source)} ends nothing")

    def _close(self, stay: int) -> None:
        """End what nobody ended."""
        while len(self._open) > stay:
            tag = self._open.pop()
            if tag.used:
                self._find(Fault.BROKEN, f"<{tag.name}> has no end", tag.at)
                self._write(f"</{tag.name}>", block=tag.name in _BLOCKS)

    def _measure(self, message: str) -> None:
        size = len(message)
        stored = len(message.encode(errors="surrogatepass"))
        if size >= CLOSE:
            self._find(Fault.LENGTH, f"{size:,} of {LIMIT:,} characters", size)
        elif stored > LIMIT:
            what = f"{size:,} characters are {stored:,} bytes"
            self._find(
                Fault.LENGTH, f"{what}; the vendor takes {LIMIT:,} of one or the other", size
            )


def _end_of(tag: _Open, source: str) -> str:
    return f"</{tag.name}>" if tag.used else f"<code>{escaped(source)}</code>"


def _oddity(character: str) -> str:
    if character == LOST:
        return "stands where a character was lost before"
    return "is not to be seen" if seen(character) == LOST else "turns the order of reading around"


def _decoded(text: str) -> str:
    """With characters in the place of entities; an entity that is none stays as it is."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]) or found[0], text)


def _short(source: str) -> str:
    """The beginning, in one line."""
    line = " ".join(seen(source).split())
    return line if len(line) <= 60 else f"{line[:59]}\u2026"


def is_plain(message: str) -> bool:
    """Whether there is nothing to be found in a message, at first sight."""
    # A code point has 4 bytes at most.
    return len(message) * 4 <= LIMIT and not _PECULIAR.search(message)
