"""What the ledger keeps of a message: compressed, and with an index of the people it told. Pure.

The index is four bytes a delivery, a fingerprint of the address. A person's requests are found by
looking for four bytes in each request's fingerprints; what is found is then compared in full. So
five million deliveries take 30 to 65 MB, by how alike addresses are, and no person has a row.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Self

from attrs import define, field, frozen

# Bytes of a fingerprint. Two of 500 people share one in a request in 30,000.
_PRINT = 4
_MASK = 0xFFFF_FFFF
# Bytes of a content and its place among the others.
_CONTENT = 400
# People are counted in so many parts.
_PARTS = 64


def pack(text: str) -> bytes:
    """A text made small. Fast is worth more here than small: 16 kB of addresses in 0.1 ms."""
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 1)


def unpack(packed: bytes) -> str:
    """The text again."""
    return zlib.decompress(packed).decode("utf-8", "surrogatepass")


def person(address: str) -> str:
    """Two addresses are one person's where these are equal: case does not count."""
    return address.lower()


def print_of(address: str) -> int:
    """The fingerprint of a person. It means something in this process only."""
    return hash(person(address)) & _MASK


@frozen(eq=False, repr=False)
class Recipients:
    """Whom one request told."""

    count: int
    _packed: bytes
    #: A fingerprint each, in order.
    _prints: bytes

    @classmethod
    def of(cls, addresses: str) -> Self:
        """One address a line."""
        people = person(addresses).split("\n")
        prints = array("I", [hash(one) & _MASK for one in people]).tobytes()
        return cls(len(people), pack(addresses), prints)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._packed) + len(self._prints)

    def addresses(self) -> tuple[str, ...]:
        """As they came."""
        return tuple(unpack(self._packed).split("\n"))

    def prints(self) -> Collection[int]:
        """Their fingerprints."""
        return array("I", self._prints)

    def tells(self, address: str) -> bool:
        """Is this person among them?"""
        wanted, at = print_of(address).to_bytes(_PRINT, sys.byteorder), -1
        while (at := self._prints.find(wanted, at + 1)) >= 0:
            if at % _PRINT == 0:
                return person(address) in map(person, self.addresses())
        return False


def count_people(told: Iterable[tuple[Recipients, int]]) -> tuple[int, int]:
    """Different people, and those of them who are there more than once.

    Recipients with another number beside them are other people. They are told apart by 64 bits: of
    five million people two are taken for one with a chance of one in a million. In parts, so that
    not all are in memory at the same time.
    """
    parts = [array("q") for _ in range(_PARTS)]
    for recipients, apart in told:
        for address in person("\n".join(recipients.addresses())).split("\n"):
            one = hash(address) ^ apart
            parts[one % _PARTS].append(one)
    people = again = 0
    for part in parts:
        times = Counter(part)
        people += len(times)
        again += sum(count > 1 for count in times.values())
    return people, again


@frozen(eq=False, repr=False)
class Content:
    """A text and its context. Requests that say the same have the same one."""

    key: bytes
    _message: bytes
    _context: bytes | None

    @property
    def size(self) -> int:
        """Bytes, nearly."""
        return _CONTENT + len(self._message) + len(self._context or b"")

    def message(self) -> str:
        """The text."""
        return unpack(self._message)

    def context(self) -> dict[str, Any] | None:
        """As it came; None where there was none."""
        if self._context is None:
            return None
        value: dict[str, Any] = json.loads(unpack(self._context))
        return value

    def says(self, words: str) -> bool:
        """Are these words in the text, or in what is filled into it? Case does not count."""
        context = "" if self._context is None else unpack(self._context)
        return words.lower() in f"{self.message()}\n{context}".lower()


@define
class _Use:
    content: Content
    times: int = 0


@define(eq=False)
class Contents:
    """Each content once, for as long as a request has it."""

    #: Bytes of all.
    size: int = field(default=0, init=False)
    _uses: dict[bytes, _Use] = field(factory=dict, init=False)

    def take(self, message: str, context: str | None) -> Content:
        """The content for one request more."""
        key = _key(message, context)
        use = self._uses.get(key)
        if use is None:
            packed = None if context is None else pack(context)
            use = self._uses[key] = _Use(Content(key, pack(message), packed))
            self.size += use.content.size
        use.times += 1
        return use.content

    def drop(self, content: Content) -> None:
        """One request fewer has it."""
        use = self._uses[content.key]
        use.times -= 1
        if not use.times:
            del self._uses[content.key]
            self.size -= content.size


def _key(message: str, context: str | None) -> bytes:
    """The same for the same content alone."""
    parts = json.dumps([message, context]).encode()
    return hashlib.blake2b(parts, digest_size=16).digest()
